"""A backfill of the daily line runs its days one after another, whatever it was asked for."""

from airflow.models.backfill import Backfill
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapper

ONE_BY_ONE = "lifestage_daily"


def one_by_one(mapper: Mapper, connection: Connection, backfill: Backfill) -> None:
    """A day's stages read what the day before has left, and Airflow lets a backfill pass the DAG's own limit of one.

    ``depends_on_past`` would not do: a later run that waits for a failed one holds the DAG's only place, so that the
    failed one could never be cleared.
    """
    if backfill.dag_id == ONE_BY_ONE:
        backfill.max_active_runs = 1


def watch_backfills() -> None:
    """Sees every backfill before it is stored. Airflow loads this plugin before it makes one: the timetable is here."""
    if not event.contains(Backfill, "before_insert", one_by_one):
        event.listen(Backfill, "before_insert", one_by_one)
