"""The numbers that measured checks judge (contract.Check): one function a kind, and why a day cannot be judged."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow.compute as pc

from expectations.contract import Check, Table
from expectations.events import EVENTS
from expectations.tables import TABLES
from jobs.checks.drift import LEAST_ROWS, drift, stability_index
from jobs.checks.history import History
from jobs.home import Home
from jobs.lake import LakeTable

LEAST_EXPECTED_ROWS = 50
"""A feed of fewer rows a day is not judged by its volume: twice or half as many are chance."""
LEAST_WEEKDAYS = 2


@dataclass(frozen=True)
class Measured:
    """A number that a check judges: ``of`` what (a day, a feed, a column), and in words for whoever is woken."""

    of: str
    value: float
    text: str


@dataclass(frozen=True)
class Findings:
    """What a check has to judge. ``unjudged``: why something could not be measured."""

    measured: tuple[Measured, ...]
    unjudged: tuple[str, ...]


def measure(home: Home, table: Table, checks: list[Check], days: list[date]) -> dict[str, Findings]:
    """Label of each check → its numbers over ``days``."""
    history = History(home, table)
    found = {}
    for check in checks:
        items = [item for day in days for item in _of_day(history, check, day, len(days) > 1)]
        measured = tuple(item for item in items if isinstance(item, Measured))
        found[check.label] = Findings(measured, tuple(item for item in items if isinstance(item, str)))
    return found


def _of_day(history: History, check: Check, day: date, several: bool) -> Iterator[Measured | str]:
    for item in _KINDS[check.kind](history, check, day):
        if not several:
            yield item
        elif isinstance(item, str):
            yield f"{day}: {item}"
        else:
            yield Measured(f"{day} {item.of}", item.value, f"{day} {item.text}")


# -- of the day alone ------------------------------------------------------------------------------------------------


def _flags(history: History, check: Check, day: date) -> Iterator[Measured | str]:
    """is_true and is_blank: each row, named by the last column of its key."""
    (column,), key = check.columns, history.table.table.key[-1]
    for row in history.table.read_arrow([day], [column, key]).to_pylist():
        value = row[column]
        shown = f"{row[key]}: {column} {value if isinstance(value, str) else str(value).lower()}"
        yield Measured(row[key], float(bool(value)), shown)


def _share(history: History, check: Check, day: date) -> Iterator[Measured | str]:
    part, whole = check.columns
    rows = history.table.read_arrow([day], [part, whole])
    part, whole = (pc.sum(rows[name]).as_py() or 0 for name in (part, whole))
    if whole:
        yield Measured("all", part / whole, f"{part:,} of {whole:,} ({part / whole:.2%})")
    else:
        yield "no rows"


def _newest(history: History, check: Check, day: date) -> Iterator[Measured | str]:
    dates = history.counts(day, check.columns[0])
    if dates:
        newest = max(dates)
        yield Measured("newest", (day - newest).days, f"the newest is of {newest}, {(day - newest).days} days before")
    else:
        yield "no rows"


def _late(history: History, check: Check, day: date) -> Iterator[Measured | str]:
    dates = history.counts(day, check.columns[0])
    rows, late = sum(dates.values()), sum(n for of, n in dates.items() if (day - of).days > check.days)
    if rows:
        yield Measured(
            "late", late / rows, f"{late:,} of {rows:,} rows ({late / rows:.2%}), the oldest of {min(dates)}"
        )
    else:
        yield "no rows"


def _unknown(history: History, check: Check, day: date) -> Iterator[Measured | str]:
    (column,), other = check.columns, LakeTable(history.home, TABLES[check.of])
    found = {value: n for value, n in history.counts(day, column).items() if value is not None}
    delivered = [past for past in reversed(other.days()) if past <= day]
    if not found or not delivered:
        yield f"no row has a {column}" if delivered else f"the shop has delivered no {check.of}"
        return
    unknown = set(found)
    for past in delivered:
        unknown -= set(other.read_arrow([past], [column])[column].unique().to_pylist()) if unknown else set()
    rows, lost = sum(found.values()), sum(found[value] for value in unknown)
    text = f"{lost:,} of {rows:,} rows ({lost / rows:.2%}), {len(unknown):,} of {len(found):,} values"
    yield Measured(column, lost / rows, text)


# -- against earlier days --------------------------------------------------------------------------------------------


def _volume(history: History, check: Check, day: date) -> Iterator[Measured | str]:
    column, by = check.columns
    today = history.sums(day, column, by)
    if not today:
        yield "no file was due"
    for name, rows in sorted(today.items()):
        past = [n for of in history.same_weekdays(day) if (n := history.sums(of, column, by).get(name))]
        mean = sum(past) / len(past) if past else 0
        if len(past) < LEAST_WEEKDAYS:
            yield f"{name}: {_known(len(past), day)}"
        elif mean < LEAST_EXPECTED_ROWS:
            yield f"{name}: {mean:,.0f} rows expected, too few to judge"
        else:
            text = f"{rows:,} against {mean:,.0f} expected ({_weekdays(len(past), day)}), {rows / mean:.0%}"
            yield Measured(name, rows / mean, f"{name}: {text}")


def _null_shift(history: History, check: Check, day: date) -> Iterator[Measured | str]:
    today, past = history.null_shares(day), [s for of in history.same_weekdays(day) if (s := history.null_shares(of))]
    if not today or len(past) < LEAST_WEEKDAYS:
        yield _known(len(past), day) if today else "no rows"
        return
    usual = {name: sum(shares.get(name, 1) for shares in past) / len(past) for name in check.columns}
    for name in sorted(check.columns, key=lambda name: -abs(today[name] - usual[name])):
        told = f"{name}: {today[name]:.1%} null, {usual[name]:.1%} in {_weekdays(len(past), day)}"
        yield Measured(name, abs(today[name] - usual[name]), told)


def _mix(history: History, check: Check, day: date) -> Iterator[Measured | str]:
    (column,) = check.columns
    today, past = history.counts(day, column), [history.counts(of, column) for of in history.same_weekdays(day)]
    past = [counts for counts in past if counts]
    if len(past) < LEAST_WEEKDAYS:
        yield _known(len(past), day)
        return
    values = sorted({value for counts in (today, *past) for value in counts} - set(check.without), key=str)
    counts = np.array([today.get(value, 0) for value in values])
    reference = np.array([sum(of.get(value, 0) for of in past) for value in values])
    if min(counts.sum(), reference.sum()) < LEAST_ROWS:
        yield f"fewer than {LEAST_ROWS} rows"
        return
    shares, usual = counts / counts.sum(), reference / reference.sum()
    most = np.argsort(-np.abs(shares - usual), kind="stable")[:2]
    told = ", ".join(f"{values[n]} {usual[n]:.1%} → {shares[n]:.1%}" for n in most)
    index = stability_index(reference, counts)
    yield Measured(column, index, f"{column}: {index:.2f} ({told})")


def _drift(history: History, check: Check, day: date) -> Iterator[Measured | str]:
    before = day - timedelta(days=check.days)
    if before not in history.days:
        yield f"no {history.table.table.name} of {before}"
        return
    columns = [name for name in check.columns if _was_full(history, name, before)]
    if short := len(check.columns) - len(columns):
        yield f"{short} windows reached beyond the first day of data on {before}"
    if not columns:
        return
    then, now = history.sample(before, columns), history.sample(day, columns)
    if min(len(then[columns[0]]), len(now[columns[0]])) < LEAST_ROWS:
        yield f"fewer than {LEAST_ROWS} rows"
        return
    found = {name: drift(then[name], now[name]) for name in columns}
    for name, index in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        yield Measured(name, index, f"{name} {index:.2f}")


def _was_full(history: History, name: str, day: date) -> bool:
    """Whether a window (its days end the name: _90d) lay wholly within the data on ``day``; until then it grows."""
    window, first = re.search(r"_(\d+)d$", name), LakeTable(history.home, EVENTS).days()[:1]
    return not (window and first and day - timedelta(days=int(window[1]) - 1) < first[0])


def _known(weekdays: int, day: date) -> str:
    return f"of the last four {day:%A}s {weekdays or 'none'} known, too few to judge"


def _weekdays(known: int, day: date) -> str:
    return f"last four {day:%A}s" if known == 4 else f"{known} of the last four {day:%A}s"


_KINDS: dict[str, Callable[[History, Check, date], Iterator[Measured | str]]] = {
    "is_true": _flags,
    "is_blank": _flags,
    "share": _share,
    "newest_days": _newest,
    "late_share": _late,
    "unknown_share": _unknown,
    "volume": _volume,
    "null_shift": _null_shift,
    "mix": _mix,
    "drift": _drift,
}
