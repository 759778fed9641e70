"""A first mapping for files no one has described yet: guessed from names and values, to be read and corrected."""

import json
import re
from datetime import date
from pathlib import Path

import pyarrow as pa

from jobs.onboarding.advice import fits
from jobs.onboarding.hints import (
    USUAL_COLUMNS,
    column_for,
    epoch_unit,
    event_type_for,
    time_formats_for,
)
from jobs.onboarding.sniff import Sample, read_sample
from jobs.onboarding.streams import compression_of, files_below
from jobs.reading.feed import FILLABLE
from jobs.reading.times import SINCE_1970, times

MOST_TYPES = 30
"""A column of more distinct values than this says no event types."""


def draft(name: str, path: Path) -> str:
    """The YAML of a mapping called ``name`` for the first file at ``path``."""
    sample = read_sample(files_below(path)[0])
    event_time, formats = _time_of(sample)
    event_type = _type_column(sample, event_time)
    columns = _columns_of(sample, event_time, event_type)
    first, last = _span(sample.texts.get(event_time, []), formats)
    lines = [
        f"# A first mapping of {sample.path.name}, guessed: read every line. docs/ten_minutes.md says what comes next.",
        f"source: {name}",
        f"shop: {name}",
        "timezone: UTC              # of the times in the files, such as Europe/Berlin",
        "currency: XXX              # of the amounts, such as EUR",
        "expected:",
        f"  first: {first}        # the first day of the history",
        f"  last: {last}         # leave out for a shop that goes on",
        "feeds:",
        "  - name: events",
        *_layout_lines(sample),
        *([f"    time_formats: {json.dumps(formats, ensure_ascii=False)}"] if formats else []),
        *([f"    assumed_year: {first[:4]}       # the dates name no year"] if _lacks_year(formats) else []),
        *_type_lines(sample, event_type),
        *_money_lines(columns),
        "    columns:",
        *(f"      {target}: {_quoted(column)}" for target, column in columns.items()),
    ]
    unread = [each for each in sample.names if each not in {*columns.values(), event_type}]
    lines += [f"      # columns not used yet: {', '.join(unread)}"] if unread else []
    lines.append(f"      # can be filled too: {', '.join(name for name in FILLABLE if name not in columns)}")
    return "\n".join(lines) + "\n"


def _time_of(sample: Sample) -> tuple[str, list[str]]:
    """The column of the event's time and its formats: the one called so, else the first whose texts are times."""
    named = column_for("event_time", sample.names)
    for name in dict.fromkeys([*([named] if named else []), *sample.names]):
        texts = sample.texts.get(name, [])
        if not texts and name == named and sample.layout.format == "parquet":
            return name, []  # typed
        if name != named and epoch_unit(texts[:1000]):  # a barcode or an id may look like one
            continue
        if forms := time_formats_for(texts[:1000], fits):
            return name, forms[:1]
    return named or "?", ["?"]


def _type_column(sample: Sample, event_time: str) -> str:
    """The column that says what happened: the one called so, else one whose words are mostly known; empty for none."""
    words = {name: set(texts) for name, texts in sample.texts.items() if 0 < len(set(texts)) <= MOST_TYPES}
    named = column_for("event_type", sample.names, [event_time])
    known = [name for name, of in words.items() if 2 * sum(bool(event_type_for(w)) for w in of) > len(of) > 1]
    return named if named in words else (known or [""])[0]


def _columns_of(sample: Sample, event_time: str, event_type: str) -> dict[str, str]:
    """Target → column of the file, by usual names."""
    taken, columns = [event_time, event_type], {}
    for target in USUAL_COLUMNS:
        column = event_time if target == "event_time" else column_for(target, sample.names, taken)
        if column:
            columns[target] = column
            taken.append(column)
    columns.setdefault("customer_id", "?")
    if "unit_price" in columns and "amount" in columns:
        columns["price"] = columns.pop("unit_price")
    return columns


def _span(texts: list[str], formats: list[str]) -> tuple[str, str]:
    if not texts or formats in ([], ["?"]):
        return "2024-01-01", "2024-12-31"
    read = times(pa.array(texts, pa.string()), tuple(formats), 2024 if _lacks_year(formats) else 0)[0]
    days = read.cast(pa.date32(), safe=False).drop_null().to_pylist() or [date(2024, 1, 1)]
    return str(min(days)), str(max(days))


def _lacks_year(formats: list[str]) -> bool:
    return bool(formats) and not {"?", *SINCE_1970} & {*formats} and not re.search("%[Yy]", formats[0])


def _layout_lines(sample: Sample) -> list[str]:
    layout = sample.layout
    suffix = {"csv": ".csv", "jsonl": ".jsonl", "parquet": ".parquet"}[layout.format]
    packed = {"gzip": ".gz", "zstd": ".zst", "bzip2": ".bz2"}.get(compression_of(sample.path), "")
    lines = [f'    files: "ds={{ds}}/events{suffix}{packed}"']
    lines += [f"    format: {layout.format}"] if layout.format != "csv" else []
    if not layout.header:
        lines += ["    header: false", f"    column_names: [{', '.join(layout.column_names)}]   # name them"]
    if layout.format == "csv" and layout.delimiter != ",":
        lines.append(f"    delimiter: {json.dumps(layout.delimiter)}")
    return lines + ([f"    encoding: {layout.encoding}"] if layout.encoding != "utf-8" else [])


def _type_lines(sample: Sample, column: str) -> list[str]:
    if not column:
        return ["    event_type: purchase       # of every row"]
    words = sorted(set(sample.texts[column]))
    return [
        "    event_type:",
        f"      column: {_quoted(column)}",
        "      values:",
        *(f"        {json.dumps(word, ensure_ascii=False)}: {event_type_for(word) or '?'}" for word in words),
    ]


def _money_lines(columns: dict[str, str]) -> list[str]:
    """What purchases need and no column gives."""
    if "unit_price" in columns and "quantity" not in columns:
        return ["    constants: {quantity: 1}   # a row is one piece"]
    if not {"amount", "unit_price"} & columns.keys():
        return ["    constants: {amount: 0}     # no column of amounts was recognised"]
    return []


def _quoted(name: str) -> str:
    """The name as YAML takes it for a text."""
    return (
        name
        if name.isidentifier() and name.lower() not in ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
        else json.dumps(name, ensure_ascii=False)
    )
