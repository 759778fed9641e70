"""Landing files → lake/events: columns mapped, types and row rules held, customers keyed; refused rows → quarantine.

Every whole row that can be saved is saved, also where the day as a whole fails. The failure is told at the end, with
all files that are wrong, and stops the line before anything is published.
"""

import argparse
import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.contract import Table
from expectations.errors import DataError, SetupError
from expectations.events import EVENTS, INGEST_REPORT, QUARANTINE
from jobs.arguments import add_days, add_skip_unchanged, days_of, job_parser
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.reading.keys import CustomerKeys
from jobs.reading.map_rows import map_rows
from jobs.reading.mapping import Feed, Mapping, load_mapping
from jobs.reading.read_source import Lines, parse_csv, split_lines
from jobs.reading.rules import broken_rules
from jobs.reading.sessions import with_sessions
from jobs.schemas import arrow_schema

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("ingest", __doc__)
    parser.add_argument("--source", help="name of a mapping in jobs/sources (default: every source of the home)")
    add_days(parser)
    add_skip_unchanged(parser)
    return parser


@dataclass(frozen=True)
class Day:
    """What one day's files of one source became. Each is a table of its contract."""

    events: pa.Table
    quarantine: pa.Table
    report: pa.Table


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    days = days_of(args, arg_parser())
    if args.source:
        mapping = load_mapping(args.source)
        home.adopt(mapping.shop, mapping.source, simulated=mapping.simulated)
    if args.source and len(home.sources) > 1:
        raise SetupError(
            f"{home.path} has several sources ({', '.join(home.sources)}) and a day is replaced as a whole: "
            "leave out --source, so that all of them are read"
        )
    mappings = [load_mapping(source) for source in home.sources]
    problems = ingest_days(home, mappings, days, skip_unchanged=args.skip_unchanged)
    if problems:
        shown = "\n  ".join(problems[:20]) + (f"\n  … and {len(problems) - 20} more" if len(problems) > 20 else "")
        raise DataError(
            f"{len(problems)} file(s) could not be read whole; what could be saved is in the lake:\n  {shown}"
        )


def ingest_days(home: Home, mappings: list[Mapping], days: list[date], skip_unchanged: bool = False) -> list[str]:
    """Ingests each day of every source; returns what was wrong with files, in words."""
    keys, problems, totals = CustomerKeys.of(home), [], Counter()
    for day in days:
        expected = [item for mapping in mappings for item in deliveries(home, mapping, day)]
        if skip_unchanged and is_unchanged(home, day, expected):
            totals["days unchanged"] += 1
            continue
        read = [_read(item, keys, day, problems) for item in expected]
        _write(home, day, read, {mapping.source: mapping.session_gap_minutes for mapping in mappings})
        for result in read:
            totals += _counts(result.report)
    log.info(
        "ingested %d day(s): %s", len(days), ", ".join(f"{n:,} {what}" for what, n in totals.items()) or "no files"
    )
    return problems


@dataclass(frozen=True)
class Delivery:
    """One file of one day, there or expected. ``file`` is its path within the source's landing."""

    mapping: Mapping
    feed: Feed
    path: Path
    file: str

    def read(self, day: date) -> bytes:
        """The file's bytes; DataError if it is missing."""
        if not self.path.is_file():
            raise DataError(
                f"{self.path}: missing, though {day} is an open day of {self.mapping.source}. "
                "Deliver it, or list the day under expected.closed of the mapping"
            )
        return self.path.read_bytes()


def deliveries(home: Home, mapping: Mapping, day: date) -> list[Delivery]:
    """The day's files, and those that should be there. DataError for a day beyond those the mapping expects."""
    landing, found = home.landing_of(mapping.source), []
    for feed in mapping.feeds:
        file = feed.files.format(ds=day)
        item = Delivery(mapping, feed, landing / file, file)
        if item.path.is_file() or (mapping.expected.is_open(day) and not feed.optional):
            found.append(item)
    if not found and not mapping.expected.first <= day <= mapping.expected.last:
        raise DataError(
            f"{day} lies outside the days on which {mapping.source} is expected to deliver "
            f"({mapping.expected.first} … {mapping.expected.last}), and nothing lies in {landing} for it"
        )
    return found


def _read(item: Delivery, keys: CustomerKeys, day: date, problems: list[str]) -> Day:
    """What could be read of the file; what is wrong with it goes to ``problems``."""
    digest = ""
    try:
        data = item.read(day)
        digest = hashlib.sha256(data).hexdigest()
        lines = split_lines(data, str(item.path), item.feed.encoding)
        result = read_delivery(item, lines, digest, keys, day)
    except DataError as error:
        problems.append(str(error))
        return Day(_no_rows(EVENTS), _no_rows(QUARANTINE), _report(item, digest, False, day, 0, 0, 0, Counter()))
    if lines.is_truncated:
        problems.append(
            f"{item.path}: {lines.damage}; read were {result.report['rows_read'][0]} rows; "
            f"{result.report['rows_kept'][0]} were kept. Deliver it again"
        )
    return result


def read_delivery(item: Delivery, lines: Lines, digest: str, keys: CustomerKeys, day: date) -> Day:
    """One file's rows, sorted into kept, refused and dropped."""
    feed, mapping = item.feed, item.mapping
    parsed = parse_csv(lines, str(item.path), feed.delimiter, feed.source_columns, keep_all=feed.drop_duplicates)
    mapped = map_rows(parsed.rows, feed, mapping, keys, day)
    dropped = np.logical_or.reduce([np.zeros(len(parsed.line), bool), *mapped.dropped.values()])
    broken = mapped.broken(broken_rules(mapped.columns, EVENTS))
    broken = {rule: mask & ~dropped for rule, mask in broken.items() if (mask & ~dropped).any()}
    refused = np.logical_or.reduce([np.zeros(len(parsed.line), bool), *broken.values()])
    mapped.columns |= {
        "source_file": pa.repeat(pa.scalar(item.file), len(parsed.line)),
        "source_line": pa.array(parsed.line),
    }
    mapped.columns |= {
        "is_session_start": pa.repeat(pa.scalar(False), len(parsed.line)),
        "is_bounce": pa.repeat(pa.scalar(False), len(parsed.line)),
        "session_step_seconds": pa.repeat(pa.scalar(0, pa.int32()), len(parsed.line)),
    }
    schema = arrow_schema(EVENTS)
    events = pa.table([mapped.columns[name] for name in schema.names], names=schema.names)
    rules_of = _rules_by_line(parsed.line, broken) | {n: [rule] for n, rule in parsed.refused.items()}
    reasons = Counter(rule for rules in rules_of.values() for rule in rules)
    reasons += Counter({name: int(mask.sum()) for name, mask in _first_policy(mapped.dropped).items()})
    return Day(
        events := events.filter(pa.array(~dropped & ~refused)).cast(schema),
        _quarantine(item, lines, rules_of, day),
        _report(item, digest, not lines.is_truncated, day, kept=len(events), refused=len(rules_of),
                dropped=int(dropped.sum()), reasons=reasons, with_text=len(events) - events["text"].null_count),
    )  # fmt: skip


def _first_policy(dropped: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A row that two policies drop counts for the first, so that counts add up."""
    taken, first = False, {}
    for name, mask in dropped.items():
        first[name] = mask & ~taken
        taken = taken | mask
    return first


def _rules_by_line(line: np.ndarray, broken: dict[str, np.ndarray]) -> dict[int, list[str]]:
    rules: dict[int, list[str]] = {}
    for rule, mask in sorted(broken.items()):
        for n in line[mask]:
            rules.setdefault(int(n), []).append(rule)
    return rules


def _quarantine(item: Delivery, lines: Lines, rules_of: dict[int, list[str]], day: date) -> pa.Table:
    refused = sorted(rules_of)
    spans = [lines.span(n) for n in refused]
    rows = {
        "source": [item.mapping.source] * len(refused),
        "source_file": [item.file] * len(refused),
        "source_line": refused,
        "byte_start": [start for start, _ in spans],
        "byte_end": [end for _, end in spans],
        "failed_rules": [rules_of[n] for n in refused],
        "arrival_date": [day] * len(refused),
    }
    return pa.table(rows, schema=arrow_schema(QUARANTINE))


def _report(
    item: Delivery,
    digest: str,
    is_complete: bool,
    day: date,
    kept: int,
    refused: int,
    dropped: int,
    reasons: Counter,
    with_text: int = 0,
) -> pa.Table:
    read = kept + refused + dropped
    row = {
        "source": item.mapping.source,
        "source_file": item.file,
        "file_digest": digest,
        "is_complete": is_complete,
        "mapping_digest": item.mapping.digest,
        "rows_read": read,
        "rows_kept": kept,
        "rows_quarantined": refused,
        "rows_dropped": dropped,
        "reasons": "; ".join(f"{name}={n}" for name, n in sorted(reasons.items()) if n),
        "quarantine_share": refused / read if read else 0.0,
        "rows_unknown_product": 0,
        "rows_with_text": with_text,
        "feed": item.feed.name,
        "header": "",
        "added_columns": "",
        "arrival_date": day,
    }
    return pa.Table.from_pylist([row], schema=arrow_schema(INGEST_REPORT))


def _no_rows(table: Table) -> pa.Table:
    return arrow_schema(table).empty_table()


def is_unchanged(home: Home, day: date, files: list[Delivery]) -> bool:
    """Whether the lake holds the day as these files and mappings make it."""
    report = LakeTable(home, INGEST_REPORT)
    if not (report.has(day) and LakeTable(home, EVENTS).has(day)):
        return False
    try:
        known = report.read_arrow([day]).to_pylist()
    except DataError:  # written under another contract
        return False
    was = {(row["source"], row["source_file"], row["file_digest"], row["mapping_digest"]) for row in known}
    now = {
        (f.mapping.source, f.file, hashlib.sha256(f.path.read_bytes()).hexdigest(), f.mapping.digest)
        for f in files
        if f.path.is_file()
    }
    return was == now and all(row["is_complete"] for row in known)


def _write(home: Home, day: date, read: list[Day], gaps: dict[str, int]) -> None:
    """Replaces the day in all three tables; the report comes last, since it says that the day is done."""
    events = pa.concat_tables([_no_rows(EVENTS), *(result.events for result in read)])
    events = events.sort_by([(name, "ascending") for name in EVENTS.key])
    of_sources = [
        with_sessions(events.filter(pc.equal(events["source"], source)), gap, day) for source, gap in gaps.items()
    ]
    LakeTable(home, EVENTS).write_arrow(day, pa.concat_tables([_no_rows(EVENTS), *of_sources]))
    for table, part in ((QUARANTINE, "quarantine"), (INGEST_REPORT, "report")):
        parts = [getattr(result, part) for result in read]
        LakeTable(home, table).write_arrow(day, pa.concat_tables([_no_rows(table), *parts]))


def _counts(report: pa.Table) -> Counter:
    row = report.to_pylist()[0]
    return Counter({f"rows {what}": row[f"rows_{what}"] for what in ("read", "kept", "quarantined", "dropped")})
