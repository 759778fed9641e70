"""Customer-days and features against hand-counted rows and an independent computation in plain Python."""

import shutil
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.behaviour import CUSTOMER_DAY, FEATURES, WINDOWS_DAYS
from expectations.errors import DataError
from expectations.events import EVENTS
from jobs.aggregate import customer_days
from jobs.build_features import features_as_of, known_days
from jobs.frames import checked
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema

DAY = date(2024, 3, 4)


def event(customer="a", on=DAY, arrived=None, kind="purchase", order="o1", amount="10", discount="0", quantity="1"):
    return {
        "source": "s",
        "customer_key": customer,
        "key_id": "k",
        "event_type": kind,
        "event_time": datetime(on.year, on.month, on.day, tzinfo=UTC),
        "event_date": on,
        "arrival_date": arrived or on,
        "order_id": order,
        "product_id": "p",
        "campaign_id": None,
        "quantity": Decimal(quantity),
        "amount": Decimal(amount),
        "discount_amount": Decimal(discount),
        "currency": "EUR",
        "country": None,
        "source_file": "f",
        "source_line": 1,
    }


def frame(spark, events):
    return spark.createDataFrame(pa.Table.from_pylist(events, schema=arrow_schema(EVENTS)))


def aggregated(spark, *events):
    return checked(customer_days(frame(spark, events)), CUSTOMER_DAY)


def features(spark, snapshot, *events):
    rows = checked(features_as_of(aggregated(spark, *events), snapshot), FEATURES).toArrow().to_pylist()
    return {row["customer_key"]: row for row in rows}


def test_a_customer_day_adds_up_what_happened(spark):
    rows = aggregated(
        spark,
        event(order="o2", amount="1.10", discount="0.20", quantity="3"),
        event(order="o1", amount="2.20"),
        event(order="o1", amount="3.30"),
        event(kind="return", order="o0", amount="1.00"),
        event(kind="coupon_redeem", order=None, amount="0"),
    ).toArrow()
    (row,) = rows.to_pylist()
    assert row == {
        "customer_key": "a", "event_date": DAY, "arrival_date": DAY, "event_count": 5, "purchase_count": 3,
        "return_count": 1, "coupon_count": 1, "campaign_count": 0,
        # A set, in order: two lines of one order are one order; the return's order was not bought today.
        "order_ids": ["o1", "o2"],
        # Exact: no 6.6000000000000005.
        "purchase_amount": Decimal("6.6"), "return_amount": Decimal("1"), "discount_amount": Decimal("0.2"),
        "quantity": Decimal("5"),
    }  # fmt: skip


def test_a_late_arrival_is_a_row_of_its_own(spark):
    rows = aggregated(spark, event(), event(arrived=DAY + timedelta(days=2))).toArrow().to_pylist()
    assert [row["event_count"] for row in rows] == [1, 1]


def test_a_window_of_seven_days_holds_day_six_and_not_day_seven(spark):
    inside, outside = DAY - timedelta(days=6), DAY - timedelta(days=7)
    row = features(spark, DAY, event(on=inside, amount="5"), event(on=outside, amount="7", order="o2"))["a"]
    assert (row["purchase_amount_7d"], row["purchase_amount_30d"]) == (5.0, 12.0)
    assert (row["order_count_7d"], row["order_count_30d"]) == (1, 2)
    assert (row["purchase_days_7d"], row["recency_days"], row["tenure_days"]) == (1, 6, 7)


def test_an_order_delivered_in_two_parts_is_one_order_and_one_day(spark):
    row = features(spark, DAY + timedelta(days=1), event(), event(arrived=DAY + timedelta(days=1)))["a"]
    assert (row["order_count"], row["frequency_days"], row["purchase_days_7d"]) == (1, 1, 1)
    assert row["purchase_count_7d"] == 2


def test_who_never_bought_has_no_recency(spark):
    row = features(spark, DAY, event(kind="view", order=None))["a"]
    assert row["recency_days"] is None
    assert row["monetary_value"] is None
    assert (row["frequency_days"], row["order_count"], row["tenure_days"]) == (0, 0, 0)


def test_gaps_are_between_purchase_days(spark):
    days = [DAY - timedelta(days=n) for n in (20, 14, 4)]
    row = features(spark, DAY, *(event(on=day) for day in days), event(on=DAY, kind="view"))["a"]
    assert (row["gap_mean_days"], row["gap_last_days"], row["gap_mean_before_last_days"]) == (8.0, 10, 6.0)
    assert (row["first_purchase_date"], row["last_purchase_date"]) == (days[0], days[2])


_events = st.builds(
    event,
    customer=st.sampled_from("abcdefgh"),
    on=st.integers(-400, 3).map(lambda n: DAY + timedelta(days=n)),
    kind=st.sampled_from(["purchase", "purchase", "return", "view", "coupon_redeem", "campaign_send"]),
    order=st.sampled_from(["o1", "o2", "o3"]),
    amount=st.integers(0, 99999).map(lambda cents: f"{cents / 100:.2f}"),
)


@st.composite
def late_events(draw):
    row = draw(_events)
    return row | {"arrival_date": row["event_date"] + timedelta(days=draw(st.sampled_from([0, 0, 0, 1, 5])))}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(late_events(), min_size=20, max_size=90))
def test_features_equal_an_independent_computation(spark, events):
    found, expected = features(spark, DAY, *events), oracle(events, DAY)
    assert found.keys() == expected.keys()
    for customer, row in expected.items():
        assert {k: v for k, v in found[customer].items() if isinstance(v, float)} == pytest.approx(
            {k: v for k, v in row.items() if isinstance(v, float)}, rel=1e-9
        )
        assert {k: v for k, v in found[customer].items() if not isinstance(v, float)} == {
            k: v for k, v in row.items() if not isinstance(v, float)
        }


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(late_events(), min_size=20, max_size=60), later=st.lists(late_events(), min_size=1, max_size=5))
def test_what_happens_or_arrives_after_the_snapshot_changes_nothing(spark, events, later):
    after = [
        row | ({"event_date": DAY + timedelta(days=1)} if n % 2 else {}) | {"arrival_date": DAY + timedelta(days=1 + n)}
        for n, row in enumerate(later)
    ]
    assert features(spark, DAY, *events) == features(spark, DAY, *events, *after)


def total(rows):
    return float(sum(row["amount"] for row in rows))


def oracle(events, snapshot):
    """The features, one customer and one window at a time, from the events themselves."""
    of_customer = defaultdict(list)
    for row in events:
        if row["event_date"] <= snapshot and row["arrival_date"] <= snapshot:
            of_customer[row["customer_key"]].append(row)
    return {customer: oracle_row(customer, rows, snapshot) for customer, rows in of_customer.items()}


def oracle_row(customer, rows, snapshot):
    bought = sorted({r["event_date"] for r in rows if r["event_type"] == "purchase"})
    gaps = [(b - a).days for a, b in pairwise(bought)]
    paid = total(r for r in rows if r["event_type"] == "purchase")
    row = {
        "customer_key": customer,
        "snapshot_date": snapshot,
        "tenure_days": (snapshot - min(r["event_date"] for r in rows)).days,
        "recency_days": (snapshot - bought[-1]).days if bought else None,
        "first_purchase_date": bought[0] if bought else None,
        "last_purchase_date": bought[-1] if bought else None,
        "frequency_days": len(bought),
        "order_count": len({r["order_id"] for r in rows if r["event_type"] == "purchase"}),
        "monetary_value": paid / len(bought) if bought else None,
        "gap_mean_days": sum(gaps) / len(gaps) if gaps else None,
        "gap_last_days": gaps[-1] if gaps else None,
        "gap_mean_before_last_days": sum(gaps[:-1]) / len(gaps[:-1]) if len(gaps) > 1 else None,
    }
    for days in WINDOWS_DAYS:
        inside = [r for r in rows if (snapshot - r["event_date"]).days < days]
        of = {kind: [r for r in inside if r["event_type"] == kind] for kind in EVENTS.column("event_type").values}
        row |= {
            f"event_count_{days}d": len(inside),
            f"purchase_days_{days}d": len({r["event_date"] for r in of["purchase"]}),
            f"order_count_{days}d": len({r["order_id"] for r in of["purchase"]}),
            f"purchase_count_{days}d": len(of["purchase"]),
            f"return_count_{days}d": len(of["return"]),
            f"coupon_count_{days}d": len(of["coupon_redeem"]),
            f"campaign_count_{days}d": len(of["campaign_send"]),
            f"purchase_amount_{days}d": total(of["purchase"]),
            f"return_amount_{days}d": total(of["return"]),
            f"discount_amount_{days}d": 0.0,
        }
    return row


@pytest.mark.parametrize("hole", [0, 1])
def test_a_hole_in_the_history_is_refused_also_at_its_beginning(home, hole):
    days = [DAY + timedelta(days=n) for n in range(3)]
    for table in (EVENTS, CUSTOMER_DAY):
        for day in days:
            LakeTable(home, table).write_arrow(day, arrow_schema(table).empty_table())
    assert known_days(home, days[-1]) == days
    shutil.rmtree(LakeTable(home, CUSTOMER_DAY).folder(days[hole]))
    with pytest.raises(DataError, match=f"customer_day has no partition for {days[hole]}"):
        known_days(home, days[-1])


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
