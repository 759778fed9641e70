"""Customer-days, roll-ups and features against hand-counted rows and an independent computation in plain Python."""

import shutil
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_HISTORY, CUSTOMER_MONTH, FEATURES
from expectations.errors import DataError
from expectations.events import EVENTS
from expectations.features import WINDOWS_DAYS
from expectations.texts import TEXT_SCORES
from jobs import aggregate, build_features
from jobs.behaviour.days import customer_days
from jobs.behaviour.months import days_of_month, month_of, months_between
from jobs.behaviour.plan import plan_of
from jobs.build_features import known_days
from jobs.frames import checked
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.reading.keys import ensure_key
from jobs.schemas import arrow_schema
from tests.jobs import behaviour_oracle
from tests.jobs.random_shop import random_events, write_lake

DAY = date(2024, 3, 4)
FIRST, DAYS = date(2023, 1, 1), 400
SNAPSHOT = date(2024, 1, 29)
"""Six days before the random shop's last one; the windows begin in five months, and two are closed between them."""


MONEY = ("discount_amount", "quantity")


def event(customer="a", on=DAY, arrived=None, kind="purchase", order="o1", amount="10", **more):
    row = dict.fromkeys(EVENTS.column_names) | {
        "source": "s", "customer_key": customer, "key_id": "k", "event_type": kind, "event_time": None,
        "event_date": on, "arrival_date": arrived or on, "order_id": order, "product_id": "p", "quantity": Decimal(1),
        "amount": Decimal(amount), "discount_amount": Decimal(0), "is_session_start": False, "is_bounce": False,
        "session_step_seconds": 0, "source_file": "f", "source_line": 1, "currency": "EUR",
    }  # fmt: skip
    return row | {
        key: Decimal(value) if key in ("discount_amount", "quantity") else value for key, value in more.items()
    }


def aggregated(spark, *events):
    from pyspark.sql import functions as F

    schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(EVENTS)])
    frame = spark.createDataFrame(pa.Table.from_pylist(list(events), schema=schema)).withColumns({
        "price_rank": F.lit(None).cast("decimal(18,4)"),
        "is_outlier": F.lit(False),
        "winsorised_amount": F.col("amount"),
    })  # fmt: skip
    return checked(customer_days(frame), CUSTOMER_DAY)


def test_a_customer_day_adds_up_what_happened(spark):
    (row,) = aggregated(
        spark,
        event(order="o2", amount="1.10", discount_amount="0.20", quantity="3", event_hour=5),
        event(order="o1", amount="2.20", event_hour=6, product_hash=64 + 3),
        event(order="o1", amount="3.30", product_hash=3),
        event(kind="return", order="o0", amount="1.00"),
        event(kind="view", order=None, is_session_start=True, is_bounce=True, session_id="s", session_step_seconds=7),
        event(kind="campaign_send", order=None, event_hour=23),
    ).toArrow().to_pylist()  # fmt: skip
    counted = {k: v for k, v in row.items() if v and k not in ("customer_key", "event_date", "arrival_date")}
    assert counted == {
        "event_count": 6, "purchase_count": 3, "return_count": 1, "view_count": 1, "campaign_count": 1,
        # A set, in order: two lines of one order are one order; the return's order was not bought today.
        "order_ids": ["o1", "o2"],
        # Exact: no 6.6000000000000005.
        "purchase_amount": Decimal("6.6"), "return_amount": Decimal(1), "discount_amount": Decimal("0.2"),
        "largest_line_amount": Decimal("3.3"), "winsorised_amount": Decimal("27.6"), "quantity": Decimal(5),
        "discounted_count": 1,
        "session_count": 1, "bounce_count": 1, "session_event_count": 1, "session_seconds": 7,
        # A campaign contact at 23 o'clock says nothing of the customer's day.
        "night_count": 1, "morning_count": 1,
        # Bit 3 of the first word for the hash 3, of the second word for 64 + 3.
        "product_bits_0": 8, "product_bits_1": 8,
    }  # fmt: skip


def test_a_late_arrival_is_a_row_of_its_own(spark):
    rows = aggregated(spark, event(), event(arrived=DAY + timedelta(days=2))).toArrow().to_pylist()
    assert [row["event_count"] for row in rows] == [1, 1]


# -- the whole way through the lake ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> tuple[Home, list[dict]]:
    """A shop of 400 days, aggregated, with features as of SNAPSHOT."""
    home = new_home(tmp_path_factory.mktemp("behaviour") / "a home")
    events = random_events(25, FIRST, DAYS)
    write_lake(home, events, days())
    run(home, days(), SNAPSHOT)
    return home, events


def new_home(path: Path) -> Home:
    home = Home(path)
    home.adopt("corner_shop", "corner_shop")
    ensure_key(home)
    return home


def days(last: date = FIRST + timedelta(days=DAYS - 1)) -> list[date]:
    return [FIRST + timedelta(days=n) for n in range((last - FIRST).days + 1)]


def run(home: Home, of: list[date], *snapshots: date) -> None:
    parser, features = aggregate.arg_parser(), build_features.arg_parser()
    where = ["--home", str(home.path), "--engine", "sail"]
    if of:
        aggregate.main(parser.parse_args([*where, "--from", str(of[0]), "--to", str(of[-1]), "--skip-unchanged"]))
    for snapshot in snapshots:
        build_features.main(features.parse_args([*where, "--ds", str(snapshot)]))


def features_of(home: Home, snapshot: date = SNAPSHOT) -> dict[str, dict]:
    rows = LakeTable(home, FEATURES).read_arrow([snapshot]).to_pylist()
    return {row["customer_key"]: row for row in rows}


JUDGED = ("price_rank_mean", "outlier_count", "winsorised_amount")
"""Features that follow from prices judged by earlier months; tests/jobs/test_prices.py proves those."""


def test_features_equal_an_independent_computation(shop):
    home, events = shop
    found, expected = features_of(home), behaviour_oracle.features(events, SNAPSHOT)
    assert found.keys() == expected.keys()
    for customer, row in expected.items():
        row = {k: v for k, v in row.items() if not k.startswith(JUDGED)}
        got = {k: v for k, v in found[customer].items() if not k.startswith(JUDGED)}
        assert got.keys() == row.keys()
        floats = [k for k, v in got.items() if isinstance(v, float)]
        assert {k: got[k] for k in floats} == pytest.approx({k: row[k] for k in floats}, rel=1e-9, abs=1e-12)
        assert {k: v for k, v in got.items() if k not in floats} == {k: v for k, v in row.items() if k not in floats}


def test_running_again_gives_equal_bytes(shop):
    home, _ = shop
    before = bytes_of(home, FEATURES, SNAPSHOT)
    run(home, [], SNAPSHOT)
    assert bytes_of(home, FEATURES, SNAPSHOT) == before


def bytes_of(home: Home, table, day: date) -> list[bytes]:
    return [path.read_bytes() for path in sorted(LakeTable(home, table).folder(day).glob("*.parquet"))]


def test_nothing_after_the_snapshot_changes_a_bit_of_it(shop, tmp_path):
    """Events after it, arrivals after it, other amounts, fewer events: the same bytes of features."""
    home, events = shop
    later = [e for e in events if e["arrival_date"] > SNAPSHOT]
    changed = [e | {"amount": e["amount"] and e["amount"] + 1, "event_type": "purchase"} for e in later[::2]]
    again = [e | {"arrival_date": days()[-1], "source_line": 10**6} for e in events[:50]]
    other = Home(shutil.copytree(home.path, tmp_path / "changed"))
    write_lake(other, [*changed, *again], [day for day in days() if day > SNAPSHOT])
    run(other, days(), SNAPSHOT)
    assert bytes_of(other, FEATURES, SNAPSHOT) == bytes_of(home, FEATURES, SNAPSHOT)


def test_a_late_event_leaves_its_day_as_it_was_and_shows_the_next(shop, tmp_path):
    home, events = shop
    late = event(customer=events[0]["customer_key"], on=SNAPSHOT, arrived=SNAPSHOT + timedelta(days=1), order="late")
    other = Home(shutil.copytree(home.path, tmp_path / "late"))
    write_lake(other, [late | {"event_time": events[0]["event_time"]}], [SNAPSHOT + timedelta(days=1)])
    run(other, [SNAPSHOT + timedelta(days=1)], SNAPSHOT, SNAPSHOT + timedelta(days=1))
    customer = events[0]["customer_key"]
    assert bytes_of(other, FEATURES, SNAPSHOT) == bytes_of(home, FEATURES, SNAPSHOT)
    before, after = features_of(other)[customer], features_of(other, SNAPSHOT + timedelta(days=1))[customer]
    assert after["order_count"] == before["order_count"] + 1
    # Under its own date, which is yesterday by now.
    assert after["recency_days"] == 1


def test_a_day_written_again_renews_its_month_and_what_follows(shop, tmp_path):
    home, events = shop
    other = Home(shutil.copytree(home.path, tmp_path / "again"))
    day = date(2023, 5, 9)
    gone = [e for e in events if e["arrival_date"] != day]
    rows = pa.Table.from_pylist([e for e in events if e["arrival_date"] == day][:1], schema=arrow_schema(EVENTS))
    LakeTable(other, EVENTS).write_arrow(day, rows)
    run(other, [day], SNAPSHOT)
    expected = behaviour_oracle.features([*gone, *rows.to_pylist()], SNAPSHOT)
    found = features_of(other)
    assert {c: r["event_count_365d"] for c, r in found.items()} == {
        c: r["event_count_365d"] for c, r in expected.items()
    }
    assert {c: r["order_count"] for c, r in found.items()} == {c: r["order_count"] for c, r in expected.items()}


def test_a_fresh_snapshot_is_left_and_a_stale_one_built(shop):
    home, _ = shop
    assert build_features.is_fresh(home, SNAPSHOT)
    assert not build_features.is_fresh(home, SNAPSHOT - timedelta(days=1))
    (home.path / "settings.yaml").write_text("features: {use_demographics: false}\n")
    try:
        assert not build_features.is_fresh(home, SNAPSHOT)
    finally:
        (home.path / "settings.yaml").unlink()


def test_histories_are_equal_whichever_way_they_were_added_up(shop, tmp_path):
    """Month by month as days go by, or once over all months."""
    home, _ = shop
    other = Home(shutil.copytree(home.path, tmp_path / "stepwise"))
    for table in (CUSTOMER_HISTORY, CUSTOMER_MONTH):
        shutil.rmtree(LakeTable(other, table).root)
    closed = date(2023, 12, 1)
    run(other, [], date(2023, 6, 15), date(2023, 9, 2), SNAPSHOT)
    assert len(LakeTable(other, CUSTOMER_HISTORY).days()) == 3
    one, two = (LakeTable(h, CUSTOMER_HISTORY).read_arrow([closed]) for h in (home, other))
    assert one.equals(two)


# -- what makes a day due again --------------------------------------------------------------------------------------


def priced(home: Home, day: date, amounts: list[int]) -> None:
    """A delivery of purchases of one category."""
    rows = [
        event(on=day, order=f"o{n}", amount=str(amount), price=Decimal(amount), category_hash=1, source_line=n + 1,
              event_time=datetime.combine(day, time(), UTC), currency="EUR")
        for n, amount in enumerate(amounts)
    ]  # fmt: skip
    write_lake(home, rows, [day])


def ranks(home: Home, day: date) -> list[Decimal]:
    return LakeTable(home, CUSTOMER_DAY).read_arrow([day])["price_rank_sum"].to_pylist()


JANUARY, FEBRUARY = date(2024, 1, 20), date(2024, 2, 10)


def run_day(home: Home, day: date) -> None:
    run(home, [day])


def test_months_may_be_added_up_in_any_order(home, tmp_path):
    (home.path / "settings.yaml").write_text("outliers: {least_lines: 1}")
    other = Home(shutil.copytree(home.path, tmp_path / "in order"))
    for shop_home, order in ((home, (FEBRUARY, JANUARY)), (other, (JANUARY, FEBRUARY))):
        priced(shop_home, JANUARY, [10, 20, 30, 40])
        priced(shop_home, FEBRUARY, [40, 50])
        for day in order:
            run_day(shop_home, day)
    # 40 ranks above 3 and half of the fourth of January's lines; 50, which January never saw, no higher.
    assert ranks(home, FEBRUARY) == ranks(other, FEBRUARY) == [2 * Decimal("0.875")]


def test_an_earlier_month_delivered_again_or_another_rule_makes_a_day_due(home):
    (home.path / "settings.yaml").write_text("outliers: {least_lines: 1}")
    priced(home, JANUARY, [10, 20, 30, 40])
    priced(home, FEBRUARY, [40, 50])
    for day in (JANUARY, FEBRUARY):
        run_day(home, day)
    assert aggregate.is_fresh(home, FEBRUARY)
    priced(home, JANUARY, [60, 70])
    assert not aggregate.is_fresh(home, FEBRUARY)
    run(home, [JANUARY])
    run(home, [FEBRUARY])
    # Below all that January sold, both rank as its cheapest.
    assert ranks(home, FEBRUARY) == [2 * Decimal("0.25")]
    (home.path / "settings.yaml").write_text("outliers: {least_lines: 99}")
    assert not aggregate.is_fresh(home, FEBRUARY)


def test_scores_older_than_their_texts_are_refused(home):
    day = event(event_time=datetime.combine(DAY, time(), UTC), kind="review", text="good")
    write_lake(home, [day], [DAY])
    LakeTable(home, TEXT_SCORES).write_arrow(DAY, arrow_schema(TEXT_SCORES).empty_table())
    write_lake(home, [day, day | {"source_line": 2}], [DAY])
    with pytest.raises(DataError, match=r"text_scores of 2024-03-04 is older than its events: run .*encode_text"):
        run(home, [DAY])


# -- plans -----------------------------------------------------------------------------------------------------------

_dates = st.dates(date(2019, 1, 1), date(2026, 12, 31))


@given(first=_dates, snapshot=_dates)
def test_a_plan_reads_each_arrival_once_and_no_window_begins_within_a_month(first, snapshot):
    if first > snapshot:
        first, snapshot = snapshot, first
    plan = plan_of(snapshot, first)
    by_month = [day for month in plan.months for day in days_of_month(month) if day >= first]
    earliest = max(first, snapshot - timedelta(days=max(WINDOWS_DAYS) - 1))
    wanted = {earliest + timedelta(days=n) for n in range((snapshot - earliest).days + 1)}
    assert sorted([*by_month, *plan.days]) == sorted(wanted)
    begins = {month_of(snapshot - timedelta(days=days - 1)) for days in WINDOWS_DAYS}
    assert not begins & set(plan.months)
    # Bounded, whatever lies before.
    assert len(plan.months) <= 10
    assert len(plan.days) <= 6 * 31


def test_months_between_dates():
    assert months_between(date(2023, 11, 30), date(2024, 2, 1)) == [
        date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1), date(2024, 2, 1)]  # fmt: skip
    assert len(days_of_month(date(2024, 2, 1))) == 29


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hole", [0, 1])
def test_a_hole_in_the_history_is_refused_also_at_its_beginning(home, hole):
    three = [DAY + timedelta(days=n) for n in range(3)]
    for table in (EVENTS, CUSTOMER_DAY):
        for day in three:
            LakeTable(home, table).write_arrow(day, arrow_schema(table).empty_table())
    assert known_days(home, three[-1]) == three
    shutil.rmtree(LakeTable(home, CUSTOMER_DAY).folder(three[hole]))
    with pytest.raises(DataError, match=f"customer_day has no partition for {three[hole]}"):
        known_days(home, three[-1])


def test_rows_of_another_type_are_refused_before_anything_is_replaced(spark, home):
    table = LakeTable(home, CUSTOMER_DAY)
    good = aggregated(spark, event())
    table.write(good, [DAY])
    before = table.read_arrow([DAY])
    with pytest.raises(DataError, match="event_count: expected bigint, found string"):
        table.write(good.withColumn("event_count", good.event_count.cast("string")), [DAY])
    assert table.read_arrow([DAY]).equals(before)


def test_writing_a_range_replaces_each_day_and_empties_days_without_rows(spark, home):
    table, next_day = LakeTable(home, CUSTOMER_DAY), DAY + timedelta(days=1)
    table.write(aggregated(spark, event(), event(on=next_day)), [DAY, next_day])
    table.write(aggregated(spark, event(amount="7")), [DAY, next_day])
    rows = table.read_arrow([DAY, next_day]).to_pylist()
    assert [row["purchase_amount"] for row in rows] == [Decimal(7)]
    assert table.days() == [DAY, next_day]
    # Nothing half-written stays behind.
    assert sorted(path.name for path in table.root.iterdir()) == [f"arrival_date={DAY}", f"arrival_date={next_day}"]


def test_part_of_a_delivery_is_not_aggregated(home, land, ingest):
    land(DAY, raw=b"\x1f\x8bnot gzip")
    ingest(DAY)
    with pytest.raises(DataError, match=r"not delivered whole: .*sales\.csv\.gz of 2024-03-04"):
        run(home, [DAY])


@pytest.mark.parametrize(("bits", "distinct"), [(64, 40), (128, 250)])
def test_linear_counting_errs_by_less_than_a_tenth_where_the_contract_says_so(bits, distinct):
    chance = np.random.default_rng(1)
    taken = [len(np.unique(chance.integers(0, bits, distinct))) for _ in range(4000)]
    counted = bits * np.log(bits / np.maximum(bits - np.array(taken), 1))
    assert np.sqrt(np.mean((counted / distinct - 1) ** 2)) < 0.1
    assert counted.max() <= bits * np.log(bits)
