"""Days that a mapping does not expect, and expected ones without rows: with what to write into the mapping."""

from collections.abc import Iterator
from datetime import date, timedelta

from jobs.reading.mapping import WEEKDAYS, Expected

MOST_DAYS_SHOWN = 12


def odd_days(expected: Expected, days: list[date], optional: bool = False) -> Iterator[str]:
    """Where the days that have rows are not those that the mapping expects; with the lines that would mend it."""
    beyond = [day for day in days if not expected.first <= day <= expected.last]
    if beyond:
        yield (
            f"{len(beyond):,} days lie outside expected.first … expected.last ({_spelled(beyond)}): "
            "set these, unless the dates are wrong"
        )
    there, span = set(days), (days[-1] - days[0]).days
    every = [days[0] + timedelta(days=n) for n in range(span + 1)]
    lacking = [day for day in every if day not in there and expected.is_open(day)]
    if not lacking or optional:
        return
    never = [name for n, name in enumerate(WEEKDAYS) if all(day.weekday() != n for day in days)]
    if never and span >= 28:
        kept = [name for name in expected.weekdays if name not in never]
        yield f"no rows on any {', '.join(never)}: if that is so, expected.weekdays is [{', '.join(kept)}]"
        lacking = [day for day in lacking if WEEKDAYS[day.weekday()] not in never]
    if lacking:
        yield (
            f"{len(lacking):,} expected days have no rows, and ingestion will miss their files. If the shop was "
            f"closed, add to expected.closed: [{', '.join(map(str, lacking))}]"
        )


def _spelled(days: list[date]) -> str:
    shown = ", ".join(map(str, days[:MOST_DAYS_SHOWN]))
    return shown + (f" and {len(days) - MOST_DAYS_SHOWN:,} more" if len(days) > MOST_DAYS_SHOWN else "")
