"""A real shop run day by day for ten days is the same shop run in bulk: byte for byte, over a month's end."""

import os
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

from expectations.behaviour import (
    CUSTOMER_DAY,
    CUSTOMER_HISTORY,
    CUSTOMER_MONTH,
    CUSTOMER_PRODUCT,
    FEATURES,
    PREFERENCES,
)
from expectations.events import EVENTS, INGEST_REPORT, QUARANTINE
from expectations.profiles import EVENT_PROFILE, PRICE_BOUNDS
from jobs import aggregate, build_features
from jobs.home import Home
from jobs.ingest import ingest_days
from jobs.lake import LakeTable
from jobs.reading.keys import ensure_key
from jobs.reading.mapping import load_mapping

pytestmark = pytest.mark.slow
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "online_retail"
FIRST, BEFORE, LAST = date(2010, 12, 1), date(2011, 1, 27), date(2011, 2, 6)
TABLES = (
    *(EVENTS, QUARANTINE, INGEST_REPORT, EVENT_PROFILE, PRICE_BOUNDS, CUSTOMER_DAY, CUSTOMER_PRODUCT),
    CUSTOMER_MONTH,
)
# What has a partition for each snapshot that was asked for.
OF_SNAPSHOTS = (CUSTOMER_HISTORY, FEATURES, PREFERENCES)


def run(home: Home, days: list[date], snapshot: date) -> None:
    """Ingests, aggregates and builds features, as the DAG's commands do."""
    ingest_days(home, [load_mapping("online_retail")], days)
    where = ["--home", str(home.path), "--engine", "sail"]
    aggregate.main(aggregate.arg_parser().parse_args([*where, "--from", str(days[0]), "--to", str(days[-1])]))
    build_features.main(build_features.arg_parser().parse_args([*where, "--ds", str(snapshot)]))


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the Online Retail files in ../shared/data")
def test_ten_days_one_by_one_are_the_ten_at_once(tmp_path):
    bulk = Home(tmp_path / "bulk")
    bulk.adopt("online_retail", "online_retail", landing=DATA)
    ensure_key(bulk)
    stepwise = Home(shutil.copytree(bulk.path, tmp_path / "stepwise"))
    run(bulk, days(FIRST, LAST), LAST)
    run(stepwise, days(FIRST, BEFORE), BEFORE)
    for day in days(BEFORE + timedelta(days=1), LAST):
        run(stepwise, [day], day)
    for table in TABLES:
        assert LakeTable(bulk, table).days() == LakeTable(stepwise, table).days(), table.name
    for table in (*TABLES, *OF_SNAPSHOTS):
        for partition in LakeTable(bulk, table).days():
            files = [sorted(LakeTable(home, table).folder(partition).glob("*.parquet")) for home in (bulk, stepwise)]
            one, two = ([file.read_bytes() for file in of] for of in files)
            assert one == two, os.path.join(table.name, str(partition))
