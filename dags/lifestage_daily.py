"""The daily line: one business day from the shop's files to published segments.

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
    segment = JobOperator(task_id="segment", arguments=["jobs", "segment", "--ds", DS])
    validate_segments = JobOperator(
        task_id="validate_segments", arguments=["jobs", "validate", "--table", "customer_segments", "--ds", DS]
    )
    publish = JobOperator(task_id="publish", arguments=["jobs", "publish", "--ds", DS])

    ingest >> validate_events >> encode_text >> aggregate >> build_features >> validate_features
    [validate_features, resolve_model] >> score >> segment >> validate_segments >> publish
