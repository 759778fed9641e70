"""Which snapshot follows from which: the one before, and those that a re-run leaves stale."""

from datetime import date
from itertools import pairwise

from expectations.segments import CUSTOMER_SEGMENTS
from jobs.home import Home
from jobs.lake import LakeTable

LOOK_BACK_DAYS = 35
"""A snapshot follows from the newest one before it that is no older: a shop that is segmented once a month has one."""


def snapshot_before(home: Home, day: date) -> date | None:
    """The snapshot from which that of ``day`` follows."""
    return next(iter(line_before(home, day)), None)


def line_before(home: Home, day: date) -> list[date]:
    """Snapshots from which that of ``day`` follows, one from the other, newest first."""
    line = [day]
    for earlier in reversed([d for d in LakeTable(home, CUSTOMER_SEGMENTS).days() if d < day]):
        if (line[-1] - earlier).days > LOOK_BACK_DAYS:
            break
        line.append(earlier)
    return line[1:]


def first_stale(home: Home, day: date) -> date | None:
    """The first snapshot before ``day`` that is older than the one it follows from; None if all are in order."""
    table, line = LakeTable(home, CUSTOMER_SEGMENTS), line_before(home, day)[::-1]
    return next((late for early, late in pairwise(line) if table.written_at(late) < table.written_at(early)), None)


def line_after(home: Home, day: date) -> list[date]:
    """Snapshots that follow from that of ``day``, oldest first: stale once it is written anew."""
    line = [day]
    for later in [d for d in LakeTable(home, CUSTOMER_SEGMENTS).days() if d > day]:
        if (later - line[-1]).days > LOOK_BACK_DAYS:
            break
        line.append(later)
    return line[1:]
