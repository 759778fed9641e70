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
- **Closed days.** On a day on which the shop is not expected to deliver and did not, ingest and aggregate note that
  nothing came, `open_day` skips what follows, and the run ends well: the marts have no such day.
- **Model.** `resolve_model` settles on one version for the run: that of the day's scores if it has any, else the
  champion.
- **By hand.** The form unpauses the DAG unless told otherwise, and unpausing starts the schedule with yesterday. Where
  that is no day of the shop's (the sample ends with 2017) or days before it are missing, that run stops and says so.
- **Again.** Clearing a run replaces its day and gives equal rows.
- **Order.** Scheduled days run one at a time. A backfill keeps two under way: a day's files and features beside the
  segments of the day before, held in order by the two tasks `…_of_day_before`.
- **Who waits for it.** `publish` renews the assets `lifestage://marts/<view>`.

**When it fails.** The last lines of the task's log say what is wrong, where, and what to do.

| task | usual cause | do |
|---|---|---|
| `ingest` | a file is missing or cut short (exit 65) | have it delivered, clear `ingest` |
| `validate_…` | a check of severity fail is broken (65) | mend what the message names, clear the task that wrote it |
| `resolve_model`, `score` | no champion, or features changed (78, 65) | run `lifestage_train`, clear `resolve_model` |
| `publish` | server gone, readers in the way (75); audit refused (65) | 75 is tried again; 65: what the message names |
| any | a setting or password is wrong (78) | mend it, clear the task |

65 and 78 are not tried again; all else is, five times over about half an hour, before anyone is told.
"""

from airflow.sdk import TaskGroup
from lifestage_airflow import pools
from lifestage_airflow.assets import PublishOperator
from lifestage_airflow.dag import DS, ENGINE, day_param, lifestage_dag
from lifestage_airflow.deadlines import published_by
from lifestage_airflow.gates import DayBefore, JobGate, WarnOperator
from lifestage_airflow.operators import JobOperator
from lifestage_airflow.schedule import DELAY, DUE, ZONE
from lifestage_airflow.timetable import BusinessDayTimetable

with lifestage_dag(
    "lifestage_daily",
    __doc__,
    schedule=BusinessDayTimetable(ZONE, DELAY),
    deadline=published_by(DUE),
    tags=["daily"],
    params={"ds": day_param("Business date, YYYY-MM-DD. Empty: the day of the run's data interval.")},
):
    features_of_day_before = DayBefore(task_id="features_of_day_before", tasks=["aggregate", "validate_features"])
    publish_of_day_before = DayBefore(task_id="publish_of_day_before", tasks=["publish"])

    with TaskGroup("behaviour", prefix_group_id=False, tooltip="The shop's files → features of each customer"):
        ingest = JobOperator(task_id="ingest", arguments=["jobs", "ingest", "--ds", DS])
        open_day = JobGate(task_id="open_day", arguments=["jobs", "open_day", "--ds", DS], no="closed")
        validate_events = JobOperator(
            task_id="validate_events", arguments=["jobs", "validate", "--table", "events", "--ds", DS], **ENGINE
        )
        encode_text = JobOperator(task_id="encode_text", arguments=["jobs", "encode_text", "--ds", DS], **ENGINE)
        aggregate = JobOperator(task_id="aggregate", arguments=["jobs", "aggregate", "--ds", DS], **ENGINE)
        build_features = JobOperator(
            task_id="build_features", arguments=["jobs", "build_features", "--ds", DS], **ENGINE
        )
        validate_features = JobOperator(
            task_id="validate_features", arguments=["jobs", "validate", "--table", "features", "--ds", DS], **ENGINE
        )

    with TaskGroup("model", prefix_group_id=False, tooltip="Which version, and what it foretells"):
        resolve_model = JobOperator(
            task_id="resolve_model", arguments=["ml", "resolve", "--ds", DS], push_last_line=True
        )
        score = JobOperator(
            task_id="score",
            arguments=["jobs", "score", "--ds", DS, "--model", "{{ ti.xcom_pull(task_ids='resolve_model') }}"],
        )

    with TaskGroup("segments", prefix_group_id=False, tooltip="Who each customer is"):
        cluster = JobOperator(task_id="cluster", arguments=["jobs", "cluster", "--ds", DS])
        segment = JobOperator(task_id="segment", arguments=["jobs", "segment", "--ds", DS])
        validate_segments = JobOperator(
            task_id="validate_segments",
            arguments=["jobs", "validate", "--table", "customer_segments", "--ds", DS],
            **ENGINE,
        )
        tag = JobOperator(task_id="tag", arguments=["jobs", "tag", "--ds", DS])
        portray = JobOperator(task_id="portray", arguments=["jobs", "portray", "--ds", DS])

    with TaskGroup("actions", prefix_group_id=False, tooltip="What follows for each customer, and what came of it"):
        assess_risk = JobOperator(task_id="assess_risk", arguments=["jobs", "assess_risk", "--ds", DS], **ENGINE)
        watch_churn = JobOperator(task_id="watch_churn", arguments=["jobs", "watch_churn", "--ds", DS])
        recommend = JobOperator(task_id="recommend", arguments=["jobs", "recommend", "--ds", DS])
        choose_actions = JobOperator(task_id="choose_actions", arguments=["jobs", "choose_actions", "--ds", DS])
        measure_outcomes = JobOperator(
            task_id="measure_outcomes", arguments=["jobs", "measure_outcomes", "--ds", DS], **ENGINE
        )

    with TaskGroup("marts", prefix_group_id=False, tooltip="What BI sees"):
        publish = PublishOperator(
            task_id="publish", arguments=["jobs", "publish", "--ds", DS], day=DS, pool=pools.WAREHOUSE
        )
        report = JobOperator(task_id="report", arguments=["jobs", "report", "--ds", DS])
        warn = WarnOperator(task_id="warn", arguments=["jobs", "list_warnings", "--ds", DS], none="no check")

    ingest >> validate_events >> encode_text >> aggregate >> build_features >> validate_features
    ingest >> open_day >> build_features
    features_of_day_before >> encode_text
    [validate_features, resolve_model] >> score
    [score, publish_of_day_before] >> cluster >> segment >> validate_segments
    [validate_features, publish_of_day_before] >> tag
    [validate_features, publish_of_day_before] >> assess_risk
    validate_segments >> [watch_churn, recommend, choose_actions, portray, measure_outcomes] >> publish
    publish >> [report, warn]
    tag >> portray
    [assess_risk, watch_churn] >> choose_actions
