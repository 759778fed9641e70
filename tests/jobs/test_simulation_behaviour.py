"""The simulated shop's customers behave as their truth says; its frauds are found by definition, by nothing else."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from expectations.events import EVENT_TYPES
from jobs.simulation import rows as table
from jobs.simulation.catalogue import STORE
from jobs.simulation.rows import Rows
from jobs.simulation.segments import SEGMENTS, hour_weights
from jobs.simulation.truth import customer_truth, fraud_truth, text_truth
from jobs.simulation.world import World
from tests.jobs.simulated import BEYOND_CHANCE, PLAN, day_of, of_kind, simulated_events, simulated_world, without_cases


@pytest.fixture(scope="module")
def world() -> World:
    return simulated_world()


@pytest.fixture(scope="module")
def events() -> Rows:
    return simulated_events()


def test_the_funnel_narrows_and_is_in_order(events):
    count = {name: table.size_of(of_kind(events, name)) for name in EVENT_TYPES}
    assert count["view"] > 3 * count["add_to_cart"] > 3 * count["purchase"]
    online = table.take(events, (events["session"] >= 0) & (events["channel"] != STORE) & (events["arrival"] < 60))
    online = without_cases(online)
    seen = {name: pairs(of_kind(online, name)) for name in ("view", "add_to_cart", "purchase")}
    assert seen["purchase"] <= seen["add_to_cart"]
    # A visit's later events take what was viewed last; its first may put something into the cart from a search alone.
    assert len(seen["add_to_cart"] - seen["view"]) < 0.2 * len(seen["add_to_cart"])


def pairs(rows: Rows) -> set[tuple[int, int]]:
    on_time = rows["arrival"] == day_of(rows)
    return set(zip(rows["session"][on_time].tolist(), rows["product"][on_time].tolist(), strict=True))


def test_visits_keep_the_hours_of_their_segment(world, events):
    visits = without_cases(table.take(events, events["session"] >= 0))
    _, first = np.unique(visits["session"], return_index=True)
    orders = without_cases(of_kind(events, "purchase"))
    _, first = np.unique(orders["order"], return_index=True)
    hour, segment = orders["time"][first] % 86_400 // 3600, world.customers.segment[orders["customer"][first]]
    for n, weights in enumerate(hour_weights()):
        found = np.bincount(hour[segment == n], minlength=24)
        assert stats.chisquare(found, weights * found.sum()).pvalue > 1e-5, SEGMENTS[n].name


def test_a_visit_lies_on_one_day_and_in_one_channel(events):
    visits = table.take(events, events["session"] >= 0)
    count = len(np.unique(visits["session"]))
    for values in (day_of(visits), visits["channel"], visits["customer"]):
        assert len(np.unique(visits["session"] * 10_000 + values)) == count


def test_sends_are_randomised(world, events):
    sends = of_kind(events, "campaign_send")
    for campaign in range(world.campaigns.count - 2):  # of the last ones not all days are in the plan
        able = np.flatnonzero((np.arange(PLAN.customers) % 2 == campaign % 2)
                              & (world.customers.acquired <= world.campaigns.start(campaign)))  # fmt: skip
        contacted = np.isin(able, sends["customer"][sends["campaign"] == campaign])
        off = (contacted.mean() - 105 / 256) / np.sqrt(0.41 * 0.59 / len(able))
        assert abs(off) < BEYOND_CHANCE
        # Who is contacted says nothing about what the contact would do.
        effect = world.customers.effect[able]
        assert stats.ttest_ind(effect[contacted], effect[~contacted]).pvalue > 1e-5
    assert (world.customers.effect < 0).mean() > 0.1  # some would rather be left alone


def test_the_randomised_contrast_finds_the_campaign_effect(world, events):
    """Orders of the week after a contact against those of a week of the controls: the mean of exp(effect), by rate."""
    lines = without_cases(of_kind(events, "purchase"))
    _, first = np.unique(lines["order"], return_index=True)
    orders = np.zeros((PLAN.customers, PLAN.days + 1))
    np.add.at(orders, (lines["customer"][first], day_of(lines)[first] + 1), 1)
    until = orders.cumsum(axis=1)  # until[:, d]: orders of the days before d
    who, heads, counts, promised = world.customers, np.zeros(2), np.zeros(2), []
    for campaign in range(world.campaigns.count - 2):
        start, number = world.campaigns.start(campaign), np.arange(campaign % 2, PLAN.customers, 2)
        sends = world.campaigns.sends(campaign)
        is_control = sends == 255
        begin = start + np.where(is_control, 3, sends).astype(int)
        able = (who.acquired[number] <= start) & (who.alive_until[number] > start + 13)
        week = until[number, begin + 7] - until[number, begin]
        for arm, mask in enumerate((~is_control & able, is_control & able)):
            heads[arm] += mask.sum()
            counts[arm] += week[mask].sum()
        rate = who.order_rate[number] * able
        promised.append((rate.sum(), (rate * np.exp(who.effect[number])).sum()))
    base, lifted = np.array(promised).sum(axis=0)
    found, error = np.log(counts[0] / heads[0] * heads[1] / counts[1]), np.sqrt((1 / counts).sum())
    assert abs(found - np.log(lifted / base)) < BEYOND_CHANCE * error
    assert found > 2 * error  # and it can be told from none


def test_late_events_arrive_one_to_three_days_after(events):
    delay = events["arrival"] - day_of(events)
    assert set(np.unique(delay)) == {0, 1, 2, 3}
    assert 0.001 < (delay > 0).mean() < 0.01


# -- texts ----------------------------------------------------------------------------------------------------------


def test_texts_are_known_by_language_sentiment_and_topic(world, events):
    truth = text_truth(world).to_pydict()
    assert len(set(truth["text"])) == len(truth["text"])  # no text is of two minds
    written = table.take(events, events["text"] >= 0)
    assert (np.array(truth["event_type"])[written["text"]] == np.array(EVENT_TYPES)[written["kind"]]).all()
    chinese = np.array(truth["language"])[written["text"]] == "zh"
    assert 0.05 < chinese.mean() < 0.2
    reviews = without_cases(of_kind(events, "review"))
    sentiment = np.array(truth["sentiment"])[reviews["text"]]
    assert [set(reviews["stars"][sentiment == mood]) for mood in (-1, 0, 1)] == [{1, 2}, {3}, {4, 5}]
    happier = world.customers.satisfaction[reviews["customer"]]
    assert happier[sentiment == 1].mean() > happier[sentiment == 0].mean() > happier[sentiment == -1].mean()


# -- fraud: found in the events by its definition, and by nothing else ----------------------------------------------


def cases(world: World, kind: str) -> set[tuple[int, int]]:
    return {(case.customer, case.day) for case in world.episodes if case.kind == kind}


def found(rows: Rows, least: int, *by: str) -> set[tuple[int, int]]:
    """(customer, day) of each group of at least so many rows that agree in customer, day and ``by``."""
    columns = np.stack([rows["customer"], day_of(rows), *(rows[c] for c in by)])
    groups, count = np.unique(columns, axis=1, return_counts=True)
    return set(zip(*groups[:2, count >= least].tolist(), strict=True))


def test_card_testing_pays_with_many_cards_a_day(world, events):
    lines = of_kind(events, "purchase")
    _, first = np.unique(np.stack([lines["customer"], day_of(lines), lines["payment"]]), axis=1, return_index=True)
    assert found(table.take(lines, first), 10) == cases(world, "card_testing") != set()


def test_review_spam_repeats_one_text_a_day(world, events):
    assert found(of_kind(events, "review"), 8, "text") == cases(world, "review_spam") != set()


def test_bots_view_hundreds_of_things_in_a_visit(world, events):
    assert found(of_kind(events, "view"), 150, "session") == cases(world, "bot_browsing") != set()


def test_a_taken_over_account_orders_far_above_its_own_on_a_new_device(world, events):
    lines = of_kind(events, "purchase")
    taken = cases(world, "account_takeover")
    assert taken
    for customer, day in taken:
        mine = table.take(lines, lines["customer"] == customer)
        order, of = np.unique(mine["order"], return_inverse=True)
        amount = np.bincount(of, mine["amount"])
        stolen = order % 100_000_000 >= 60_000_000
        assert amount[stolen].sum() > 9 * 100 * world.order_amount[customer]
        before = (events["customer"] == customer) & (day_of(events) < day)
        assert mine["device"][stolen[of]][0] not in events["device"][before]


def test_return_abusers_send_nearly_all_back(world, events):
    bought = np.bincount(of_kind(events, "purchase")["customer"], minlength=PLAN.customers)
    back = np.bincount(of_kind(events, "return")["customer"], minlength=PLAN.customers)
    frequent = bought >= 12
    abusers = {customer for customer, _ in cases(world, "return_abuse")}
    assert abusers
    assert set(np.flatnonzero(frequent & (back > 0.7 * bought))) <= abusers
    for customer in abusers & set(np.flatnonzero(frequent)):
        assert back[customer] > 0.6 * bought[customer]


def test_truth_names_every_case(world):
    keys = pa.array([f"key {n}" for n in world.customers.ids()])
    truth = fraud_truth(world, keys).to_pylist()
    assert {row["kind"] for row in truth} == {
        "account_takeover", "bot_browsing", "card_testing", "return_abuse", "review_spam",
    }  # fmt: skip
    assert len(truth) == len(world.episodes)
    flagged = customer_truth(world, keys).filter(customer_truth(world, keys)["is_fraud"])
    assert {row["customer_key"] for row in truth} == set(flagged["customer_key"].to_pylist())
