"""Keep disks and databases from growing: what no later day needs goes, week by week. Changes no mart's answer.

Sundays at noon in `LIFESTAGE_TIMEZONE`, away from the daily line's hours. How long things are kept is set in section
`maintain` of the home's settings.yaml (`docs/orchestration.md`); `dry_run` lists what would go, with its size.

| task | removes |
|---|---|
| `lake` | snapshots of days older than `keep_days` of their table; never what later days are counted from |
| `warehouse` | tables of publishes that never ended; then VACUUM and ANALYZE |
| `results` | validation results older than `results_days`; builds Data Docs anew |
| `models` | deleted MLflow runs; files of old runs that no registered version comes from; never a version's own |
| `logs` | task logs older than `logs_days`, and rows as old of Airflow's metadata |

**When it fails.** Nothing waits for it: mend what the log names and clear the task, or wait for the next Sunday.
"""

from airflow.sdk import CronTriggerTimetable, Param
from lifestage_airflow import pools
from lifestage_airflow.dag import DS, day_param, lifestage_dag
from lifestage_airflow.operators import JobOperator
from lifestage_airflow.schedule import ZONE

HOW = ["--ds", DS, "{{ '--dry-run' if params.dry_run else '--no-dry-run' }}"]

with lifestage_dag(
    "lifestage_maintenance",
    __doc__,
    schedule=CronTriggerTimetable("0 12 * * 0", timezone=ZONE),
    max_active_tasks=1,
    tags=["maintenance"],
    params={
        "ds": day_param("Day from which ages are counted, YYYY-MM-DD. Empty: the last day that is over."),
        "dry_run": Param(
            False, type="boolean", title="Only show", description_md="List what would go; remove nothing."
        ),
    },
):
    JobOperator(task_id="lake", arguments=["jobs", "maintain", "--only", "lake", *HOW])
    JobOperator(task_id="warehouse", arguments=["jobs", "maintain", "--only", "warehouse", *HOW], pool=pools.WAREHOUSE)
    JobOperator(task_id="results", arguments=["jobs", "maintain", "--only", "results", *HOW])
    JobOperator(task_id="models", arguments=["jobs", "maintain", "--only", "models", *HOW])
    JobOperator(task_id="logs", arguments=["jobs", "maintain", "--only", "logs", *HOW], cleans_airflow=True)
