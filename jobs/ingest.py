"""Landing files → lake/events: columns mapped, types and row rules held, customers keyed; refused rows → quarantine.

Every whole row that can be saved is saved, also where the day as a whole fails. The failure is told at the end, with
all files that are wrong, and stops the line before anything is published.
"""

import argparse
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from expectations.errors import DataError, SetupError
from expectations.events import EVENTS, INGEST_REPORT, QUARANTINE
from jobs.arguments import add_days, add_skip_unchanged, days_of, job_parser
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.reading.changed_columns import Headers
from jobs.reading.deliveries import Delivery, deliveries, is_unchanged
from jobs.reading.ingest_dimensions import ingest_dimensions
from jobs.reading.ingest_file import Read, ingest_file
from jobs.reading.keys import CustomerKeys
from jobs.reading.mapping import Mapping, load_mapping
from jobs.reading.product_lookup import ProductLookup
from jobs.reading.products import Products
from jobs.reading.sessions import with_sessions
from jobs.reading.vault_file import keep_ids
from jobs.schemas import arrow_schema

log = logging.getLogger(__name__)
MOST_DAYS = 4
"""Days that are read side by side: each is held in memory as a whole."""


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("ingest", __doc__)
    parser.add_argument("--source", help="name of a mapping in jobs/sources (default: every source of the home)")
    add_days(parser)
    add_skip_unchanged(parser)
    return parser


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


@dataclass(frozen=True)
class Day:
    """What a day's files of all sources are and became."""

    day: date
    items: list[tuple[Delivery, Products]]
    gaps: dict[str, int]

    def read(self, keys: CustomerKeys) -> tuple[pa.Table, list[Read]]:
        """The day's events with their sessions, in the order of the contract's key, and what each file became."""
        items = sorted(self.items, key=lambda item: (item[0].mapping.source, item[0].file))
        read = [ingest_file(item, keys, products, self.day) for item, products in items]
        parts = [arrow_schema(EVENTS).empty_table()]
        for source in dict.fromkeys(result.report["source"] for result in read):
            events = [r.events for r in read if r.report["source"] == source and len(r.events)]
            if events:
                parts.append(with_sessions(pa.concat_tables(events), self.gaps[source], self.day))
        return pa.concat_tables([part.cast(parts[0].schema) for part in parts]), read


def ingest_days(home: Home, mappings: list[Mapping], days: list[date], skip_unchanged: bool = False) -> list[str]:
    """Ingests each day of every source; returns what was wrong with files, in words."""
    keys, problems, totals, headers = CustomerKeys.of(home), [], Counter(), Headers(home)
    ingest_dimensions(home, mappings, days, keys, problems)
    for day, result in _in_order(lambda due: due.read(keys), _due(home, mappings, days, skip_unchanged)):
        if result is None:
            totals["days unchanged"] += 1
            headers.forget()
            continue
        events, read = result
        problems += [r.problem for r in read if r.problem]
        if _would_lose(home, day, read):
            problems.append(f"{day}: what the lake holds of an earlier, whole delivery of the day is left as it is")
            continue
        _write(home, day, events, read, headers)
        totals.update({f"rows {what}": sum(r.report[f"rows_{what}"] for r in read)
                       for what in ("read", "kept", "quarantined", "dropped")})  # fmt: skip
    log.info(
        "ingested %d day(s): %s", len(days), ", ".join(f"{n:,} {what}" for what, n in totals.items()) or "no files"
    )
    return problems


def _would_lose(home: Home, day: date, read: list[Read]) -> bool:
    """Whether nothing could be read of a day that the lake holds whole: its landing was cleared, say."""
    report = LakeTable(home, INGEST_REPORT)
    if (
        not read
        or any(r.report["file_digest"] for r in read)
        or not (report.has(day) and LakeTable(home, EVENTS).has(day))
    ):
        return False
    return all(report.read_arrow([day], ["is_complete"])["is_complete"].to_pylist())


def _due(
    home: Home, mappings: list[Mapping], days: list[date], skip_unchanged: bool
) -> Iterator[tuple[date, Day | None]]:
    """Each day with what is to be read; None for a day that is left as it is."""
    products, gaps = ProductLookup(home), {mapping.source: mapping.session_gap_minutes for mapping in mappings}
    for day in days:
        expected = [item for mapping in mappings for item in deliveries(home, mapping, day)]
        if skip_unchanged and is_unchanged(home, day, expected):
            yield day, None
        else:
            yield day, Day(day, [(item, products.of(item.mapping, day)) for item in expected], gaps)


def _in_order(
    read: Callable[[Day], tuple], due: Iterable[tuple[date, Day | None]]
) -> Iterator[tuple[date, tuple | None]]:
    """What ``read`` makes of each day, in order, a few days ahead of who asks: Arrow works without Python's lock."""
    threads = min(os.cpu_count() or 1, MOST_DAYS)
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque = deque()
        for day, item in due:
            ahead.append((day, pool.submit(read, item) if item else None))
            if len(ahead) > threads:
                yield _ended(*ahead.popleft())
        while ahead:
            yield _ended(*ahead.popleft())


def _ended(day: date, future: object) -> tuple[date, tuple | None]:
    return day, future.result() if future else None


def _write(home: Home, day: date, events: pa.Table, read: list[Read], headers: Headers) -> None:
    """Replaces the day in all three tables; the report comes last, since it says that the day is done."""
    keep_ids(home, day, [result.customers for result in read])
    LakeTable(home, EVENTS).write_arrow(day, events, is_sorted=True)
    refused = pa.concat_tables([arrow_schema(QUARANTINE).empty_table(), *(result.quarantine for result in read)])
    LakeTable(home, QUARANTINE).write_arrow(day, refused)
    for result in read:
        if added := headers.added(result.report):
            result.report["added_columns"] = ", ".join(added)
            log.warning("%s of %s has new columns: %s", result.report["source_file"], day, ", ".join(added))
    report = pa.Table.from_pylist([result.report for result in read], schema=arrow_schema(INGEST_REPORT))
    LakeTable(home, INGEST_REPORT).write_arrow(day, report)
