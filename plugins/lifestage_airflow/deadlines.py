"""By when the daily marts have to be there: an alert where a scheduled run has not ended by then."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow.sdk import AsyncCallback, DeadlineAlert
from airflow.sdk.definitions.deadline import BaseDeadlineReference

from lifestage_airflow.alerts import AlertNotifier

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class DayIsOver(BaseDeadlineReference):
    """The end of a scheduled run's day. Backfilled days and runs by hand have no hour by which they are due."""

    required_kwargs = frozenset({"dag_id", "run_id"})

    def _evaluate_with(self, *, session: "Session", dag_id: str, run_id: str) -> datetime | None:
        from airflow.models import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        return run.data_interval_end if run.run_type == "scheduled" else None


def published_by(after: timedelta | None) -> DeadlineAlert | None:
    """An alert of kind ``late`` so long after the end of the run's day; None where no hour was set."""
    if after is None:
        return None
    cause = f"the marts were to be there {after} after the end of their day, and the run has not ended well"
    callback = AsyncCallback(AlertNotifier, {"kind": "late", "cause": cause})
    return DeadlineAlert(DayIsOver(), after, callback, name="published in time")
