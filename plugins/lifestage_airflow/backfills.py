"""A backfill of the daily line keeps two days under way, in the order of days, whatever it was asked for."""

from airflow.models.backfill import Backfill
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapper

DAILY = "lifestage_daily"
MOST_DAYS = 2
"""A day's files and features beside the segments of the day before: a third day would have nothing to do but wait."""


def few_at_once(mapper: Mapper, connection: Connection, backfill: Backfill) -> None:
    """A day's stages read what the day before has left (gates.DayBefore), and Airflow's default is ten days at once.

    ``depends_on_past`` would not do: a later run that waits for a failed one holds a place, and two of them hold all,
    so that the failed one could never be cleared.
    """
    if backfill.dag_id == DAILY:
        backfill.max_active_runs = min(backfill.max_active_runs or MOST_DAYS, MOST_DAYS)  # none: nobody said


def watch_backfills() -> None:
    """Sees every backfill before it is stored. Airflow loads this plugin before it makes one: the timetable is here."""
    if not event.contains(Backfill, "before_insert", few_at_once):
        event.listen(Backfill, "before_insert", few_at_once)
