"""A first mapping for files no one has described yet: guessed from names and values, to be read and corrected."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from expectations.errors import SetupError
from jobs.onboarding.advice import fits
from jobs.onboarding.hints import (
    USUAL_COLUMNS,
    column_for,
    delimiter_for,
    epoch_unit,
    event_type_for,
    looks_like_data,
    time_formats_for,
)
from jobs.onboarding.inputs import names_in, pieces_of
from jobs.onboarding.streams import compression_of, files_below, open_stream
from jobs.reading.coded import Coded
from jobs.reading.feed import FILLABLE
from jobs.reading.layout import WHITESPACE, Layout
from jobs.reading.read_source import read_source
from jobs.reading.times import times

SAMPLE_ROWS = 20_000
MOST_TYPES = 30
"""A column of more distinct values than this says no event types."""


@dataclass(frozen=True)
class Sample:
    """The head of a file: its layout, the names of its columns and some texts of each; typed times have none."""

    path: Path
    layout: Layout
    names: list[str]
    texts: dict[str, list[str]]


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


def read_sample(path: Path) -> Sample:
    """The layout that the file's first bytes speak for, and the first rows read by it."""
    layout = layout_of(path)
    data, _ = next(pieces_of(path, layout, SAMPLE_ROWS), (b"", 0))
    names = names_in(data, path, layout)
    # A key that holds keys is no value itself.
    plain = [each for each in names if names.count(each) == 1 and not any(n.startswith(f"{each}.") for n in names)]
    parsed = read_source(data, str(path), layout, [], plain)
    texts = {
        each: [text for text in column.values.to_pylist() if text] if isinstance(column, Coded) else []
        for each, column in parsed.rows.items()
    }
    return Sample(path, layout, plain, texts)


def layout_of(path: Path) -> Layout:
    """parquet and JSON lines by their first bytes, else a csv by its first line."""
    with open_stream(path) as stream:
        head = stream.read(1 << 16)
    if head.startswith(b"PAR1"):
        return Layout(format="parquet")
    lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    if not lines:
        raise SetupError(f"{path} is empty")
    encoding = _encoding_of(head[: head.rfind(b"\n") + 1] or head)
    if lines[0].lstrip().startswith(b"{"):
        return Layout(format="jsonl", encoding=encoding)
    first = lines[0].decode(encoding)
    delimiter = delimiter_for(first)
    fields = first.split() if delimiter == WHITESPACE else first.split(delimiter)
    if looks_like_data(fields):
        return Layout(header=False, column_names=tuple(f"column_{n}" for n in range(1, len(fields) + 1)),
                      delimiter=delimiter, encoding=encoding)  # fmt: skip
    return Layout(delimiter=delimiter, encoding=encoding)


def _encoding_of(head: bytes) -> str:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"  # takes any byte; the reader sees by the names whether it is right
    return "utf-8"


def _time_of(sample: Sample) -> tuple[str, list[str]]:
    """The column of the event's time and its formats: the one called so, else the first whose texts are times."""
    named = column_for("event_time", sample.names)
    for name in dict.fromkeys([*([named] if named else []), *sample.names]):
        texts = sample.texts.get(name, [])
        if not texts and name == named:
            return name, []  # typed, as in parquet
        if epoch_unit(texts[:1000]):
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
    return bool(formats) and formats != ["?"] and "%Y" not in formats[0] and "%y" not in formats[0]


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
