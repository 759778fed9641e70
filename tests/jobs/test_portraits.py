"""Portraits: differences against SciPy, shares and sums by hand, and words that say the numbers."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jobs.profiles.apart import differences
from jobs.profiles.portraits import STEPS, portraits

DAY = date(2024, 3, 10)


def test_differences_are_those_of_welch_in_standard_deviations_of_all():
    rng = np.random.default_rng(1)
    inside = np.arange(400) < 120
    values = np.where(inside, rng.normal(12, 3, 400), rng.normal(10, 2, 400))
    values[::17] = np.nan
    (found,) = differences(pd.DataFrame({"recency_days": values}), inside)
    one, other = values[inside & ~np.isnan(values)], values[~inside & ~np.isnan(values)]
    test = stats.ttest_ind(one, other, equal_var=False)
    spread = np.nanstd(values)
    assert found.value == pytest.approx((one.mean() - other.mean()) / spread)
    low, high = test.confidence_interval(0.95)
    # SciPy's interval takes t for 1.96 and n - 1 for n: close, and never narrower.
    assert (found.low, found.high) == (pytest.approx(low / spread, abs=0.02), pytest.approx(high / spread, abs=0.02))


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_what_may_be_chance_or_is_small_is_not_told(shift):
    rng = np.random.default_rng(2)
    inside = np.arange(5000) < 2500
    assert differences(pd.DataFrame({"recency_days": rng.normal(0, 1, 5000) + shift * inside}), inside) == []


@pytest.mark.parametrize("number", [0.1, 1 / 3, 12.7])
def test_what_is_equal_for_everybody_sets_nobody_apart(number):
    for people in (1000, 5003, 20_011):  # sums of equal numbers are off by what hangs on how many they are
        inside = np.random.default_rng(people).random(people) < 0.3
        assert differences(pd.DataFrame({"bounce_rate_90d": np.full(people, number)}), inside) == []


@pytest.mark.parametrize(("known", "is_told"), [(499, False), (500, True)])
def test_what_is_known_of_less_than_half_of_a_group_is_not_told_of_it(known, is_told):
    inside = np.arange(3000) < 1000
    values = np.random.default_rng(0).normal(0, 1, 3000) + 2 * inside
    values[known:1000] = np.nan
    assert bool(differences(pd.DataFrame({"rating_mean_90d": values}), inside)) == is_told


def test_features_that_say_the_same_are_told_once():
    inside = np.arange(100) < 50
    spent = pd.Series(inside * 10.0 + np.arange(100) % 5)
    found = differences(pd.DataFrame({"purchase_amount_30d": spent, "purchase_amount_90d": 3 * spent}), inside)
    assert len(found) == 1


def shop():
    """Ten loyal customers who pay 90 each, thirty prospects who pay nothing."""
    n, loyal = 40, np.arange(40) < 10
    people = pd.DataFrame({
        "customer_key": [f"{k:02}" for k in range(n)],
        "value_tier": np.where(loyal, "top", "low"),
        "lifecycle_stage": np.where(loyal, "loyal", "prospect"),
        "cluster_id": pd.array(np.where(loyal, 1, 2), dtype="Int32"),
        "favourite_category": np.where(np.arange(n) < 6, "BOOKS", None),
        "purchase_amount_365d": np.where(loyal, 90.0, 0.0),
        "recency_days": np.where(loyal, 3.0, 50.0) + np.arange(n) % 3,
        "text_count_365d": np.where(np.arange(n) == 0, 3, np.where(np.arange(n) == 1, 1, 0)),
        "sentiment_mean_365d": np.where(np.arange(n) == 0, 1.0, np.where(np.arange(n) == 1, -1.0, np.nan)),
        **{f"{step}_count_90d": np.where(loyal, 2, 0) if step == "purchase" else np.zeros(n) for step in STEPS},
    })  # fmt: skip
    tags = pd.DataFrame(
        {"customer_key": ["00", "01", "02", "39"], "tag": ["happy", "happy", "gifting", "window_shopper"]}
    )
    return people, tags


def facts(kind, segment):
    people, tags = shop()
    rows = portraits(people, tags, ["recency_days"], DAY)
    return {(r["fact"], r["rank"]): r for r in rows if (r["segment_kind"], r["segment"]) == (kind, segment)}


@pytest.mark.parametrize(("kind", "segment"), [("value_tier", "top"), ("lifecycle_stage", "loyal"), ("cluster", "1")])
def test_a_portrait_says_size_revenue_wants_tags_mood_and_journey(kind, segment):
    told = facts(kind, segment)
    assert told["size", 1]["value"] == 10
    assert told["customer_share", 1]["value"] == 0.25
    assert told["revenue_share", 1]["value"] == 1.0
    assert (told["category", 1]["item"], told["category", 1]["value"]) == ("BOOKS", 0.6)
    assert [told["tag", rank]["item"] for rank in (1, 2)] == ["happy", "gifting"]
    assert told["tag", 1]["value"] == 0.2
    assert told["sentiment", 1]["value"] == 0.5  # three texts of 1, one of -1
    assert (told["journey", 1]["item"], told["journey", 1]["value"]) == ("purchase", 2.0)
    assert told["journey", 1]["words"] == "2 purchase lines in the last 90 days, per customer"
    assert told["difference", 1]["item"] == "recency_days"
    assert told["difference", 1]["high"] < 0
    summary = told["summary", 1]["words"]
    for words in ("10 customers", "25.0% of all customers", "100.0% of what was paid", "BOOKS"):
        assert words in summary
    assert "happy" not in summary  # two customers are


def test_a_share_lies_within_its_interval():
    low, value, high = (facts("value_tier", "top")["category", 1][name] for name in ("low", "value", "high"))
    assert 0 < low < value < high < 1
    expected = stats.binomtest(6, 10).proportion_ci(method="wilson")
    assert (low, high) == (pytest.approx(expected.low, abs=1e-4), pytest.approx(expected.high, abs=1e-4))


def test_items_are_ranked_by_how_much_more_often_than_among_others():
    n, inside = 400, np.arange(400) < 100
    people = pd.DataFrame({
        "customer_key": [f"{k:03}" for k in range(n)], "value_tier": np.where(inside, "top", "low"),
        "lifecycle_stage": "active", "cluster_id": pd.array([1] * n, dtype="Int32"),
        "favourite_category": np.where(np.arange(n) % 2 == 0, "FOOD", np.where(np.arange(n) % 20 == 1, "WINE", None)),
        "purchase_amount_365d": 1.0, "recency_days": 3.0, "text_count_365d": 0, "sentiment_mean_365d": np.nan,
        **{f"{step}_count_90d": 0 for step in STEPS},
    })  # fmt: skip
    people.loc[:19, "favourite_category"] = "WINE"
    everybody = [(f"{k:03}", "evening_shopper") for k in range(0, n, 2)]
    tags = pd.DataFrame([*everybody, *((f"{k:03}", "gifting") for k in range(12))], columns=["customer_key", "tag"])
    rows = portraits(people, tags, [], DAY)
    told = {(r["fact"], r["rank"]): r for r in rows if (r["segment_kind"], r["segment"]) == ("value_tier", "top")}
    # Half of everybody are evening shoppers and want food: that says nothing of the segment.
    assert [told["tag", k]["item"] for k in (1, 2)] == ["gifting", "evening_shopper"]
    assert [told["tag", k]["value"] for k in (1, 2)] == [0.12, 0.5]
    assert [told["tag", k]["others"] for k in (1, 2)] == [0.0, 0.5]
    assert told["tag", 1]["words"] == "12% carry the tag gifting (others 0%)"
    assert told["category", 1]["words"] == "24% want WINE most (others 5%)"
    assert "evening_shopper" not in told["summary", 1]["words"]
    assert "FOOD" not in told["summary", 1]["words"]
    # Where there are no others, the commonest come first.
    stage = [r for r in rows if (r["segment"], r["fact"]) == ("active", "tag")]
    assert [(r["item"], r["others"]) for r in stage] == [("evening_shopper", None), ("gifting", None)]


def test_a_segment_without_money_texts_or_events_has_a_portrait_too():
    told = facts("lifecycle_stage", "prospect")
    assert told["revenue_share", 1]["value"] == 0
    assert ("sentiment", 1) not in told
    assert ("journey", 1) not in told
    assert told["summary", 1]["words"].startswith("30 customers, 75.0% of all customers")


def test_every_kind_covers_every_customer_once():
    people, tags = shop()
    rows = portraits(people, tags, ["recency_days"], DAY)
    for kind in ("value_tier", "lifecycle_stage", "cluster"):
        assert sum(r["value"] for r in rows if r["segment_kind"] == kind and r["fact"] == "size") == len(people)


def test_who_has_no_cluster_is_of_none():
    people, tags = shop()
    some = pd.array(np.where(np.arange(len(people)) < 10, 1, np.nan), dtype="Int32")
    rows = portraits(people.assign(cluster_id=some), tags, ["recency_days"], DAY)
    sizes = {r["segment"]: r["value"] for r in rows if (r["segment_kind"], r["fact"]) == ("cluster", "size")}
    assert sizes == {"1": 10}


def test_the_summary_of_a_cluster_begins_with_its_name():
    people, tags = shop()
    rows = portraits(people, tags, [], DAY, {"1": "buys often"})
    told = {r["segment"]: r["words"] for r in rows if (r["segment_kind"], r["fact"]) == ("cluster", "summary")}
    assert told["1"].startswith("Buys often. 10 customers, ")
    assert told["2"].startswith("30 customers, ")


def test_tags_of_strangers_are_nobodys():
    people, tags = shop()
    more = pd.concat([tags, pd.DataFrame({"customer_key": ["gone"] * 3, "tag": ["bulk_buyer"] * 3})])
    assert portraits(people, more, [], DAY) == portraits(people, tags, [], DAY)


def test_customers_without_a_cluster_have_no_portrait_of_one():
    people, tags = shop()
    rows = portraits(people.assign(cluster_id=pd.array([None] * len(people), dtype="Int32")), tags, [], DAY)
    assert {r["segment_kind"] for r in rows} == {"value_tier", "lifecycle_stage"}
