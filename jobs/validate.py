"""Great Expectations gate on a lake table: fail stops (exit 65), warn reports.

``--table events`` also gates ingest_report, which holds the share of refused rows. A range is gated in one pass, its
row counts day by day. Results stay under <home>/validations; ``--docs`` builds Great Expectations' Data Docs from them.
"""

import argparse
import json
import logging
from datetime import date
from typing import TYPE_CHECKING

from expectations.contract import Table
from expectations.events import EVENTS, INGEST_REPORT
from expectations.tables import LAKE
from jobs.arguments import add_days, add_engine, add_skip_unchanged, days_of, job_parser
from jobs.checks.chosen import chosen
from jobs.checks.gate import gate_frame
from jobs.checks.outcomes import GateResult, contract_digest, result_path
from jobs.checks.sorted_keys import counts_if_unique
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

# What is gated together: a table's rows mean little without the count of those refused on the way.
TOGETHER = {EVENTS: (INGEST_REPORT,)}


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("validate", __doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--table", choices=[table.name for table in LAKE], help="the lake table to gate")
    what.add_argument("--docs", action="store_true", help="build Data Docs from the kept results and print its address")
    add_days(parser)
    add_engine(parser)
    add_skip_unchanged(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    """Prints one line a table. DataError if a check of severity fail is broken or a partition is missing."""
    home = Home.from_environment(args.home)
    if args.docs:
        from jobs.checks.data_docs import build_data_docs

        print(build_data_docs(home))
        return
    days = days_of(args, arg_parser())
    table = next(t for t in LAKE if t.name == args.table)
    tables = (table, *TOGETHER.get(table, ()))
    for each in tables:
        LakeTable(home, each).require(days)
    names = " and ".join(t.name for t in tables)
    if args.skip_unchanged and all(has_passed(home, each, days) for each in tables):
        log.info("%s passed as they are", names)
        return
    log.info("gate of %s", names)
    with open_engine(args.engine) as spark:
        results = [gate_partitions(home, each, spark, days) for each in tables]
    for result in results:
        report(result)
    for each, result in zip(tables, results, strict=True):
        result.raise_if_failed(details=refusals(home, days) if each is INGEST_REPORT else "")


def has_passed(home: Home, table: Table, days: list[date]) -> bool:
    """Whether the partitions passed the gate together, by today's contract, after they were last written."""
    path = result_path(home, table, days[0], days[-1])
    if not path.exists() or path.stat().st_mtime_ns <= max(LakeTable(home, table).written_at(day) for day in days):
        return False
    kept = json.loads(path.read_text())
    return kept["passed"] and kept.get("contract") == contract_digest(chosen(home, table))


def gate_partitions(home: Home, table: Table, spark: "SparkSession", days: list[date]) -> GateResult:
    """Gates the partitions of ``days`` (consecutive), all in one pass. DataError if one is missing."""
    rows = LakeTable(home, table)
    return gate_frame(home, table, rows.read(spark, days), days[0], last=days[-1], unique=counts_if_unique(rows, days))


def report(result: GateResult) -> None:
    """Each warning to the log, the summary to standard output."""
    for o in result.warned:
        log.warning(
            "%s %s: %s: expected %s; observed %s (%s)", result.table, result.days, o.name, o.expected, o.observed, o.why
        )
    print(result.summary(), flush=True)


def refusals(home: Home, days: list[date], most: int = 10) -> str:
    """The files with the largest share of refused rows, with the count of each reason."""
    columns = ["arrival_date", "source_file", "rows_read", "rows_quarantined", "quarantine_share", "reasons"]
    rows = LakeTable(home, INGEST_REPORT).read_arrow(days, columns).sort_by(
        [("quarantine_share", "descending"), ("source_file", "ascending")]
    )  # fmt: skip
    lines = [
        f"  {r['arrival_date']} {r['source_file']}: {r['rows_quarantined']:,} of {r['rows_read']:,} rows refused "
        f"({r['quarantine_share']:.1%}): {r['reasons']}"
        for r in rows.slice(0, most).to_pylist()
        if r["rows_quarantined"]
    ]
    return "\n".join(lines)
