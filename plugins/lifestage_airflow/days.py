"""Which business date a run speaks of. Pure functions, called from templates."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk.exceptions import AirflowFailException


def business_date(params: dict, dag_run: Any, events: Mapping | None = None, timezone: str = "UTC") -> date:
    """The parameter ``ds``, else the day that the asset events which started the run speak of, else the first day of
    the run's data interval in the shop's time zone.

    A run that has no interval (none was asked for, or the DAG has no schedule) means the last day that was over when
    it was due. AirflowFailException where logical date and interval contradict each other, since a guess would rewrite
    the wrong day: ``airflow dags trigger --logical-date`` keeps yesterday's interval whatever date it is given.
    """
    if params.get("ds"):
        return date.fromisoformat(params["ds"])
    if published := [
        event.extra["ds"] for each in (events or {}).values() for event in each if "ds" in (event.extra or {})
    ]:
        return date.fromisoformat(max(published))
    zone = ZoneInfo(timezone)
    start, end, logical = dag_run.data_interval_start, dag_run.data_interval_end, dag_run.logical_date
    if start is None or logical is None or start == end:
        return (logical or dag_run.run_after).astimezone(zone).date() - timedelta(days=1)
    if not (start <= logical < end or _follows(end, logical)):
        raise AirflowFailException(
            f"the run's logical date is {logical:%Y-%m-%d %H:%M}, but its data interval is {start:%Y-%m-%d} to "
            f'{end:%Y-%m-%d}. Name the day: --conf \'{{"ds": "{logical.astimezone(zone):%Y-%m-%d}"}}\''
        )
    return start.astimezone(zone).date()


def _follows(end: datetime, logical: datetime) -> bool:
    """Whether a run was started by hand during the day after its interval (25 hours where clocks go back)."""
    return end <= logical < end + timedelta(hours=25)
