"""Old snapshots of customers in the lake, which no later day reads.

What later days are counted from is never touched: events and their reports, days, months and histories, prices, texts
and dimensions. Nor are the small tables of segments, outcomes and settings, whose past is what they are read for.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial

from expectations.contract import Table
from expectations.errors import SetupError
from expectations.events import QUARANTINE
from expectations.segments import CUSTOMER_SEGMENTS, PROBABILITY_DAYS
from expectations.tables import LAKE
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.maintenance.gone import Gone, MaintainSettings, bytes_of, newest_until
from jobs.settings import load_section

SECTION = "keep_days"
DEFAULT_DAYS = 400
"""A year and a month: last year's day can be scored and compared anew."""

MAY_GO = tuple(
    table
    for table in LAKE
    if table is QUARANTINE or (table.partition == "snapshot_date" and "customer_key" in table.column_names)
)


def kept_days(home: Home) -> dict[Table, int]:
    """Table → days to keep before the day asked about, 0 for all: section ``keep_days`` of settings.yaml.

    SetupError for another table, or for fewer days than later days look back on.
    """
    chosen, known = load_section(home, SECTION), {table.name: table for table in MAY_GO}
    least = needed_days(home)
    for name, days in chosen.items():
        if name not in known:
            raise SetupError(f"settings.yaml: {SECTION} has no table {name!r} that may go; known: {', '.join(known)}")
        if not isinstance(days, int) or (days != 0 and days < least):
            raise SetupError(f"settings.yaml: {SECTION}.{name} must be 0 (keep all) or {least} or more, found {days!r}")
    return {table: chosen.get(name, max(DEFAULT_DAYS, least)) for name, table in known.items()}


def needed_days(home: Home) -> int:
    """How far later days look back on snapshots: matured forecasts, the line of segments, actions that cool down, what
    a champion is held against, drift.
    """
    from jobs.actions.choose import looked_back
    from jobs.actions.strategies import load_strategies
    from jobs.segments.snapshots import LOOK_BACK_DAYS
    from ml.settings import load_model_settings

    today = date(2000, 1, 1)
    cool_down = (today - looked_back(load_strategies(home), today)[0]).days
    drift = max((check.days or 0) for table in MAY_GO for check in table.checks)
    judged = load_model_settings(home.path).horizons.judged_days
    return max(*PROBABILITY_DAYS, LOOK_BACK_DAYS, cool_down, drift, judged) + LOOK_BACK_DAYS


def find(home: Home, day: date, settings: MaintainSettings) -> Iterator[Gone]:
    """Partitions older than their table's days, the oldest first.

    Counted from ``day``, or from the lake's newest segmented day where the shop went no further: one whose last day is
    years ago keeps what its next day will look back on. Without segments, from the table's own newest partition.
    """
    segmented = newest_until(day, LakeTable(home, CUSTOMER_SEGMENTS).days())
    for table, days in kept_days(home).items():
        rows = LakeTable(home, table)
        there = rows.days() if days else []
        bound = (segmented or newest_until(day, there) or day) - timedelta(days=days)
        for old in there:
            if old < bound:
                yield Gone(table.name, str(old), bytes_of([rows.folder(old)]), partial(rows.drop, old))
