"""Favourite category and brand against a count in plain Python."""

from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pyarrow as pa
import pytest

from expectations.behaviour import CUSTOMER_PRODUCT, PREFERENCES
from jobs.behaviour.preferences import WINDOW_DAYS, preferences
from jobs.frames import checked
from jobs.schemas import arrow_schema

DAY = date(2024, 3, 4)


def wanted(customer, category, brand=None, purchases=0, intents=0, on=DAY):
    return {
        "customer_key": customer, "arrival_date": on, "product_id": f"{category}/{brand}", "category": category,
        "brand": brand, "purchase_count": purchases, "intent_count": intents, "purchase_amount": Decimal(0),
        "last_event_date": on,
    }  # fmt: skip


def found(spark, *rows):
    frame = spark.createDataFrame(pa.Table.from_pylist(list(rows), schema=arrow_schema(CUSTOMER_PRODUCT)))
    return {row["customer_key"]: row for row in checked(preferences(frame, DAY), PREFERENCES).toArrow().to_pylist()}


def test_a_purchase_counts_threefold_and_of_equals_the_first_by_name_wins(spark):
    row = found(
        spark,
        wanted("a", "shoes", "x", purchases=1),
        wanted("a", "hats", "y", intents=3),
        wanted("a", None, "y", intents=2),
        # Too old to count: 180 days and more before the snapshot.
        wanted("a", "bags", "z", purchases=9, on=DAY - timedelta(days=WINDOW_DAYS)),
    )["a"]
    assert (row["favourite_category"], row["favourite_category_share"]) == ("hats", 0.5)
    assert (row["favourite_brand"], row["favourite_brand_share"]) == ("y", 5 / 8)


def test_who_wants_nothing_with_a_category_has_a_brand_alone(spark):
    row = found(spark, wanted("a", None, "x", purchases=2))["a"]
    assert (row["favourite_category"], row["favourite_category_share"]) == (None, None)
    assert (row["favourite_brand"], row["favourite_brand_share"]) == ("x", 1.0)


def test_favourites_equal_a_count_in_plain_python(spark):
    chance = Random(3)
    rows = [
        wanted(f"c{chance.randrange(40)}", chance.choice("abcdefg"), chance.choice(["x", "y", "Z", "ü", None]),
               chance.randrange(3), chance.randrange(1, 5), DAY - timedelta(days=chance.randrange(200)))
        for _ in range(600)
    ]  # fmt: skip
    weights = defaultdict(Counter)
    for row in rows:
        if (DAY - row["last_event_date"]).days < WINDOW_DAYS:
            weights[row["customer_key"]][row["category"]] += 3 * row["purchase_count"] + row["intent_count"]
    got = found(spark, *rows)
    assert got.keys() == weights.keys()
    for customer, counts in weights.items():
        best = min(counts, key=lambda name: (-counts[name], name))
        assert got[customer]["favourite_category"] == best
        assert got[customer]["favourite_category_share"] == pytest.approx(counts[best] / counts.total(), rel=1e-12)
