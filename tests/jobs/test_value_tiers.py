"""Value tiers by each rule, churn bands, and the settings that decide them."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.errors import SetupError
from expectations.segments import VALUE_TIERS
from jobs.segments.settings import DESCRIPTIONS, DayCuts, SegmentSettings, settings_rows
from jobs.segments.tiers import churn_bands, day_cuts, four_levels, quantile, value_tiers
from jobs.settings import load_settings
from tests.jobs.segment_rows import NEVER, customer, frame

few = settings(max_examples=20, deadline=None)
CUTS = DayCuts(200.0, 100.0, 20.0, loyal_purchase_days_from=10.0, loyal_amount_from=500.0)
FOUR = SegmentSettings(value_rule="four_level")
FIXED = SegmentSettings(
    value_rule="fixed", top_value_amount=50, high_value_amount=20, medium_value_amount=10, loyal_quantile=0.5
)


@pytest.mark.parametrize(
    ("spend", "tier"),
    [(200.0, "top"), (199.99, "high"), (100.0, "high"), (99.99, "medium"), (20.0, "medium"), (19.99, "low")],
)
def test_who_stands_at_a_cut_has_its_tier(spend, tier):
    assert value_tiers(frame(customer(expected_spend_30d=spend)), SegmentSettings(), CUTS) == [tier]


def test_who_is_not_eligible_rises_by_no_rule():
    row = frame(customer(expected_spend_30d=1e6, purchase_probability_30d=1.0, is_eligible=False))
    for chosen in (SegmentSettings(), FIXED, FOUR):
        assert value_tiers(row, chosen, CUTS) == ["low"]


def test_nothing_expected_is_low_even_where_a_cut_is_0():
    cuts = DayCuts(0.0, 0.0, 0.0, 0.0, 0.0)
    rows = frame(customer(expected_spend_30d=0.0), customer(expected_spend_30d=0.01))
    assert list(value_tiers(rows, SegmentSettings(), cuts)) == ["low", "top"]


def spenders(*amounts: float, **changed) -> list[dict]:
    return [
        customer(customer_key=f"{n}", expected_spend_30d=float(amount), purchase_days_365d=n, **changed)
        for n, amount in enumerate(amounts)
    ]


def test_quantiles_are_over_eligible_customers_who_are_expected_to_spend():
    rows = [*spenders(*range(11)), *spenders(99, 99, 99, is_eligible=False), customer(**NEVER, expected_spend_30d=99.0)]
    cuts = day_cuts(frame(*rows), SegmentSettings())
    # Ten values, 1 to 10: the first that covers 9.5 of them is the tenth, 8 the eighth, 5 the fifth.
    assert (cuts.top_value_from, cuts.high_value_from, cuts.medium_value_from) == (10.0, 8.0, 5.0)
    # Loyal is measured among buyers, eligible or not: 14 values, 0 to 10 and 0 to 2; the tenth covers 9.8 of them.
    assert cuts.loyal_purchase_days_from == 6.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_quantile_is_somebodys_own_value_that_such_a_share_does_not_exceed(values, share):
    found = quantile(np.array(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


@few
@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60), st.randoms())
def test_cuts_and_sizes_do_not_depend_on_the_order_of_customers(amounts, random):
    shuffled = random.sample(amounts, len(amounts))
    for chosen in (SegmentSettings(), FOUR, FIXED):
        one, other = (
            frame(*(customer(expected_spend_30d=a, purchase_probability_30d=min(a, 1.0)) for a in values))
            for values in (amounts, shuffled)
        )
        assert day_cuts(one, chosen) == day_cuts(other, chosen)


def test_fixed_amounts_are_the_cuts():
    rows = frame(*spenders(9.99, 10, 19.99, 20, 50, 1000))
    cuts = day_cuts(rows, FIXED)
    assert (cuts.top_value_from, cuts.high_value_from, cuts.medium_value_from) == (50.0, 20.0, 10.0)
    assert list(value_tiers(rows, FIXED, cuts)) == ["low", "medium", "medium", "high", "top", "top"]


def test_four_levels_of_the_predicted_probability():
    # 20 customers: the 95th percentile is the 19th, .8 (the maximum is .9); mean .25.
    chances = [0.1] * 10 + [0.2] * 5 + [0.4] * 2 + [0.5, 0.8, 0.9]
    mean = statistics.fmean(chances)
    assert four_levels(np.array(chances)) == pytest.approx((0.8, (0.8 + mean) / 2, mean))
    rows = frame(*(customer(purchase_probability_30d=chance, expected_spend_30d=0.0) for chance in chances))
    tiers = list(value_tiers(rows, FOUR, day_cuts(rows, FOUR)))
    assert {tier: tiers.count(tier) for tier in VALUE_TIERS} == {"top": 2, "high": 0, "medium": 3, "low": 15}


def test_the_levels_are_sorted_where_so_few_buy_that_the_mean_lies_above_the_percentile():
    chances = np.array([0.0] * 99 + [1.0])
    # Mean .01, percentile 0: .01, then .005 twice (the midpoints of both and of mean and 0).
    assert four_levels(chances) == pytest.approx((0.01, 0.005, 0.005))
    assert four_levels(np.array([])) == (0.0, 0.0, 0.0)


@few
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_top_level_is_never_empty_where_anybody_may_buy(chances):
    rows = frame(*(customer(purchase_probability_30d=chance) for chance in chances))
    tiers = value_tiers(rows, FOUR, day_cuts(rows, FOUR))
    if max(chances) > 0:
        assert "top" in tiers


@pytest.mark.parametrize(("churn", "band"), [(0.33, "low"), (0.34, "medium"), (0.66, "medium"), (0.67, "high")])
def test_churn_band(churn, band):
    assert churn_bands(frame(customer(churn_probability=churn)), SegmentSettings()) == [band]


def test_every_threshold_is_stored_with_its_meaning():
    rows = {row["name"]: row for row in settings_rows(SegmentSettings(new_days=45), CUTS)}
    assert rows.keys() == DESCRIPTIONS.keys()
    assert (rows["new_days"]["value"], rows["new_days"]["origin"]) == (45.0, "setting")
    assert (rows["high_value_from"]["value"], rows["high_value_from"]["origin"]) == (100.0, "computed")
    assert (rows["value_rule"]["value"], rows["value_rule"]["text"], rows["value_rule"]["unit"]) == (
        None,
        "quantile",
        "word",
    )
    assert rows["top_value_from"]["unit"] == "currency"
    of_four = {row["name"]: row["unit"] for row in settings_rows(FOUR, CUTS)}
    assert (of_four["top_value_from"], of_four["loyal_amount_from"]) == ("probability", "currency")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{new_dys: 3}", r"settings.yaml: segment has no setting 'new_dys'; known: value_rule, top_value_quantile"),
        ("{new_days: soon}", r"segment.new_days must be a number, found 'soon'"),
        ("{new_days: 0}", r"new_days \(0\) must be 1 or more: a stage lasts a day at least"),
        ("{reactivated_days: 0.5}", r"reactivated_days \(0.5\) must be 1 or more"),
        ("{medium_value_quantile: 0.9}", r"medium_value_quantile \(0.9\) must lie below high_value_quantile \(0.8\)"),
        ("{high_value_quantile: 0.95}",
         r"high_value_quantile \(0.95\) must lie below top_value_quantile \(0.95\): else the tier between is empty"),
        ("{top_value_quantile: 1.5}", r"top_value_quantile \(1.5\) must lie in 0..1"),
        ("{value_rule: thirds}", r"value_rule must be one of quantile, fixed, four_level, found 'thirds'"),
        ("{value_rule: fixed}", r"medium_value_amount \(0\) must lie below high_value_amount \(0\)"),
        ("{value_rule: fixed, top_value_amount: 20, high_value_amount: 50, medium_value_amount: 10}",
         r"high_value_amount \(50\) must lie below top_value_amount \(20\)"),
        ("{value_rule: fixed, top_value_amount: 20, high_value_amount: 5}",
         "value_rule fixed takes a medium_value_amount above 0"),
        ("{top_value_amount: 20}", "amounts of value take value_rule fixed; value_rule quantile reads none"),
        ("{silent_least_days: 200}", r"silent_least_days \(200\) must not exceed silent_most_days \(120\)"),
        ("{loyal_quantile: 7}", r"loyal_quantile \(7\) must lie in 0..1"),
        ("{churn_medium_from: 0.7}", r"churn_medium_from \(0.7\) must lie below churn_high_from \(0.666667\)"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_with_the_reason(home, text, message):
    (home.path / "settings.yaml").write_text(f"segment: {text}\n")
    with pytest.raises(SetupError, match=message):
        load_settings(home, "segment", SegmentSettings)


def test_settings_change_what_they_name(home):
    text = "segment: {value_rule: fixed, top_value_amount: 50, high_value_amount: 20, medium_value_amount: 10.0}\n"
    (home.path / "settings.yaml").write_text(text + "#\n")
    chosen = load_settings(home, "segment", SegmentSettings)
    assert chosen == SegmentSettings("fixed", top_value_amount=50, high_value_amount=20, medium_value_amount=10)
