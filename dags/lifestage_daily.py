"""The daily line: one business day from the shop's files to published tables, and a page that shows them.

**Which day.** The first day of the run's data interval, in the time zone `LIFESTAGE_TIMEZONE` (default UTC):

| run | logical date | data interval | day worked on |
|---|---|---|---|
| scheduled | 30 Dec 00:00 | 30 Dec – 31 Dec | 30 Dec, started on 31 Dec at `LIFESTAGE_DAILY_AT` (default 00:00) |
| backfill | 30 Dec 00:00 | 30 Dec – 31 Dec | 30 Dec |
| `dags test`, or by hand with a date | 30 Dec 00:00 | 30 Dec – 31 Dec | 30 Dec |
| by hand, now | 31 Dec 09:15 | 30 Dec – 31 Dec | 30 Dec, the last day that is over |

Or name it: parameter `ds` in the form, `--conf '{"ds": "2017-12-30"}'` on the command line; it wins over all of the
above. Where logical date and interval contradict each other (`dags trigger --logical-date`) the run fails and asks for
`ds`. Airflow names a run by when it was due, which is after the midnight that ends its day.

- **Gates.** After ingest, after features and before publish; a failed gate stops the line and leaves the marts alone.
- **Model.** `resolve_model` settles on one version for the run: that of the day's scores if it has any, else the
  champion.
- **By hand.** The form unpauses the DAG unless told otherwise, and unpausing starts the schedule with yesterday. Where
  that is no day of the shop's (the sample ends with 2017) or days before it are missing, that run stops and says so.
- **Again.** Clearing a run replaces its day and gives equal rows. Days run in order, a backfill's too, one at a time
  whatever `--max-active-runs` says: stages speak of the day before.
"""

from lifestage_airflow.dag import DS, day_param, lifestage_dag
from lifestage_airflow.operators import JobOperator
from lifestage_airflow.schedule import DELAY, ZONE
from lifestage_airflow.timetable import BusinessDayTimetable

with lifestage_dag(
    "lifestage_daily",
    __doc__,
    schedule=BusinessDayTimetable(ZONE, DELAY),
    tags=["daily"],
    params={"ds": day_param("Business date, YYYY-MM-DD. Empty: the day of the run's data interval.")},
):
    ingest = JobOperator(task_id="ingest", arguments=["jobs", "ingest", "--ds", DS])
    validate_events = JobOperator(
        task_id="validate_events", arguments=["jobs", "validate", "--table", "events", "--ds", DS]
    )
    encode_text = JobOperator(task_id="encode_text", arguments=["jobs", "encode_text", "--ds", DS])
    aggregate = JobOperator(task_id="aggregate", arguments=["jobs", "aggregate", "--ds", DS])
    build_features = JobOperator(task_id="build_features", arguments=["jobs", "build_features", "--ds", DS])
    validate_features = JobOperator(
        task_id="validate_features", arguments=["jobs", "validate", "--table", "features", "--ds", DS]
    )
    resolve_model = JobOperator(task_id="resolve_model", arguments=["ml", "resolve", "--ds", DS], push_last_line=True)
    score = JobOperator(
        task_id="score",
        arguments=["jobs", "score", "--ds", DS, "--model", "{{ ti.xcom_pull(task_ids='resolve_model') }}"],
    )
    cluster = JobOperator(task_id="cluster", arguments=["jobs", "cluster", "--ds", DS])
    segment = JobOperator(task_id="segment", arguments=["jobs", "segment", "--ds", DS])
    validate_segments = JobOperator(
        task_id="validate_segments", arguments=["jobs", "validate", "--table", "customer_segments", "--ds", DS]
    )
    tag = JobOperator(task_id="tag", arguments=["jobs", "tag", "--ds", DS])
    assess_risk = JobOperator(task_id="assess_risk", arguments=["jobs", "assess_risk", "--ds", DS])
    watch_churn = JobOperator(task_id="watch_churn", arguments=["jobs", "watch_churn", "--ds", DS])
    recommend = JobOperator(task_id="recommend", arguments=["jobs", "recommend", "--ds", DS])
    choose_actions = JobOperator(task_id="choose_actions", arguments=["jobs", "choose_actions", "--ds", DS])
    portray = JobOperator(task_id="portray", arguments=["jobs", "portray", "--ds", DS])
    measure_outcomes = JobOperator(task_id="measure_outcomes", arguments=["jobs", "measure_outcomes", "--ds", DS])
    publish = JobOperator(task_id="publish", arguments=["jobs", "publish", "--ds", DS])
    report = JobOperator(task_id="report", arguments=["jobs", "report", "--ds", DS])

    ingest >> validate_events >> encode_text >> aggregate >> build_features >> validate_features
    [validate_features, resolve_model] >> score >> cluster >> segment >> validate_segments
    validate_features >> [tag, assess_risk]
    validate_segments >> [watch_churn, recommend, choose_actions, portray, measure_outcomes] >> publish >> report
    tag >> portray
    [assess_risk, watch_churn] >> choose_actions
