"""Which partitions a snapshot reads: closed months where a window holds the whole of them, days where one begins."""

from dataclasses import dataclass
from datetime import date, timedelta

from expectations.features import WINDOWS_DAYS
from jobs.behaviour.months import days_of_month, month_of, months_between


@dataclass(frozen=True)
class Plan:
    """Partitions of customer_month (``months``) and customer_day (``days``) by arrival, each arrival in one of the two.

    At most 10 months and 6 months' days, however long the history. A row belongs to a window if its period begins in
    it: no window begins within a month that is read as one, and what arrived late keeps its day.
    """

    months: tuple[date, ...]
    days: tuple[date, ...]
    closed: date | None
    """The last month before the snapshot's: customer_history up to its end, and the days since, tell a life."""


def plan_of(snapshot: date, first: date) -> Plan:
    """What a snapshot reads of arrivals from ``first``, the shop's first day in the lake, to ``snapshot``."""
    begins = [snapshot - timedelta(days=window - 1) for window in WINDOWS_DAYS]
    earliest = max(first, min(begins))
    by_day = {month_of(day) for day in (*begins, snapshot)}
    months = months_between(earliest, snapshot)
    days = [day for month in months if month in by_day for day in days_of_month(month) if earliest <= day <= snapshot]
    closed = month_of(snapshot) - timedelta(days=1)
    return Plan(
        months=tuple(month for month in months if month not in by_day),
        days=tuple(days),
        closed=month_of(closed) if closed >= first else None,
    )
