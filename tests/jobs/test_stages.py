"""Lifecycle stages on hand-written customers, each with the rule it proves; and the machine that they make."""

from datetime import date, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.lifecycle import reachable
from jobs.segments.settings import DayCuts, SegmentSettings
from jobs.segments.stages import entered, lifecycle_stages
from tests.jobs.segment_rows import DAY, NEVER, ONCE, customer, frame

CUTS = DayCuts(200.0, 100.0, 20.0, loyal_purchase_days_from=10.0, loyal_amount_from=500.0)
LOYAL = {"tenure_days": 180, "purchase_days_365d": 10, "purchase_amount_365d": 500.0}
SETTINGS = SegmentSettings()


def stage_of(row: dict, days_since: int = 1) -> str:
    return lifecycle_stages(frame(row), SETTINGS, CUTS, days_since)[0]


@pytest.mark.parametrize(
    ("stage", "changed"),
    [
        ("prospect", NEVER),
        # New for 30 days from the first purchase, whatever follows it: day 29 still, day 30 no more.
        ("new", ONCE | {"recency_days": 29, "first": 29}),
        ("new", {"first": 12, "gap_mean_days": 4.0}),
        # Who has bought once and is not new any more is silent: there is no day between.
        ("dormant", ONCE | {"recency_days": 30, "first": 30}),
        ("active", {}),
        # Silent begins after three mean gaps: day 30 fits, day 31 does not.
        ("active", {"recency_days": 30}),
        ("dormant", {"recency_days": 31}),
        # Who buys daily is not silent before two weeks.
        ("active", {"gap_mean_days": 1.0, "recency_days": 14}),
        ("dormant", {"gap_mean_days": 1.0, "recency_days": 15}),
        # However slow the rhythm, after 120 days everybody is silent.
        ("active", {"gap_mean_days": 100.0, "recency_days": 120, "first": 400}),
        ("dormant", {"gap_mean_days": 100.0, "recency_days": 121, "first": 400}),
        # Churned takes both: silence and a probability below the bound.
        ("churned", {"recency_days": 31, "purchase_probability_30d": 0.09}),
        ("dormant", {"recency_days": 31, "purchase_probability_30d": 0.10}),
        ("active", {"purchase_probability_30d": 0.09}),
        # Loyal takes tenure, frequency and value together.
        ("loyal", LOYAL),
        ("active", LOYAL | {"tenure_days": 179}),
        ("active", LOYAL | {"purchase_days_365d": 9}),
        ("active", LOYAL | {"purchase_amount_365d": 499.0}),
        # Silence ends loyalty.
        ("dormant", LOYAL | {"recency_days": 31}),
    ],
)
@pytest.mark.parametrize("before", [None, "active"])
def test_stage(stage, changed, before):
    assert stage_of(customer(**changed, stage_before=before)) == stage


@pytest.mark.parametrize(
    ("stage", "changed"),
    [
        # On the evening before the last purchase, day 30 of a rhythm of ten days, the customer was not yet silent.
        ("active", {"gap_last_days": 31}),
        ("reactivated", {"gap_last_days": 32}),
        # Reactivated comes before loyal, and lasts 30 days.
        ("reactivated", {"gap_last_days": 32, **LOYAL}),
        ("reactivated", {"gap_last_days": 32, "recency_days": 29, "gap_mean_days": 15.0}),
        ("active", {"gap_last_days": 32, "recency_days": 30, "gap_mean_days": 15.0}),
        # One purchase shows no rhythm: before the second one, silence begins when the customer is new no more.
        ("active", {"frequency_days": 2, "gap_mean_before_last_days": None, "gap_last_days": 30, "first": 35}),
        ("reactivated", {"frequency_days": 2, "gap_mean_before_last_days": None, "gap_last_days": 31, "first": 36}),
        # Who was new on that evening was not dormant.
        ("active", {"gap_mean_before_last_days": 4.0, "gap_last_days": 26, "first": 35}),
        ("reactivated", {"gap_mean_before_last_days": 4.0, "gap_last_days": 26, "first": 36}),
        # The bound of 120 days holds for the silence before it too.
        ("active", {"gap_mean_before_last_days": 100.0, "gap_last_days": 121, "gap_mean_days": 60.0, "first": 400}),
        ("reactivated", {"gap_mean_before_last_days": 100.0, "gap_last_days": 122, "first": 400}),
    ],
)
def test_reactivated_by_the_gaps_where_no_snapshot_stands_before(stage, changed):
    assert stage_of(customer(**changed)) == stage


@pytest.mark.parametrize(
    ("stage", "before", "changed"),
    [
        ("reactivated", "dormant", {"recency_days": 0, **LOYAL}),
        ("reactivated", "churned", {"recency_days": 0}),
        # Until the next purchase, or for 30 days.
        ("reactivated", "reactivated", {"recency_days": 29, "gap_mean_days": 15.0}),
        ("active", "reactivated", {"recency_days": 30, "gap_mean_days": 15.0}),
        ("active", "reactivated", {"recency_days": 0}),
        ("loyal", "reactivated", {"recency_days": 0, **LOYAL}),
        ("dormant", "reactivated", {"recency_days": 31}),
        # Whom no snapshot saw asleep has not woken, whatever the gaps say.
        ("active", "active", {"recency_days": 0, "gap_last_days": 80}),
        ("active", "new", {"recency_days": 0, "gap_last_days": 80}),
        # Asleep until there is a purchase.
        ("dormant", "churned", {"recency_days": 31}),
        ("churned", "dormant", {"recency_days": 31, "purchase_probability_30d": 0.0}),
        # What the data say is told, even where no way leads there.
        ("prospect", "loyal", NEVER),
        ("new", "churned", {"recency_days": 3, "first": 3}),
    ],
)
def test_reactivated_by_the_stage_before(stage, before, changed):
    assert stage_of(customer(**changed, stage_before=before)) == stage


def test_weeks_between_snapshots_a_purchase_since_the_one_before_ends_reactivated():
    was = {"stage_before": "reactivated", "gap_mean_days": 15.0}
    assert stage_of(customer(recency_days=6, **was), days_since=7) == "active"
    assert stage_of(customer(recency_days=7, **was), days_since=7) == "reactivated"


@pytest.mark.parametrize(
    ("before", "since", "previous"),
    [
        # Stayed: both are carried on. Moved: today, and the stage that was left. Unseen: today, and none.
        (("active", date(2024, 1, 1), "new"), date(2024, 1, 1), "new"),
        (("active", date(2024, 1, 1), None), date(2024, 1, 1), None),
        (("loyal", date(2024, 1, 1), "active"), DAY, "loyal"),
        ((None, None, None), DAY, None),
    ],
)
def test_since_when_and_from_where(before, since, previous):
    row = frame(customer(**dict(zip(("stage_before", "since_before", "previous_before"), before, strict=True))))
    found_since, found_previous = entered(row, lifecycle_stages(row, SETTINGS, CUTS, 1), DAY)
    assert (found_since[0].date(), found_previous[0]) == (since, previous)


def as_of(purchases: list[int], day: int, probability: float, **changed) -> dict:
    """The customer on ``day`` of whom purchases are known on these days: features by their definitions."""
    known = [bought for bought in purchases if bought <= day]
    gaps = [later - earlier for earlier, later in pairwise(known)]
    return customer(
        snapshot_date=DAY + timedelta(days=day),
        first=day - known[0] if known else None,
        recency_days=day - known[-1] if known else None,
        frequency_days=len(known),
        gap_mean_days=sum(gaps) / len(gaps) if gaps else None,
        gap_last_days=gaps[-1] if gaps else None,
        gap_mean_before_last_days=sum(gaps[:-1]) / len(gaps[:-1]) if gaps[1:] else None,
        purchase_probability_30d=probability,
        purchase_days_365d=len(known),
        purchase_amount_365d=100.0 * len(known),
        **changed,
    )


PURCHASES = st.lists(st.integers(1, 45), max_size=12).map(lambda gaps: [sum(gaps[:n]) for n in range(len(gaps))])
SHOP = st.lists(st.tuples(PURCHASES, st.integers(0, 300)), min_size=1, max_size=40)


@settings(max_examples=3, deadline=None)
@given(SHOP, st.integers(0))
def test_from_day_to_day_only_ways_of_the_machine_are_gone_and_the_gaps_say_the_same(shop, seed):
    random = Random(seed)
    before = [None] * len(shop)
    for day in range(100):
        rows = [as_of(bought, day, random.uniform(0, 0.2), tenure_days=tenure + day) for bought, tenure in shop]
        known = [row | {"stage_before": was} for row, was in zip(rows, before, strict=True)]
        stages = list(lifecycle_stages(frame(*known, *rows), SETTINGS, CUTS, 1))
        assert all(was is None or stage in reachable(was, 1) for was, stage in zip(before, stages, strict=False))
        # A shop whose first snapshot this were would see the same stages.
        assert stages[: len(shop)] == stages[len(shop) :]
        before = stages[: len(shop)]


@settings(max_examples=10, deadline=None)
@given(SHOP, st.lists(st.integers(1, 35), min_size=2, max_size=12), st.floats(0, 0.2))
def test_over_days_without_a_snapshot_nobody_begins_anew(shop, steps, chance):
    before, day = [None] * len(shop), 0
    for step in steps:
        day += step
        rows = [as_of(bought, day, chance, stage_before=was) for (bought, _), was in zip(shop, before, strict=True)]
        stages = list(lifecycle_stages(frame(*rows), SETTINGS, CUTS, step))
        assert all(was is None or stage in reachable(was, step) for was, stage in zip(before, stages, strict=True))
        before = stages
