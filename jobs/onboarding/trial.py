"""A sample of a source's files through the reader of ingestion, with nothing written: what became of each row."""

import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from jobs.onboarding.inputs import Input, names_in, pieces_of
from jobs.onboarding.shown import shown
from jobs.onboarding.split import days_of
from jobs.reading.deliveries import Delivery
from jobs.reading.feed import Feed
from jobs.reading.ingest_file import Read, ingest_file
from jobs.reading.keys import CustomerKeys
from jobs.reading.layout import Parsed
from jobs.reading.mapping import Mapping
from jobs.reading.products import NO_PRODUCTS
from jobs.reading.read_source import read_source

MOST_FILES = 20
"""Of which a sample is taken."""
MOST_TEXTS = 1000
"""Distinct texts kept of what a rule refused: enough to say what they have in common."""


@dataclass(frozen=True)
class Piece(Delivery):
    """A piece of a file, delivered as if it were a file."""

    data: bytes = b""

    def read(self, day: date) -> bytes:
        return self.data


@dataclass
class Refusal:
    """What one rule refused: how many rows, the first of them, and texts that stood in the columns concerned."""

    place: str
    line: str
    raw: bytes = b""
    count: int = 0
    texts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Example:
    """A row as it stands in the file and as an event; ``fields`` are its texts by column."""

    place: str
    line: str
    fields: dict[str, str | None]
    event: dict


@dataclass
class Trial:
    """What became of the rows of one feed. Counts are rows; ``days`` are event dates of kept rows."""

    feed: Feed
    inputs: list[Input]
    names: list[str] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    policies: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    days: Counter[date] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    is_whole: bool = True

    @property
    def refused_share(self) -> float:
        return self.rows["quarantined"] / self.rows["read"] if self.rows["read"] else 0.0

    def some_examples(self, most: int = 10) -> list[Example]:
        """One of each event type, then others, in the order of the file."""
        each = [examples[0] for examples in self.examples.values()]
        more = [example for examples in self.examples.values() for example in examples[1:]]
        return [*each, *more][:most]


def try_feed(mapping: Mapping, inputs: list[Input], rows: int | None) -> Trial:
    """The ``inputs`` of one feed under a key made for this trial alone; ``rows``: about how many of them, None for all.

    A sample is taken from files over the whole time, since a shop's files change over the years.
    """
    trial, keys = Trial(inputs[0].feed, inputs), CustomerKeys(secrets.token_bytes(32))
    sample = inputs if rows is None else inputs[:: -(-len(inputs) // MOST_FILES)]
    most = None if rows is None else max(1, rows // len(sample))
    for each in sample:
        read = sum(_try_piece(trial, mapping, each, *piece, keys) for piece in pieces_of(each.path, each.feed, most))
        trial.is_whole = trial.is_whole and (most is None or read < most)
    trial.is_whole = trial.is_whole and len(sample) == len(inputs)
    return trial


def _try_piece(trial: Trial, mapping: Mapping, each: Input, data: bytes, before: int, keys: CustomerKeys) -> int:
    feed = trial.feed
    trial.names = trial.names or names_in(data, each.path, feed)
    parsed = read_source(data, str(each.path), feed, feed.always, feed.source_columns, keep_all=feed.drop_duplicates)
    piece = Piece(mapping, feed, each.path, str(each.path), data)
    result = ingest_file(piece, keys, NO_PRODUCTS, each.day or _last_day(parsed, feed, mapping.timezone))
    report = result.report
    for what in ("read", "kept", "quarantined", "dropped"):
        trial.rows[what] += report[f"rows_{what}"]
    refused = _note_refusals(trial, each.path, parsed, result, before)
    reasons = dict(pair.rsplit("=", 1) for pair in report["reasons"].split("; ") if pair)
    trial.policies += Counter({name: int(n) for name, n in reasons.items() if name not in refused})
    _note_events(trial, each.path, parsed, result, before)
    return report["rows_read"]


def _last_day(parsed: Parsed, feed: Feed, timezone: str) -> date:
    """The day on which a history can have been delivered as a whole; ``land`` gives each row its own."""
    days = days_of(parsed, feed, timezone)
    days = days[~np.isnat(days)]
    return days.max().astype(object) if len(days) else date(2000, 1, 1)


def _note_refusals(trial: Trial, path: Path, parsed: Parsed, result: Read, before: int) -> set[str]:
    rules, row_of = set(), {int(n): row for row, n in enumerate(parsed.line)}
    for refused in result.quarantine.to_pylist():
        n = refused["source_line"]
        for rule in refused["failed_rules"]:
            rules.add(rule)
            fields = _fields(parsed, row_of[n], columns_of(rule, trial.feed)) if n in row_of else {}
            raw = parsed.lines.bytes_of(n) if parsed.lines else b""
            found = trial.refusals.setdefault(rule, Refusal(f"{path}:{n + before}", _line(parsed, n, fields), raw))
            found.count += 1
            if len(found.texts) < MOST_TEXTS:
                found.texts.update(text for text in fields.values() if text)
    return rules


def _note_events(trial: Trial, path: Path, parsed: Parsed, result: Read, before: int) -> None:
    events = result.events
    if not len(events):
        return
    for name, counts in (("event_type", trial.types), ("event_date", trial.days)):
        for found in events[name].value_counts().to_pylist():
            counts[found["values"]] += found["counts"]
    for name in events.column_names:
        trial.filled[name] += len(events) - events[name].null_count
    row_of = {int(n): row for row, n in enumerate(parsed.line)}
    kinds = events["event_type"].cast(pa.string()).to_numpy(zero_copy_only=False)
    for kind in dict.fromkeys(kinds):
        kept = trial.examples.setdefault(kind, [])
        for at in np.flatnonzero(kinds == kind)[: 10 - len(kept)]:
            event = events.slice(int(at), 1).to_pylist()[0]
            fields = _fields(parsed, row_of[event["source_line"]], trial.feed.source_columns)
            place = f"{path.name}:{event['source_line'] + before}"
            kept.append(Example(place, _line(parsed, event["source_line"], fields), fields, event))


def columns_of(rule: str, feed: Feed) -> list[str]:
    """The columns of the file that a rule speaks of."""
    if rule.startswith("event_type_") and feed.event_type.column:
        return [feed.event_type.column]
    if rule.startswith("event_date_"):
        return list(feed.columns["event_time"])
    if rule.startswith("customer_key_"):
        return list(feed.columns["customer_id"])
    named = [name for name in feed.source_columns if rule.startswith(f"{name}_")]
    target = max((t for t in feed.columns if rule.startswith(f"{t}_")), key=len, default="")
    return named or list(feed.columns.get(target, ()))


def _fields(parsed: Parsed, row: int, columns: list[str]) -> dict[str, str | None]:
    return {name: _text(parsed.rows[name], row) for name in columns if name in parsed.rows}


def _text(column: object, row: int) -> str | None:
    if hasattr(column, "codes"):
        return column.values[int(column.codes[row])].as_py() if column.codes[row] >= 0 else None
    value = column[row].as_py()
    return value.isoformat(" ") if isinstance(value, date | datetime) else value


def _line(parsed: Parsed, line: int, fields: dict[str, str | None]) -> str:
    """The line as it stands; of a file without lines, the columns that matter."""
    if parsed.lines:
        return shown(parsed.lines.bytes_of(line).removesuffix(b"\r"), parsed.lines.encoding)
    return ", ".join(f"{name}={text}" for name, text in fields.items())
