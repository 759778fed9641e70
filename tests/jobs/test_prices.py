"""Price ranks and outliers: what a month's history says of its lines, on both engines alike, never its future."""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import date
from decimal import Decimal as D
from decimal import localcontext

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.events import EVENTS
from expectations.profiles import EVENT_PROFILE, PRICE_BOUNDS
from expectations.version import REPOSITORY
from jobs.behaviour.outliers import UNRANKED, WHOLE_SHOP, OutlierSettings, price_bounds, price_marks
from jobs.behaviour.prices import EDGE, ensure_bounds, price_profile, with_price_marks
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema

JANUARY, FEBRUARY, MARCH = date(2024, 1, 15), date(2024, 2, 15), date(2024, 3, 15)
FEBRUARY_1, MARCH_1 = date(2024, 2, 1), date(2024, 3, 1)
FEW = OutlierSettings(least_lines=4)
MONEY = pa.decimal128(18, 4)
LINES = pa.schema(
    [("n", pa.int64()), ("event_type", pa.string()), ("arrival_date", pa.date32()), ("category_hash", pa.int32()),
     ("price", MONEY), ("amount", MONEY)]
)  # fmt: skip


def lines(*rows, day=FEBRUARY, kind="purchase"):
    """Rows of (category, price, amount) as the columns of events that matter here."""
    found = [
        {"n": n, "event_type": kind, "arrival_date": day, "category_hash": category,
         "price": None if price is None else D(price), "amount": None if amount is None else D(amount)}
        for n, (category, price, amount) in enumerate(rows)
    ]  # fmt: skip
    return pa.Table.from_pylist(found, schema=LINES)


def profile(spark, rows):
    found = price_profile(spark.createDataFrame(rows)).toArrow().cast(arrow_schema(EVENT_PROFILE))
    return found.sort_by([(name, "ascending") for name in EVENT_PROFILE.key])


def marked(spark, rows, bounds):
    frame = spark.createDataFrame(rows)
    return with_price_marks(frame, price_marks(profile(spark, rows), bounds)).toArrow().sort_by("n").to_pylist()


def histogram(counts, category=1, measured=("price", "amount"), day=JANUARY):
    """EVENT_PROFILE rows of bucket → lines."""
    rows = [
        {"arrival_date": day, "measured": name, "category_hash": category, "bucket": bucket, "line_count": count}
        for name in measured
        for bucket, count in counts.items()
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(EVENT_PROFILE))


# -- buckets ---------------------------------------------------------------------------------------------------------


def exact_bucket(price):
    """floor(ln price / ln 1.05 + 1e-9), to 50 digits."""
    with localcontext() as context:
        context.prec = 50
        return math.floor(price.ln() / D("1.05").ln() + D(str(EDGE)))


def edge_prices():
    """Every price of four decimals beside an edge, up to 10 million, and the edges that are prices themselves."""
    with localcontext() as context:
        context.prec = 50
        for bucket in range(-180, 331):
            edge = ((bucket - D(str(EDGE))) * D("1.05").ln()).exp().quantize(D("0.0001"))
            yield from (edge + D(step).scaleb(-4) for step in (-1, 0, 1) if edge + D(step).scaleb(-4) > 0)


def test_no_engines_last_bit_decides_a_bucket(spark):
    prices = sorted(set(edge_prices()))
    rows = pa.table({"n": range(len(prices)), "price": pa.array(prices, MONEY)})
    found = buckets_of(spark, rows)
    assert found == [exact_bucket(price) for price in prices]
    assert {D("1"), D("1.05"), D("1.1025")} <= set(prices)


def buckets_of(spark, rows):
    from jobs.behaviour.prices import _bucket

    return (
        spark.createDataFrame(rows)
        .select("n", _bucket("price").alias("bucket"))
        .toArrow()
        .sort_by("n")["bucket"]
        .to_pylist()
    )


# -- the profile -----------------------------------------------------------------------------------------------------


def test_the_profile_counts_prices_and_amounts_of_purchases_and_only_that_there_were_returns(spark):
    rows = pa.concat_tables(
        [
            lines((7, "1", "2"), (7, "1.0499", "0"), (None, "1.05", "1.05"), (7, None, "3"), (7, "0", "0")),
            lines((7, "1", "1"), kind="return"),
            lines((7, "1", None), kind="view"),
        ]
    )
    found = {
        (r["measured"], r["category_hash"], r["bucket"]): r["line_count"] for r in profile(spark, rows).to_pylist()
    }
    assert found == {
        # 1 and 1.0499 share a bucket; unknown and zero prices, and the return's, are not ranked.
        ("price", 7, 0): 2, ("price", WHOLE_SHOP, 1): 1, ("price", 7, UNRANKED): 3,
        # ln 2 / ln 1.05 = 14.2; ln 3 / ln 1.05 = 22.5; the return's amount is not spread.
        ("amount", 7, 14): 1, ("amount", 7, 22): 1, ("amount", WHOLE_SHOP, 1): 1, ("amount", 7, UNRANKED): 2,
    }  # fmt: skip


# -- bounds ----------------------------------------------------------------------------------------------------------


def bounds_of(history, chosen=FEW, category=1):
    rows = [r for r in price_bounds(history, FEBRUARY_1, chosen).to_pylist() if r["category_hash"] == category]
    return {r["price_bucket"]: r["price_rank"] for r in rows}, rows[0]["lower_amount"], rows[0]["upper_amount"]


def test_a_rank_is_the_share_of_cheaper_lines_plus_half_of_its_own():
    ranks, *_ = bounds_of(histogram({10: 2, 20: 1, 30: 1}))
    assert ranks == {UNRANKED: None, 10: D("0.25"), 20: D("0.625"), 30: D("0.875")}


def test_quartiles_and_their_reach_are_tukeys():
    # One line in each of the buckets 0 … 99: quartiles of the logarithm at 25 and 75 steps of ln 1.05.
    _, lower, upper = bounds_of(histogram(dict.fromkeys(range(100), 1)), OutlierSettings(factor=1.5, least_lines=4))
    assert float(lower) == pytest.approx(1.05 ** (25 - 75), abs=1e-4)
    assert float(upper) == pytest.approx(1.05 ** (75 + 75), rel=1e-6)


def test_the_standard_score_reaches_as_many_deviations_from_the_mean():
    _, lower, upper = bounds_of(histogram({0: 1, 100: 1}), OutlierSettings(rule="z_score", factor=2, least_lines=1))
    # Mean 50.5 steps, deviation 50.
    assert float(lower) == pytest.approx(1.05 ** (50.5 - 100), abs=1e-4)
    assert float(upper) == pytest.approx(1.05 ** (50.5 + 100), rel=1e-6)


def test_where_nearly_all_cost_the_same_two_in_a_line_are_no_outlier():
    _, lower, upper = bounds_of(histogram({60: 1000}))
    price = 1.05**60.5
    assert float(lower) < price / 4.5
    assert float(upper) > price * 4.5


def test_a_category_of_few_lines_is_judged_by_the_whole_shop_and_a_small_shop_not_at_all(spark):
    history = pa.concat_tables([histogram({50: 3}, category=1), histogram({10: 5}, category=2)])
    made = price_bounds(history, FEBRUARY_1, FEW)
    assert {r["category_hash"] for r in made.to_pylist()} == {2, WHOLE_SHOP}
    # A price in the dear category 1: ranked by all eight lines, of which five are cheaper.
    (line,) = marked(spark, lines((1, str(round(1.05**50.5, 4)), "10")), made)
    assert line["price_rank"] == D("0.8125")
    assert len(price_bounds(history, FEBRUARY_1, OutlierSettings(least_lines=9))) == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-50, 150), st.integers(1, 30)), min_size=1, max_size=20, unique_by=lambda b: b[0]),
    st.sampled_from(["iqr", "z_score"]),
)
def test_bounds_enclose_the_middle_and_ranks_grow_with_the_price(counts, rule):
    ranks, lower, upper = bounds_of(histogram(dict(counts)), OutlierSettings(rule=rule, least_lines=1))
    ranked = [rank for bucket, rank in sorted(ranks.items()) if bucket != UNRANKED]
    assert ranked == sorted(ranked)
    assert 0 <= ranked[0] <= ranked[-1] <= 1
    every = sorted(bucket for bucket, count in counts for _ in range(count))
    median = every[len(every) // 2]
    assert float(lower) <= 1.05 ** (median + 1)
    assert float(upper) >= 1.05**median


# -- marks -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bounds(spark):
    """Amounts of 10 … 20 are usual in category 1."""
    usual = [(1, str(p), str(p)) for p in range(10, 21)]
    return price_bounds(profile(spark, lines(*usual, day=JANUARY)), FEBRUARY_1, FEW)


def test_an_outlier_is_flagged_and_held_to_the_bounds_and_its_amount_stays(spark, bounds):
    upper, lower = (bounds[name][0].as_py() for name in ("upper_amount", "lower_amount"))
    dear, cheap, usual, free = marked(
        spark, lines((1, "15", "80000"), (1, "15", "0.0100"), (1, "15", "30"), (1, "15", "0")), bounds
    )
    assert (dear["is_outlier"], dear["winsorised_amount"], dear["amount"]) == (True, upper, D("80000"))
    assert (cheap["is_outlier"], cheap["winsorised_amount"]) == (True, lower)
    assert (usual["is_outlier"], usual["winsorised_amount"]) == (False, D("30"))
    # What costs nothing says nothing of prices.
    assert (free["is_outlier"], free["winsorised_amount"]) == (False, D("0"))


def test_returns_are_flagged_but_neither_ranked_nor_counted_as_paid(spark, bounds):
    (line,) = marked(spark, lines((1, "15", "80000"), kind="return"), bounds)
    assert (line["is_outlier"], line["price_rank"], line["winsorised_amount"]) == (True, None, None)


def test_other_events_have_no_marks(spark, bounds):
    rows = pa.concat_tables([lines((1, "15", None), kind="view"), lines((1, "15", "80000"), kind="coupon_redeem")])
    for line in marked(spark, rows, bounds):
        assert (line["is_outlier"], line["price_rank"], line["winsorised_amount"]) == (False, None, None)


def test_a_price_that_history_never_saw_ranks_between_its_neighbours(spark, bounds):
    below, between, above = marked(spark, lines((1, "1", "15"), (1, "14.5", "15"), (1, "999", "15")), bounds)
    ranks = [
        row["price_rank"] for row in bounds.to_pylist() if row["category_hash"] == 1 and row["price_rank"] is not None
    ]
    assert (below["price_rank"], above["price_rank"]) == (min(ranks), max(ranks))
    assert min(ranks) < between["price_rank"] < max(ranks)


def test_a_shops_first_month_has_no_history_and_no_marks(spark):
    (line,) = marked(spark, lines((1, "15", "80000")), price_bounds(histogram({}), FEBRUARY_1, FEW))
    assert (line["is_outlier"], line["price_rank"], line["winsorised_amount"]) == (False, None, D("80000"))


def test_each_month_has_bounds_of_its_own(spark, bounds):
    dear = [(1, str(p), str(p)) for p in range(90_000, 90_011)]
    march = price_bounds(profile(spark, lines(*dear, day=FEBRUARY)), MARCH_1, FEW)
    rows = pa.concat_tables([lines((1, "90000", "90000")), lines((1, "90000", "90000"), day=MARCH)])
    february, later = marked(spark, rows.set_column(0, "n", pa.array([0, 1])), pa.concat_tables([bounds, march]))
    assert (february["is_outlier"], later["is_outlier"]) == (True, False)


# -- in a home -------------------------------------------------------------------------------------------------------


def test_bounds_see_the_days_before_their_month_alone_and_are_replaced_only_by_others(home, monkeypatch):
    (home.path / "settings.yaml").write_text("outliers: {history_days: 20, least_lines: 1}")
    events = LakeTable(home, EVENT_PROFILE)
    for day, bucket in ((date(2024, 1, 11), 90), (date(2024, 1, 12), 10), (date(2024, 1, 31), 20), (FEBRUARY_1, 91)):
        events.write_arrow(day, histogram({bucket: 5}, day=day))
        LakeTable(home, EVENTS).write_arrow(day, arrow_schema(EVENTS).empty_table())
    made = ensure_bounds(home, FEBRUARY_1)
    # 20 days before 1 February begin on 12 January; neither the day before nor the month itself counts.
    assert set(made["price_bucket"].to_pylist()) == {UNRANKED, 10, 20}
    bounds, written = LakeTable(home, PRICE_BOUNDS), LakeTable(home, PRICE_BOUNDS).written_at(FEBRUARY_1)
    ensure_bounds(home, FEBRUARY_1)
    assert bounds.written_at(FEBRUARY_1) == written
    events.write_arrow(date(2024, 1, 31), histogram({20: 6}, day=date(2024, 1, 31)))
    ensure_bounds(home, FEBRUARY_1)
    assert bounds.written_at(FEBRUARY_1) > written


# -- engines ---------------------------------------------------------------------------------------------------------

BOTH_ENGINES = """
import json, sys
from jobs.engine import open_engine
from tests.jobs.test_prices import many_lines, shown

with open_engine(sys.argv[1]) as spark:
    print(json.dumps(shown(spark)))
"""


def many_lines(day, seed):
    """A thousand lines: usual prices, prices at the edges of buckets, typing errors, unknown ones."""
    import random

    rng = random.Random(seed)
    edges = list(edge_prices())[::7]
    rows = []
    for _ in range(1000):
        price = rng.choice(edges) if rng.random() < 0.1 else D(int(rng.lognormvariate(11, 1.2))).scaleb(-4)
        amount = min(price * rng.choice([1] * 15 + [2] * 4 + [50_000]), D("9e12"))
        rows.append((rng.choice([None, 1, 2, 2**31 - 1]), None if rng.random() < 0.05 else price, amount))
    parts = [lines(*rows[:700], day=day), lines(*rows[700:900], day=day, kind="return")]
    return pa.concat_tables([*parts, lines(*rows[900:], day=day, kind="view")]).set_column(
        0, "n", pa.array(range(1000))
    )


def shown(spark):
    history = profile(spark, many_lines(JANUARY, 1))
    bounds = price_bounds(history, FEBRUARY_1, OutlierSettings(least_lines=50))
    found = marked(spark, many_lines(FEBRUARY, 2), bounds)
    return [[str(value) for value in row.values()] for row in (*history.to_pylist(), *found)]


@pytest.mark.slow
def test_both_engines_mark_the_same_lines_alike():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    runs = [
        subprocess.run(
            [sys.executable, "-c", BOTH_ENGINES, engine],
            cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, check=True,
        )
        for engine in ("sail", "spark")
    ]  # fmt: skip
    sail, spark = (json.loads(run.stdout.splitlines()[-1]) for run in runs)
    assert sail == spark
    assert Counter(row[-2] for row in sail)["True"] > 10
