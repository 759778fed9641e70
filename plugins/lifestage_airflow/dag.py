"""The one way DAGs are made here, so that owner, retries, time limits and templates are the same in all."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import jinja2
from airflow.sdk import DAG, Param
from airflow.sdk import timezone as utc

from lifestage_airflow import pools
from lifestage_airflow.alerts import AlertNotifier, targets
from lifestage_airflow.days import business_date
from lifestage_airflow.schedule import ZONE

START = datetime(2010, 1, 1, tzinfo=utc.utc)
"""Fixed: before the first day of any shop so far. Nothing catches up, so it only bounds backfills."""
DS = "{{ business_date(params, dag_run, triggering_asset_events) }}"
CUTOFF = "{{ params.cutoff or ti.xcom_pull(task_ids='cutoff') }}"

ENGINE = {"uses_engine": True, "pool": pools.ENGINE}
"""What a task says whose job takes ``--engine``."""

DEFAULTS = {
    "owner": "lifestage",
    "depends_on_past": False,
    # 25 to 34 minutes in all, as Airflow draws: a database that changes over to its standby wakes nobody.
    "retries": 5,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": AlertNotifier("failed"),
}


def day_param(description: str) -> Param:
    """A date that a person may name when starting a run by hand."""
    return Param(None, type=["null", "string"], format="date", description_md=description)


def lifestage_dag(dag_id: str, doc: str, *, tags: list[str], params: dict[str, Param], **changes: Any) -> DAG:
    """A DAG with the project's rules. ``doc`` is the module's docstring, shown in the UI."""
    targets()  # a wrong one is an import error today, not an alert that never came
    settings = {
        "schedule": None,
        "start_date": START,
        "catchup": False,
        "max_active_runs": 1,
        "is_paused_upon_creation": True,
        "default_args": DEFAULTS,
        "template_undefined": jinja2.StrictUndefined,
        "user_defined_macros": {"business_date": partial(business_date, timezone=ZONE)},
    }
    return DAG(dag_id, doc_md=doc, tags=["lifestage", *tags], params=params, **{**settings, **changes})
