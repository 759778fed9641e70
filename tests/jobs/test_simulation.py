"""The simulated shop counts, lives and spends as its truth says: each number against an oracle of its own."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from expectations.events import EVENT_TYPES
from jobs.simulation import rows as table
from jobs.simulation.plan import Plan
from jobs.simulation.rows import KIND, Rows
from jobs.simulation.segments import SEGMENTS
from jobs.simulation.truth import expected_orders, expected_spend
from jobs.simulation.world import World, make_world
from tests.jobs.simulated import (
    BEYOND_CHANCE,
    PLAN,
    day_of,
    made_by,
    of_kind,
    simulated_events,
    simulated_world,
    without_cases,
)


@pytest.fixture(scope="module")
def world() -> World:
    return simulated_world()


@pytest.fixture(scope="module")
def events() -> Rows:
    return simulated_events()


# -- how much -------------------------------------------------------------------------------------------------------


def test_a_year_has_a_hundred_events_a_customer_over_twenty_days(events):
    per_customer = table.size_of(events) / PLAN.customers
    assert per_customer == pytest.approx(100, rel=0.06)
    own = table.take(events, events["kind"] != KIND["campaign_send"])
    active_days = len(np.unique(own["customer"] * 1000 + day_of(own))) / PLAN.customers
    assert 15 < active_days < 25
    assert 0.04 < table.size_of(of_kind(events, "purchase")) / table.size_of(events) < 0.07


def test_every_kind_of_event_occurs(events):
    assert (np.bincount(events["kind"], minlength=len(EVENT_TYPES)) > 0).all()


def test_another_number_of_events_can_be_asked_for():
    few = made_by(Plan(customers=1000, days=60, seed=7, events_per_customer_year=40))
    assert table.size_of(few) / 1000 * 365 / 60 == pytest.approx(40, rel=0.15)


# -- rates and lifetimes --------------------------------------------------------------------------------------------


def order_counts(events: Rows) -> np.ndarray:
    lines = without_cases(of_kind(events, "purchase"))
    _, first = np.unique(lines["order"], return_index=True)
    return np.bincount(lines["customer"][first], minlength=PLAN.customers)


def test_orders_are_poisson_with_the_rates_of_the_truth(world, events):
    counts, expected = order_counts(events), expected_orders(world)
    for segment in range(len(SEGMENTS)):
        mine = world.customers.segment == segment
        off = (counts[mine].sum() - expected[mine].sum()) / np.sqrt(expected[mine].sum())
        assert abs(off) < BEYOND_CHANCE, SEGMENTS[segment].name
    # Poisson: a customer's count varies by its mean, no less and no more.
    assert ((counts - expected) ** 2).sum() / expected.sum() == pytest.approx(1, abs=0.1)


def test_expected_orders_add_up_the_rates_of_days(world):
    by_day = sum(world.rate(day, world.customers.order_rate) for day in range(PLAN.days))
    np.testing.assert_allclose(expected_orders(world), by_day, rtol=1e-5)  # effects are 32 bit


def test_rates_are_gamma_within_a_segment(world):
    normal = np.ones(PLAN.customers, bool)
    normal[[case.customer for case in world.episodes]] = False
    of_segment = np.array([segment.order_rate for segment in SEGMENTS])[world.customers.segment]
    relative = (world.customers.order_rate / of_segment)[normal]
    relative /= relative.mean()
    # Mean 1 and shape 0.8: variance 1 / 0.8.
    assert stats.kstest(relative, stats.gamma(0.8, scale=1 / 0.8).cdf).pvalue > 1e-4


def test_lifetimes_are_exponential_with_the_dropout_rate(world):
    who = world.customers
    chance = np.exp(-who.dropout_rate * (who.alive_until - who.acquired))
    assert stats.kstest(chance, "uniform").pvalue > 1e-4


def test_nobody_visits_before_acquisition_or_after_dropping_out(world, events):
    visits = table.take(events, events["session"] >= 0)
    day = day_of(visits)
    assert (day >= world.customers.acquired[visits["customer"]]).all()
    assert (day < world.customers.alive_until[visits["customer"]]).all()


# -- money ----------------------------------------------------------------------------------------------------------


def test_order_amounts_have_the_mean_of_the_truth(world, events):
    """A coupon takes more off: its orders, chosen whatever they hold, are left out."""
    lines = without_cases(of_kind(events, "purchase"))
    coupons = of_kind(events, "coupon_redeem")
    redeemed = np.isin(lines["customer"] * 400_000_000 + lines["time"] % 400_000_000,
                       coupons["customer"] * 400_000_000 + coupons["time"] % 400_000_000)  # fmt: skip
    lines = table.take(lines, ~redeemed)
    _, first, of = np.unique(lines["order"], return_index=True, return_inverse=True)
    amount = np.bincount(of, lines["amount"]) / 100
    off = amount - world.order_amount[lines["customer"][first]]
    assert abs(off.sum()) < BEYOND_CHANCE * np.sqrt((off**2).sum())


def test_money_of_a_line_adds_up(world, events):
    lines = of_kind(events, "purchase")
    full = world.catalogue.price[lines["product"]] * lines["quantity"]
    assert (lines["amount"] + lines["discount"] == full).all()
    assert (lines["quantity"] >= 1).all()
    assert (lines["amount"] > 0).all()


def test_expected_spend_is_that_of_a_monte_carlo(world):
    """Lifetime and counts drawn anew for one customer: mean spend of 90 days within the error of the draws."""
    random, who = np.random.default_rng(0), world.customers
    alive = np.flatnonzero(who.alive_until > PLAN.days)
    one = alive[np.argmax(who.order_rate[alive] * who.dropout_rate[alive])]
    life = random.exponential(1 / who.dropout_rate[one], 20_000)
    spend = np.zeros(20_000)
    for day in range(90):
        rate = who.order_rate[one] * world.factor[who.segment[one], PLAN.days + day]
        spend += random.poisson(rate, 20_000) * (life > day) * world.order_amount[one]
    assert expected_spend(world)[90][one] == pytest.approx(spend.mean(), abs=4 * spend.std() / np.sqrt(20_000))
    assert (expected_spend(world)[30][who.alive_until <= PLAN.days] == 0).all()


def test_returns_are_of_lines_bought_before(events):
    bought, back = of_kind(events, "purchase"), of_kind(events, "return")
    line = {(o, p): t for o, p, t in zip(*(bought[c].tolist() for c in ("order", "product", "time")), strict=True)}
    for order, product, time in zip(*(back[c].tolist() for c in ("order", "product", "time")), strict=True):
        assert time > line.get((order, product), -1)
    known = [(o, p) in line for o, p in zip(back["order"].tolist(), back["product"].tolist(), strict=True)]
    assert np.mean(known) > 0.99  # a line delivered too late for the last day is not known, its return may be


# -- chance ---------------------------------------------------------------------------------------------------------


def test_the_smallest_shop_has_every_case():
    """Days without an order or a visit are days too."""
    plan = Plan(customers=100, days=10, seed=1, events_per_customer_year=12)
    assert table.size_of(made_by(plan)) > 0
    assert len({case.kind for case in make_world(plan).episodes}) == 5


def test_equal_seeds_make_equal_shops_and_others_others():
    small = partial(Plan, customers=300, days=20)
    one, same, other = made_by(small(seed=3)), made_by(small(seed=3)), made_by(small(seed=4))
    assert all((one[name] == same[name]).all() for name in one)
    assert table.size_of(one) != table.size_of(other)
    assert not np.array_equal(one["customer"][:100], other["customer"][:100])
