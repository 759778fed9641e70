"""Tiers, stages and bands on hand-written customers, each with the rule it proves."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from expectations.errors import SetupError
from expectations.segments import CUSTOMER_SEGMENTS, LIFECYCLE_PHASES
from jobs.frames import checked
from jobs.lifecycle import DESCRIPTIONS, DayCuts, SegmentSettings, day_cuts, settings_rows
from jobs.segment import segments
from jobs.settings import load_settings

DAY = date(2024, 3, 4)
CUTS = DayCuts(high_value_from=100.0, medium_value_from=20.0, loyal_purchase_days_from=10.0, loyal_amount_from=500.0)


def customer(**changed):
    """A regular in rhythm: buys every ten days, last five days ago."""
    first = changed.pop("first", 100)
    row = {
        "customer_key": "a", "snapshot_date": DAY, "tenure_days": 100, "recency_days": 5, "frequency_days": 9,
        "order_count": 9, "monetary_value": 10.0, "gap_mean_days": 10.0, "gap_last_days": 10,
        "gap_mean_before_last_days": 10.0, "purchase_amount_30d": 30.0, "purchase_amount_365d": 90.0,
        "purchase_days_365d": 9, "purchase_probability_30d": 0.9, "churn_probability_30d": 0.1,
        "expected_spend_30d": 30.0, "spend_if_purchase_30d": 33.0, "return_amount_30d": 0.0, "return_amount_365d": 5.0,
        "purchase_probability_90d": 0.95, "churn_probability": 0.1, "churn_days": 30, "expected_spend_90d": 90.0,
        **{f"expected_spend_{days}d_{end}": 10.0 for days in (30, 90) for end in ("low", "high")},
        "clv_365d": None, "is_clv_extrapolated": None, "model_name": "m", "model_version": 1, **changed,
    }  # fmt: skip
    row["first_purchase_date"] = None if first is None else DAY - timedelta(days=first)
    row["last_purchase_date"] = None if row["recency_days"] is None else DAY - timedelta(days=row["recency_days"])
    return row


def table(*rows):
    types = {
        "tenure_days": pa.int32(), "recency_days": pa.int32(), "gap_last_days": pa.int32(), "model_version": pa.int32(),
        "first_purchase_date": pa.date32(), "last_purchase_date": pa.date32(), "gap_mean_days": pa.float64(),
        "gap_mean_before_last_days": pa.float64(), "monetary_value": pa.float64(), "churn_days": pa.int32(),
        "clv_365d": pa.float64(), "is_clv_extrapolated": pa.bool_(),
    }  # fmt: skip
    made = pa.Table.from_pylist(list(rows))
    return made.cast(pa.schema([pa.field(f.name, types.get(f.name, f.type)) for f in made.schema]))


def segment_of(spark, row):
    frame = segments(spark.createDataFrame(table(row)), SegmentSettings(), CUTS)
    return checked(frame, CUSTOMER_SEGMENTS).toArrow().to_pylist()[0]


NEVER = {"recency_days": None, "frequency_days": 0, "gap_mean_days": None, "gap_last_days": None,
         "gap_mean_before_last_days": None, "monetary_value": None, "first": None}  # fmt: skip
ONCE = {"frequency_days": 1, "gap_mean_days": None, "gap_last_days": None, "gap_mean_before_last_days": None}


@pytest.mark.parametrize(
    ("stage", "changed"),
    [
        ("prospect", NEVER),
        # New for 30 days from the first purchase, whatever follows it: day 29 still, day 30 no more.
        ("new", ONCE | {"recency_days": 29, "first": 29}),
        ("dormant", ONCE | {"recency_days": 31, "first": 31}),
        ("new", {"first": 12, "gap_mean_days": 4.0}),
        ("active", {}),
        # Silent begins after three mean gaps: day 30 fits, day 31 does not.
        ("active", {"recency_days": 30}),
        ("dormant", {"recency_days": 31}),
        # Who buys daily is not silent before two weeks.
        ("active", {"gap_mean_days": 1.0, "recency_days": 14}),
        ("dormant", {"gap_mean_days": 1.0, "recency_days": 15}),
        # However slow the rhythm, after 120 days everybody is silent.
        ("active", {"gap_mean_days": 100.0, "recency_days": 120}),
        ("dormant", {"gap_mean_days": 100.0, "recency_days": 121}),
        # Churned takes both: silence and a probability below the bound.
        ("churned", {"recency_days": 31, "purchase_probability_30d": 0.09}),
        ("active", {"purchase_probability_30d": 0.09}),
        # Bought again after a silence longer than the rhythm before it.
        ("reactivated", {"gap_last_days": 31}),
        ("active", {"gap_last_days": 30}),
        ("active", {"gap_last_days": 31, "recency_days": 30, "gap_mean_days": 15.0}),
        # One purchase shows no rhythm: before the second one, silence begins after the 30 days of new.
        ("active", {"frequency_days": 2, "gap_mean_before_last_days": None, "gap_last_days": 30}),
        ("reactivated", {"frequency_days": 2, "gap_mean_before_last_days": None, "gap_last_days": 31}),
        # The bound of 120 days holds for the silence before it too.
        ("active", {"gap_mean_before_last_days": 100.0, "gap_last_days": 120, "gap_mean_days": 60.0}),
        ("reactivated", {"gap_mean_before_last_days": 100.0, "gap_last_days": 121, "gap_mean_days": 60.0}),
        # Loyal takes tenure, frequency and value together.
        ("loyal", {"tenure_days": 180, "purchase_days_365d": 10, "purchase_amount_365d": 500.0}),
        ("active", {"tenure_days": 179, "purchase_days_365d": 10, "purchase_amount_365d": 500.0}),
        ("active", {"tenure_days": 180, "purchase_days_365d": 9, "purchase_amount_365d": 500.0}),
        ("active", {"tenure_days": 180, "purchase_days_365d": 10, "purchase_amount_365d": 499.0}),
    ],
)
def test_stage(spark, stage, changed):
    row = segment_of(spark, customer(**changed))
    assert row["lifecycle_stage"] == stage
    assert row["lifecycle_phase"] == LIFECYCLE_PHASES[stage]


@pytest.mark.parametrize(("spend", "tier"), [(100.0, "high"), (99.99, "medium"), (20.0, "medium"), (19.99, "low")])
def test_value_tier(spark, spend, tier):
    assert segment_of(spark, customer(expected_spend_30d=spend))["value_tier"] == tier


@pytest.mark.parametrize(("churn", "band"), [(0.33, "low"), (0.34, "medium"), (0.66, "medium"), (0.67, "high")])
def test_churn_band(spark, churn, band):
    assert segment_of(spark, customer(churn_probability=churn))["churn_band"] == band


def test_the_cuts_are_quantiles_of_the_day(spark):
    rows = [customer(customer_key=f"{n}", expected_spend_30d=float(n), purchase_days_365d=n) for n in range(11)]
    rows.append(customer(customer_key="never", expected_spend_30d=0.0, purchase_days_365d=0, **NEVER))
    cuts = day_cuts(spark.createDataFrame(table(*rows)), SegmentSettings())
    # 12 values, 0 twice: the first that covers .8 x 12 = 9.6 of them is the tenth, somebody's own 8.
    assert cuts.high_value_from == 8.0
    # Loyal is measured among buyers only: 11 values, the first that covers 7.7 is the eighth.
    assert cuts.loyal_purchase_days_from == 7.0


def test_every_threshold_is_stored_with_its_meaning():
    rows = settings_rows(SegmentSettings(new_days=45), CUTS)
    assert {row["name"] for row in rows} == set(DESCRIPTIONS)
    by_name = {row["name"]: row for row in rows}
    assert (by_name["new_days"]["value"], by_name["new_days"]["origin"]) == (45.0, "setting")
    assert (by_name["high_value_from"]["value"], by_name["high_value_from"]["origin"]) == (100.0, "computed")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("segment: {new_dys: 3}", r"settings.yaml: segment has no setting 'new_dys'; known: high_value_quantile"),
        ("segment: {new_days: soon}", r"segment.new_days must be a number, found 'soon'"),
        ("segment: {medium_value_quantile: 0.9}", r"medium_value_quantile \(0.9\) must lie below high_value_quantile"),
        ("segment: {silent_least_days: 200}", r"silent_least_days \(200\) must not exceed silent_most_days \(120\)"),
        ("segment: {loyal_quantile: 7}", r"loyal_quantile \(7\) must lie in 0..1"),
    ],
)
def test_wrong_settings_are_refused_with_their_name(home, text, message):
    (home.path / "settings.yaml").write_text(text)
    with pytest.raises(SetupError, match=message):
        load_settings(home, "segment", SegmentSettings)


def test_settings_change_what_they_name(home):
    (home.path / "settings.yaml").write_text("segment:\n  new_days: 45\n")
    assert load_settings(home, "segment", SegmentSettings) == SegmentSettings(new_days=45)
