"""Customer-days, features and preferences against the same written by hand for DuckDB and for Polars.

Three independent ways from the same files: prices judged by the months before, late events, texts, orders in parts,
demographics told twice. Skipped where neither is installed; `make bench` installs both.
"""

import random
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_PRODUCT, FEATURES, PREFERENCES
from expectations.dimensions import CUSTOMERS
from expectations.events import TEXT_TYPES
from expectations.measures import TOPICS
from expectations.texts import TEXT_SCORES
from jobs import aggregate, build_features
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.reading.hashes import hash31
from jobs.reading.keys import ensure_key
from jobs.schemas import arrow_schema
from tests.benchmarks.scale_check import differences
from tests.jobs.random_shop import random_events, write_lake

FIRST, DAYS = date(2023, 7, 1), 200
SNAPSHOT = FIRST + timedelta(days=DAYS - 3)
"""Closed months and half a year lie behind it, arrivals that it must not see before it."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Path:
    """A home's lake with every table that the jobs make of a random shop."""
    home = Home(tmp_path_factory.mktemp("rivals") / "a home")
    home.adopt("corner_shop", "corner_shop")
    ensure_key(home)
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    events = [_told_more(row) for row in random_events(100, FIRST, DAYS, active=0.15)]
    write_lake(home, events, days)
    write_texts(home, events, days)
    write_customers(home, (FIRST, FIRST + timedelta(days=100)))
    where = ["--home", str(home.path), "--engine", "sail"]
    aggregate.main(aggregate.arg_parser().parse_args([*where, "--from", str(FIRST), "--to", str(days[-1])]))
    build_features.main(build_features.arg_parser().parse_args([*where, "--ds", str(SNAPSHOT)]))
    return home.lake


def _told_more(row: dict) -> dict:
    """Few categories, so that some have the hundred lines of their own bounds; outliers; words where there can be."""
    category = row["category"] and f"c{int(row['category'][1:]) // 7}"
    text = "words" if row["event_type"] in TEXT_TYPES else None
    amount = row["amount"] and row["amount"] * (1000 if row["source_line"] % 20 == 0 else 1)
    return row | {"amount": amount, "category": category, "category_hash": category and hash31(category), "text": text}


def write_texts(home: Home, events: list[dict], days: list[date]) -> None:
    chance = random.Random(1)
    scored = [
        row | {"text_hash": "h", "language": "en", "sentiment": chance.choice([None, -0.05, -0.0501, 0.3333, 1.0]),
               "topic": chance.choice([None, *TOPICS])}
        for row in events if row["text"]
    ]  # fmt: skip
    for day in days:
        rows = [row for row in scored if row["arrival_date"] == day]
        LakeTable(home, TEXT_SCORES).write_arrow(day, pa.Table.from_pylist(rows, schema=arrow_schema(TEXT_SCORES)))


def write_customers(home: Home, days: tuple[date, ...]) -> None:
    """Told again later by every second customer, some of whom know less than they did."""
    for n, day in enumerate(days):
        rows = [
            {"source": "s", "arrival_date": day, "customer_key": f"{customer:032x}", "age": 20.0 + customer + n,
             "gender": None if n and customer % 4 else "f", "income": None, "household_size": 1.0 + n}
            for customer in range(0, 90, 1 + n)
        ]  # fmt: skip
        LakeTable(home, CUSTOMERS).write_arrow(day, pa.Table.from_pylist(rows, schema=arrow_schema(CUSTOMERS)))


def test_the_shop_has_what_the_sides_could_disagree_on(lake):
    days = LakeTable(Home(lake.parent), CUSTOMER_DAY)
    rows = days.read_arrow(days.days(), ["price_rank_count", "outlier_count", "text_count", "negative_text_count"])
    assert all(sum(rows[name].to_pylist()) > 20 for name in rows.column_names)


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_all_days_by_hand_is_equal(lake, tmp_path, engine):
    pytest.importorskip(engine)
    target = tmp_path / "by hand"
    if engine == "duckdb":
        from tests.benchmarks.rivals import duckdb_cold as rival
    else:
        from tests.benchmarks.rivals import polars_cold as rival
    rival.main(lake, target, SNAPSHOT)
    known = [folder for folder in (lake / "customer_day").glob("*=*") if folder.name[-10:] <= f"{SNAPSHOT}"]
    hold_equal(CUSTOMER_DAY, known, [target / "customer_day"])
    hold_equal_as_of(lake, target)


@pytest.mark.parametrize("base", ["events", "rollups"])
def test_a_day_by_hand_is_equal(lake, tmp_path, base):
    """From the raw events alone, and from months, histories and bounds as the jobs keep them."""
    pytest.importorskip("duckdb")
    from tests.benchmarks.rivals import duckdb_day

    target = tmp_path / "by hand"
    {"events": duckdb_day.from_events, "rollups": duckdb_day.from_rollups}[base](lake, target, SNAPSHOT)
    if base == "rollups":
        for table in (CUSTOMER_DAY, CUSTOMER_PRODUCT):
            hold_equal(table, [lake / table.folder(SNAPSHOT)], [target / f"{table.name}.parquet"])
    hold_equal_as_of(lake, target)


def hold_equal_as_of(lake: Path, target: Path) -> None:
    for table in (FEATURES, PREFERENCES):
        hold_equal(table, [lake / table.folder(SNAPSHOT)], [target / f"{table.name}.parquet"])


def hold_equal(table, ours: list[Path], theirs: list[Path]) -> None:
    assert differences(ours, theirs, list(table.column_names), [*table.key, table.partition]) == []
