"""Every check of a day's data and what it found, and what became of every row delivered."""

import json
from collections.abc import Iterator
from datetime import date

import pyarrow as pa

from expectations.behaviour import FEATURES
from expectations.events import EVENTS, INGEST_REPORT
from expectations.outcomes import DATA_QUALITY
from expectations.segments import CUSTOMER_SEGMENTS
from jobs.checks.outcomes import result_path
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.risk.listing import count
from jobs.schemas import arrow_schema

GATED = (EVENTS, INGEST_REPORT, FEATURES, CUSTOMER_SEGMENTS)
"""Tables that the daily line gates before it publishes."""
FATES = {"rows_read": "read", "rows_kept": "kept", "rows_quarantined": "refused by a rule",
         "rows_dropped": "left out by a policy"}  # fmt: skip
"""Column of ingest_report → what became of those rows."""


def quality(home: Home, day: date) -> pa.Table:
    """Rows of the data_quality contract."""
    rows = [*_checks(home, day), *_fates(home, day)]
    return pa.Table.from_pylist([{"snapshot_date": day, **row} for row in rows], arrow_schema(DATA_QUALITY))


def _checks(home: Home, day: date) -> Iterator[dict]:
    """Each outcome that a gate of the day has kept; nothing of a table that was not gated by itself on that day."""
    for table in GATED:
        path = result_path(home, table, day, day)
        if path.is_file():
            yield from (_check(table.name, outcome) for outcome in json.loads(path.read_text())["outcomes"])


def _check(table_name: str, outcome: dict) -> dict:
    measured = outcome.get("measured") or {}
    number = next(iter(measured.values()), outcome["unexpected_count"])
    return {
        "table_name": table_name,
        "check_name": outcome["name"],
        "severity": outcome["severity"],
        "has_held": outcome["passed"],
        "observed": None if number is None else float(number),
        "words": f"expected {outcome['expected']}; found {outcome['observed']}",
    }


def _fates(home: Home, day: date) -> Iterator[dict]:
    """What became of the rows of each feed that was delivered on the day; nothing on a day without a delivery."""
    report = LakeTable(home, INGEST_REPORT)
    if not report.has(day):
        return
    rows = report.read_arrow([day], ["source", "feed", *FATES]).to_pandas()
    for (source, feed), sums in rows.groupby(["source", "feed"])[list(FATES)].sum().iterrows():
        for name, words in FATES.items():
            yield {
                "table_name": f"{source}/{feed}",
                "check_name": name,
                "severity": "info",
                "has_held": None,
                "observed": float(sums[name]),
                "words": f"{count(sums[name], 'row')} {words}",
            }
