"""What was refused on a day and why: per file and rule, with examples read back from landing; --replay ingests it anew.

The lines' text goes to this terminal alone: it holds what customers are known by.
"""

import argparse
import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import DataError, SetupError
from expectations.events import INGEST_REPORT, QUARANTINE
from jobs.arguments import add_day, job_parser
from jobs.checks.chosen import chosen
from jobs.home import Home
from jobs.ingest import ingest_days
from jobs.lake import LakeTable
from jobs.onboarding.shown import shown
from jobs.reading.mapping import load_mapping
from jobs.reading.uncompress import uncompress
from jobs.sql import format_table

log = logging.getLogger(__name__)
PARQUET, RETURN = b"PAR1", b"\r"
COUNTS = ("rows_read", "rows_kept", "rows_quarantined", "rows_dropped")


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("quarantine", __doc__)
    add_day(parser)
    parser.add_argument("--source", metavar="S", help="this source alone (default: every source of the home)")
    parser.add_argument("--show", type=int, default=2, metavar="N", help="lines to show per file and rule (default: 2)")
    parser.add_argument(
        "--replay", action="store_true", help="ingest the day again, after a mapping or a file was mended"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    if args.source and args.source not in home.sources:
        raise SetupError(f"{home.path} has no source {args.source!r}; it has {', '.join(home.sources)}")
    if args.replay:
        problems = replay(home, args.ds, args.source)
        if problems:
            raise DataError("the day was ingested again, and these files are still wrong:\n  " + "\n  ".join(problems))
        return
    print(summary(home, args.ds, args.source, args.show))


def read_reports(home: Home, day: date, source: str | None = None) -> list[dict]:
    """The day's rows of ingest_report, of ``source`` alone where given. DataError if the day was not ingested."""
    rows = LakeTable(home, INGEST_REPORT).read_arrow([day]).to_pylist()
    return [row for row in rows if source in (None, row["source"])]


def summary(home: Home, day: date, source: str | None = None, show: int = 2) -> str:
    """Per file: its counts against the gate, and for each rule how many lines broke it, with ``show`` of them."""
    refused: dict[tuple[str, str], list[dict]] = {}
    for row in LakeTable(home, QUARANTINE).read_arrow([day]).to_pylist():
        refused.setdefault(_file(row), []).append(row)
    parts = [
        "\n".join(_of_file(home, report, refused.get(_file(report), []), show))
        for report in read_reports(home, day, source)
        if report["rows_quarantined"] or not report["is_complete"]
    ]
    if not parts:
        return f"{day}: nothing was refused"
    return "\n\n".join(parts) + (
        "\n\nWhat may mend it: python -m jobs check_source --source S --path FILE"
        f"\nAfter mending the mapping or the file: python -m jobs quarantine --ds {day} --replay"
    )


def gate_verdict(home: Home, report: dict) -> str:
    """Where a file's refused share stands against the home's checks of ingest_report, in words."""
    share = report["quarantine_share"]
    checks = chosen(home, INGEST_REPORT).checks
    bounds = {check.severity: check.maximum for check in checks if check.columns == ("quarantine_share",)}
    if share > bounds["fail"]:
        return f"{share:.2%} refused: more than the {bounds['fail']:.0%} at which the gate stops the line"
    if share > bounds["warn"]:
        return f"{share:.2%} refused: the gate warns above {bounds['warn']:.0%}, stops above {bounds['fail']:.0%}"
    return f"{share:.2%} refused: within the {bounds['warn']:.0%} that the gate lets pass in silence"


def _of_file(home: Home, report: dict, refused: list[dict], show: int) -> Iterator[str]:
    yield (
        f"{report['source']} {report['source_file']}: {report['rows_read']:,} rows read, {report['rows_kept']:,} kept, "
        f"{report['rows_dropped']:,} dropped, {report['rows_quarantined']:,} quarantined"
    )
    yield f"  gate: {gate_verdict(home, report)}"
    path = home.landing_of(report["source"]) / report["source_file"]
    if not report["is_complete"]:
        yield f"  {'read in part: it is damaged' if report['file_digest'] else 'missing'}: deliver {path} again"
    counts = Counter(rule for row in refused for rule in row["failed_rules"])
    encoding = _encoding_of(report)
    raw, note = _landed(path, report["file_digest"])
    if note and refused:
        yield f"  {note}"
    for rule, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield f"  {rule}: {count:,}"
        examples = [row for row in refused if rule in row["failed_rules"]][:show]
        yield from (f"    {_example(path, row, raw, encoding)}" for row in examples)


def _landed(path: Path, digest: str) -> tuple[bytes | None, str]:
    """The file's uncompressed bytes if they are those that were ingested, else why its lines cannot be shown."""
    if not path.is_file():
        return None, f"{path} is no longer there, so that no line of it can be shown"
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        return None, "the file was changed since it was ingested: its lines stand elsewhere now; --replay ingests it"
    return uncompress(data)[0], ""


def _encoding_of(report: dict) -> str:
    """The encoding in which the file's feed writes; UTF-8 while its mapping cannot be read."""
    try:
        feeds = load_mapping(report["source"]).feeds
    except SetupError:
        return "utf-8"
    return next((feed.encoding for feed in feeds if feed.name == report["feed"]), "utf-8")


def _example(path: Path, row: dict, raw: bytes | None, encoding: str) -> str:
    place = f"{path}:{row['source_line']}"
    if raw is None:
        return f"{place} (bytes {row['byte_start']:,}–{row['byte_end']:,})"
    if raw.startswith(PARQUET):  # it has rows, no lines
        values = pq.read_table(pa.BufferReader(raw)).slice(row["source_line"] - 1, 1).to_pylist()[0]
        return f"{place}  {shown(', '.join(f'{name}={value}' for name, value in values.items()).encode())}"
    line = raw[row["byte_start"] : row["byte_end"]]
    return f"{place} (bytes {row['byte_start']:,}–{row['byte_end']:,})  {shown(line.removesuffix(RETURN), encoding)}"


def replay(home: Home, day: date, source: str | None = None) -> list[str]:
    """Ingests the day again, all sources of the home, and prints each file's counts before and after.

    Returns what is still wrong with files, in words.
    """
    was_ingested = LakeTable(home, INGEST_REPORT).has(day)
    before = {_file(row): row for row in read_reports(home, day, source)} if was_ingested else {}
    problems = ingest_days(home, [load_mapping(each) for each in home.sources], [day])
    after = {_file(row): row for row in read_reports(home, day, source)}
    lines = [_change(before.get(file), after.get(file)) for file in sorted(before | after)]
    names = ["source", "file", *COUNTS, "reasons"]
    print(format_table(names, lines, right=[False] * len(names)))
    return problems


def _file(report: dict) -> tuple[str, str]:
    return report["source"], report["source_file"]


def _change(before: dict | None, after: dict | None) -> list[str]:
    """One file's line of the table: ``before -> after``, or one number where they are equal."""

    def pair(name: str) -> str:
        was, now = ("-" if row is None else _text(row[name]) for row in (before, after))
        return now if was == now else f"{was} -> {now}"

    return [*_file(after or before), *(pair(name) for name in (*COUNTS, "reasons"))]


def _text(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value or "none"
