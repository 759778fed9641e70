"""The simulated shop in a home: straight into the lake, or by landing and ingestion, it is the same shop."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from expectations.dimensions import DIMENSIONS
from expectations.errors import SetupError
from expectations.events import EVENTS, INGEST_REPORT, QUARANTINE
from jobs.home import Home
from jobs.ingest import ingest_days
from jobs.lake import LakeTable
from jobs.reading.mapping import load_mapping
from jobs.reading.rules import broken_rules
from jobs.reading.sessions import with_sessions
from jobs.simulate import arg_parser, main

SMALL = ("--customers", "800", "--days", "15", "--seed", "5", "--broken-share", "0.1")
FIRST, LAST = date(2024, 1, 1), date(2024, 1, 15)
KEY = "00112233445566778899aabbccddeeff"


def simulate(home: Path, *options: str) -> Home:
    main(arg_parser().parse_args(["--home", str(home), *SMALL, *options]))
    return Home(home)


@pytest.fixture(scope="module", autouse=True)
def _one_key() -> Iterator[None]:
    """Every home's customers under one key, so that what lies in them can be compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFESTAGE_CUSTOMER_KEY", KEY)
        yield


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Home:
    return simulate(tmp_path_factory.mktemp("simulated lake"), "--to", "lake", "--processes", "1")


@pytest.fixture(scope="module")
def landed(tmp_path_factory) -> Home:
    """Landed by two processes, then ingested."""
    home = simulate(tmp_path_factory.mktemp("simulated landing"), "--to", "landing", "--processes", "2")
    days = LakeTable(home, EVENTS)
    assert not days.root.exists()
    assert ingest_days(home, [load_mapping("simulated_shop")], list_of_days()) == []
    return home


def list_of_days() -> list[date]:
    return [date(2024, 1, n) for n in range(FIRST.day, LAST.day + 1)]


def test_both_ways_lead_to_the_same_events(lake, landed):
    """Bit for bit: hashes, hours, sessions, looked-up categories, times of arrival."""
    for day in list_of_days():
        made, ingested = (LakeTable(home, EVENTS).read_arrow([day]) for home in (lake, landed))
        for name in EVENTS.column_names:
            assert made[name].combine_chunks().equals(ingested[name].combine_chunks()), (day, name)


def test_both_ways_lead_to_the_same_customers(lake, landed):
    """Counts by customer and kind of event; products, customers and campaigns to the last value."""
    counts = [
        Counter(zip(*(rows[c].to_pylist() for c in ("customer_key", "event_type")), strict=True))
        for rows in (LakeTable(home, EVENTS).read_arrow(list_of_days()) for home in (lake, landed))
    ]
    assert counts[0] == counts[1]
    for table in DIMENSIONS:
        made, ingested = (LakeTable(home, table).read_arrow([FIRST]) for home in (lake, landed))
        assert len(made) > 0
        assert made.equals(ingested), table.name


def test_broken_rows_are_quarantined_by_the_rule_of_the_truth(landed):
    truth = pq.read_table(landed.path / "truth" / "broken_rows.parquet").to_pylist()
    refused = LakeTable(landed, QUARANTINE).read_arrow(list_of_days()).to_pylist()
    assert {(row["source_file"], row["source_line"], (row["rule"],)) for row in truth} == {
        (row["source_file"], row["source_line"], tuple(row["failed_rules"])) for row in refused
    }
    assert len({row["rule"] for row in truth}) >= 8


def test_reports_add_up_on_both_ways(lake, landed):
    for home in (lake, landed):
        reports = LakeTable(home, INGEST_REPORT).read_arrow(list_of_days()).to_pylist()
        kept = sum(row["rows_kept"] for row in reports)
        assert kept == len(LakeTable(home, EVENTS).read_arrow(list_of_days(), ["source"]))
        assert all(row["is_complete"] for row in reports)
        for row in reports:
            assert row["rows_read"] == row["rows_kept"] + row["rows_quarantined"] + row["rows_dropped"]


def test_the_lake_holds_the_contract(lake):
    """Row rules, the order of the key, and sessions as ingestion finds them."""
    for day in list_of_days():
        rows = LakeTable(lake, EVENTS).read_arrow([day]).combine_chunks()
        columns = {name: rows[name].combine_chunks() for name in rows.column_names}
        assert not any(mask.any() for mask in broken_rules(columns, EVENTS).values())
        assert rows.sort_by([(name, "ascending") for name in EVENTS.key]).equals(rows)
        found = with_sessions(rows, 0, day)
        for name in ("session_id", "is_session_start", "is_bounce", "session_step_seconds"):
            assert found[name].combine_chunks().equals(columns[name])


def test_files_are_equal_to_the_byte_whatever_the_number_of_processes(lake, landed, tmp_path):
    again = simulate(tmp_path / "a home", "--to", "lake", "--processes", "2")
    simulate(tmp_path / "a home", "--to", "landing", "--processes", "1")  # the same shop may be made both ways
    for first, second, pattern in (
        (lake.path, again.path, "lake/events/*/*.parquet"),
        (landed.path, again.path, "landing/**/*.*"),
        (landed.path, again.path, "truth/*"),
    ):
        files = sorted(path.relative_to(first) for path in first.glob(pattern) if path.is_file())
        assert len(files) >= 5
        assert [f for f in files if (first / f).read_bytes() != (second / f).read_bytes()] == []


def test_simulated_is_said_wherever_it_shows(lake):
    assert load_mapping("simulated_shop").simulated
    assert '"simulated": true' in (lake.path / "shop.json").read_text()
    truth = sorted((lake.path / "truth").glob("*.parquet"))
    assert [path.stem for path in truth] == ["broken_rows", "campaigns", "customers", "fraud", "texts"]
    assert all(pq.read_schema(path).metadata[b"simulated"] == b"true" for path in truth)


def test_raw_ids_stay_in_the_truth(lake):
    truth = pq.read_table(lake.path / "truth" / "customers.parquet")
    assert len(set(truth["customer_id"].to_pylist())) == 800
    keys = LakeTable(lake, EVENTS).read_arrow(list_of_days(), ["customer_key"])["customer_key"].to_pylist()
    assert set(keys) <= set(truth["customer_key"].to_pylist())
    events = LakeTable(lake, EVENTS).read_arrow(list_of_days())
    ids = set(truth["customer_id"].to_pylist())
    texts = [name for name in events.column_names if str(events.schema.field(name).type) == "string"]
    assert not any(ids & set(events[name].unique().to_pylist()) for name in texts)


def test_another_shop_needs_another_home(lake):
    """Days of two shops would mix."""
    with pytest.raises(SetupError, match="a home of its own"):
        main(arg_parser().parse_args(["--home", str(lake.path), *SMALL, "--seed", "6", "--to", "lake"]))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--customers", "1"), "--customers must be 100 or more, found 1"),
        (("--days", "3"), "--days must be 10 or more"),
        (("--seed", "-1"), "--seed must be 0 or more"),
        (("--start", "2020-01-01"), "delivers from 2024-01-01 on"),
        (("--events-per-customer-year", "nan"), "--events-per-customer-year must be"),
        (("--broken-share", "2"), "--broken-share must be"),
    ],
)
def test_shops_that_cannot_be_are_refused(tmp_path, options, told):
    with pytest.raises(SetupError, match=told):
        simulate(tmp_path / "home", *options)
    assert not (tmp_path / "home").exists()


def test_late_rows_stand_under_their_own_date(landed):
    rows = LakeTable(landed, EVENTS).read_arrow(list_of_days(), ["event_date", "arrival_date"])
    days = np.array(rows["arrival_date"].to_numpy() - rows["event_date"].to_numpy()).astype(int)
    assert set(np.unique(days)) <= {0, 1, 2, 3}
    assert (days > 0).any()
