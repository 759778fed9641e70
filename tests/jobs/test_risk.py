"""Rules of risk: what is listed, what is not, and what is said of it."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, betabinom

from expectations.watch import RISK_ALERTS
from jobs.risk import bursts, copies, reading, returns, reviewers, robots, takeovers, unusual
from jobs.risk.listing import Found, alerts, cap
from jobs.risk.settings import DESCRIPTIONS, RiskSettings, beyond
from jobs.schemas import arrow_schema

DAY = date(2024, 4, 30)
SETTINGS = RiskSettings()
FIRST = reading.window_of(DAY, SETTINGS).first
NOON = datetime(2024, 4, 20, 12, tzinfo=UTC)
USUAL = {"device": "Pixel 8", "country": "DE", "payment": 1, "amount": 50.0}


def order(at: datetime, customer: str = "anna", **told: object) -> dict:
    return {"customer_key": customer, "at": at, "event_date": at.date(), "hour": at.hour, **USUAL, **told}


def orders_of(rows: list[dict]) -> pd.DataFrame:
    """As the engine gives them; first seen: by the orders themselves, as if there were no other events."""
    frame = pd.DataFrame(rows)
    for name in ("device", "country"):
        frame[f"{name}_since"] = frame.groupby(["customer_key", name])["event_date"].transform("min")
    frame["seen_since"] = frame.groupby("customer_key")["event_date"].transform("min")
    return reading.sorted_orders(pa.Table.from_pandas(frame, preserve_index=False))


def listed(found: Found, customers: int = 10_000) -> list[dict]:
    return alerts(found, DAY, customers, SETTINGS).to_pylist()


def every_minute(count: int, minutes: float = 2, cards: int = 1, **told: object) -> list[dict]:
    return [order(NOON + timedelta(minutes=minutes * n), payment=n % cards, **told) for n in range(count)]


# -- velocity --------------------------------------------------------------------------------------------------------


def test_a_burst_of_orders_is_told_with_its_numbers():
    (alert,) = listed(bursts.find_bursts(orders_of(every_minute(14, cards=11, amount=2.0)), FIRST, SETTINGS))
    assert (alert["customer_key"], alert["kind"], alert["risk_band"]) == ("anna", "velocity", "high")
    assert alert["event_date"] == NOON.date()
    assert alert["score"] == pytest.approx(11 / (11 + 3), abs=1e-6)
    assert alert["reason_1"] == "14 orders within 26 minutes, paid by 11 payment methods"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (every_minute(14, minutes=45), "spread over ten hours"),
        (every_minute(4, cards=2), "few"),
        (every_minute(14, cards=11, hour=None), "the time of day is not known"),
        ([{**row, "customer_key": f"c{n}"} for n, row in enumerate(every_minute(14))], "each another customer's"),
        ([{**row, "event_date": FIRST - timedelta(days=1)} for row in every_minute(14)], "before the window"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_burst(rows, why):
    assert listed(bursts.find_bursts(orders_of(rows), FIRST, SETTINGS)) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 500)), max_size=40), st.integers(1, 60))
def test_a_burst_begins_within_its_minutes(events, minutes):
    events = sorted(events)
    customer, minute = (np.array([event[n] for event in events], dtype=np.int64) for n in (0, 1))
    starts = bursts.burst_starts(customer, 60.0 * minute, minutes)
    for n, start in enumerate(starts):
        within = [m for m in range(n + 1) if customer[m] == customer[n] and minute[n] - minute[m] <= minutes]
        assert start == min(m for m in range(len(events)) if events[m] == events[within[0]])


# -- takeover --------------------------------------------------------------------------------------------------------


def shop_orders(odd: dict) -> list[dict]:
    """Sixty customers who order every other day in the afternoon, anna among them; then one odd order of anna's."""
    rng = np.random.default_rng(0)
    names = ["anna", *(f"c{n}" for n in range(59))]
    usual = [
        order(NOON - timedelta(days=2 * n, hours=int(rng.integers(-3, 4))), name, amount=float(rng.integers(30, 70)))
        for name in names
        for n in range(1, 15)
    ]
    return [*usual, order(**{"at": NOON, **odd})]


ODD = {"at": NOON.replace(hour=3), "device": "Windows Edge", "country": "BR", "amount": 900.0}


def test_an_order_unlike_all_before_is_told_with_what_is_usual():
    (alert,) = listed(takeovers.find_takeovers(orders_of(shop_orders(ODD)), FIRST, SETTINGS))
    assert (alert["customer_key"], alert["kind"], alert["event_date"]) == ("anna", "takeover", NOON.date())
    told = " · ".join(filter(None, (alert["reason_1"], alert["reason_2"], alert["reason_3"])))
    assert "from BR, never seen of the customer before (usual DE)" in told
    assert "a device never seen of the customer before (Windows Edge)" in told


@pytest.mark.parametrize("usual", ["device", "country"])
def test_less_odd_scores_less(usual):
    whole, less = (
        takeovers.find_takeovers(orders_of(shop_orders(odd)), FIRST, SETTINGS).rows["score"].max()
        for odd in (ODD, {name: value for name, value in ODD.items() if name != usual})
    )
    assert less < whole


def test_who_only_looked_before_is_known_by_that():
    """A first order, by somebody who was seen in another country a month ago."""
    rows = orders_of(shop_orders({**ODD, "customer_key": "berta"}))
    berta = rows["customer_key"] == "berta"
    assert listed(takeovers.find_takeovers(rows, FIRST, SETTINGS)) == []
    rows.loc[berta, "seen_since"] = NOON.date() - timedelta(days=30)
    (alert,) = listed(takeovers.find_takeovers(rows, FIRST, SETTINGS))
    assert alert["customer_key"] == "berta"
    assert "900 paid in the first order" in {alert["reason_1"], alert["reason_2"], alert["reason_3"]}


def test_a_new_telephone_alone_is_no_takeover():
    assert listed(takeovers.find_takeovers(orders_of(shop_orders({"device": "Pixel 9"})), FIRST, SETTINGS)) == []


def test_where_the_customer_was_seen_before_is_not_new():
    rows = orders_of(shop_orders(ODD))
    rows["country_since"] = rows["device_since"] = rows["event_date"].min()
    found = takeovers.find_takeovers(rows, FIRST, SETTINGS).rows
    assert (found[["by_device", "by_country"]] == 0).all(axis=None)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=30))
def test_the_past_is_the_customers_earlier_days(events):
    events = sorted(events)
    customer, day = (np.array([event[n] for event in events], dtype=np.int64) for n in (0, 1))
    past = takeovers.past_of(customer, day)
    for n in range(len(events)):
        before = [m for m in range(len(events)) if customer[m] == customer[n] and day[m] < day[n]]
        assert list(range(past.begin[n], past.end[n])) == before


def test_hours_are_near_around_the_clock():
    assert takeovers.near_orders(np.array([22.0, 23, 0, 1, 2, 12]), 0) == 5


# -- returns ---------------------------------------------------------------------------------------------------------


def buyers(bought: np.ndarray, returned: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({
        "customer_key": [f"{n:05}" for n in range(len(bought))],
        "purchase_count_365d": bought, "return_count_365d": returned,
        "purchase_amount_365d": bought * 10.0, "return_amount_365d": returned * 10.0,
    })  # fmt: skip


def test_who_sends_nearly_all_back_is_listed_and_who_sent_two_of_two_is_not():
    rng = np.random.default_rng(1)
    bought = rng.integers(1, 40, 2000)
    rows = buyers(np.r_[29, 2, bought], np.r_[28, 2, rng.binomial(bought, 0.05)])
    (alert,) = listed(returns.find_returns(rows, SETTINGS))
    assert (alert["customer_key"], alert["risk_band"], alert["event_date"]) == ("00000", "high", None)
    assert alert["reason_1"] == "28 of 29 lines bought in the last 365 days sent back"
    assert alert["reason_3"] == "280 refunded of 290 paid"


def test_where_half_comes_back_half_is_no_abuse():
    rng = np.random.default_rng(1)
    bought = rng.integers(1, 40, 2000)
    returned = rng.binomial(bought, rng.beta(5, 5, 2000))
    assert listed(returns.find_returns(buyers(bought, returned), SETTINGS)) == []
    assert len(listed(returns.find_returns(buyers(np.r_[bought, 60], np.r_[returned, 60]), SETTINGS))) == 1


def test_the_prior_is_that_of_the_customers():
    bought = np.random.default_rng(3).integers(5, 60, 20_000)
    a, b = returns.beta_prior(betabinom.rvs(bought, 0.5, 3.5, random_state=4).astype(float), bought.astype(float))
    assert (a, b) == pytest.approx((0.5, 3.5), rel=0.1)


def test_a_share_counts_as_what_it_exceeds_at_such_confidence():
    found = returns.find_returns(buyers(np.array([10, 30, 20]), np.array([4, 2, 0])), SETTINGS).rows
    a, b = returns.beta_prior(np.array([4.0, 2, 0]), np.array([10.0, 30, 20]))
    assert found["least"].to_numpy() == pytest.approx(beta.ppf(0.05, [a + 4, a + 2], [b + 6, b + 28]))


# -- reviews ---------------------------------------------------------------------------------------------------------

SPAM = "Best shop ever, visit my page for more amazing deals, everyone must buy here"


def review(text: str | None, customer: str = "anna", day: date = DAY) -> dict:
    return {"customer_key": customer, "event_date": day, "text": text}


def found_reviews(rows: list[dict]) -> list[dict]:
    return listed(reviewers.find_reviewers(pd.DataFrame(rows), SETTINGS))


def test_nearly_equal_reviews_by_one_customer():
    rows = [review(f"{SPAM}{'!' * n}".upper() if n % 2 else SPAM, day=DAY - timedelta(days=n)) for n in range(7)]
    (alert,) = found_reviews(rows)
    assert (alert["reason_1"], alert["event_date"], alert["risk_band"]) == (
        "7 reviews of nearly one text",
        DAY,
        "high",
    )


def test_many_reviews_on_a_day_whatever_they_say():
    (alert,) = found_reviews([review(None) for _ in range(11)])
    assert alert["reason_1"] == f"11 reviews on {DAY}"


def test_one_text_from_many_customers_on_a_day():
    rows = [review(SPAM, f"c{n:02}") for n in range(30)]
    rows += [review(f"number {n} was nice, though {n} days late", f"d{n}", DAY - timedelta(days=n)) for n in range(20)]
    told = found_reviews(rows)
    assert {alert["customer_key"] for alert in told} == {f"c{n:02}" for n in range(30)}
    assert told[0]["reason_1"] == f"30 customers wrote nearly one text on {DAY} (usual 1.0)"


def test_what_everybody_always_writes_is_no_abuse():
    days = [DAY - timedelta(days=n) for n in range(30)]
    assert found_reviews([review("Good product", f"c{n}-{day}", day) for day in days for n in range(20)]) == []


WORDS = st.lists(
    st.sampled_from(["soft", "red", "warm", "shirt", "that", "fits", "me", "well", "came", "late", "torn", "box"]),
    min_size=8,
)


@given(st.lists(WORDS, min_size=2, max_size=12))
def test_who_shares_all_is_grouped_and_who_shares_little_is_not(found):
    """The exact Jaccard similarity is the oracle; between the bounds MinHash may say either."""
    texts = sorted({copies.normalised(" ".join(words)) for words in found})
    groups = copies.near_groups(texts, 0.8)
    shingles = [{text[n : n + 5] for n in range(len(text) - 4)} for text in texts]
    linked = {(i, j) for i in range(len(texts)) for j in range(i) if groups[i] == groups[j]}
    likeness = {(i, j): len(shingles[i] & shingles[j]) / len(shingles[i] | shingles[j])
                for i in range(len(texts)) for j in range(i)}  # fmt: skip
    assert all(pair in linked for pair, share in likeness.items() if share == 1)
    if max(likeness.values(), default=0) < 0.3:  # so that none is chained by others
        assert not linked


def test_a_changed_word_makes_no_other_text_and_letters_beyond_ascii_count():
    texts = [copies.normalised(text) for text in (SPAM, SPAM + " now", "质量很好, 物流也很快, 下次还来买", "tiny")]
    assert texts[2] == "质量很好 物流也很快 下次还来买"
    groups = copies.near_groups(texts, 0.8)
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3


# -- visits ----------------------------------------------------------------------------------------------------------


def visit(events: int, seconds: int, purchases: int = 0) -> list[dict]:
    rows = pd.DataFrame([{"customer_key": "anna", "event_date": DAY, "events": events, "views": events,
                          "purchases": purchases, "seconds": seconds}])  # fmt: skip
    return listed(robots.find_robots(rows, SETTINGS))


def test_a_visit_faster_than_a_person():
    (alert,) = visit(331, 480)
    assert alert["reason_1"] == "41 events a minute"
    assert alert["reason_2"] == "331 events in a visit of 8 minutes"
    assert alert["reason_3"] == "nothing bought after 331 views"


def test_a_long_visit_and_a_person():
    assert visit(500, 8 * 3600)[0]["risk_band"] == "high"
    assert visit(60, 1800) == []


# -- what the engine adds up -----------------------------------------------------------------------------------------


def test_orders_visits_and_reviews_of_events(spark):
    columns = ("event_type", "event_time", "order_id", "session_id", "device", "amount", "session_step_seconds", "text")
    rows = [
        ("view", NOON, None, "s1", "Pixel 8", None, 0, None),
        ("purchase", NOON + timedelta(seconds=9), "o1", "s1", "Pixel 8", 20.0, 9, None),
        ("purchase", NOON + timedelta(seconds=9), "o1", "s1", "Pixel 8", 30.0, 0, None),
        ("purchase", NOON + timedelta(days=1), "o2", None, "Mac Safari", 5.0, 0, None),
        ("purchase", NOON, None, None, "Mac Safari", 7.0, 0, None),
        ("review", NOON, None, None, None, None, 0, "fine"),
    ]
    frame = pd.DataFrame(rows, columns=columns)
    frame = frame.assign(customer_key="anna", country="DE", payment_hash=1, event_date=frame["event_time"].dt.date)
    events = spark.createDataFrame(frame.assign(event_hour=12))
    orders = reading.sorted_orders(reading.orders(events).toArrow())
    assert orders["amount"].tolist() == [50, 5]
    assert orders["seen_since"].tolist() == [NOON.date()] * 2
    assert orders["device_since"].tolist() == [NOON.date()] * 2  # the order without a number came on a Mac that day
    (told,) = reading.visits(events, 1).toArrow().to_pylist()
    assert (told["events"], told["views"], told["purchases"], told["seconds"]) == (1, 1, 2, 9)
    assert reading.reviews(events).toArrow()["text"].to_pylist() == ["fine"]


# -- anomalies -------------------------------------------------------------------------------------------------------


def test_anomalies_are_the_same_in_whatever_order_an_engine_stored_the_customers():
    rng = np.random.default_rng(0)
    columns = {name: rng.lognormal(0, 1, 2500) for name in unusual.NEEDED} | {"order_count_90d": np.full(2500, 3.0)}
    features = pa.table({"customer_key": [f"{n:04}" for n in range(2500)], **columns})
    shuffled = features.take(rng.permutation(2500))
    found, again = (listed(unusual.find_unusual(rows, SETTINGS)) for rows in (features, shuffled))
    assert found == again
    assert len(found) > 5


# -- the list --------------------------------------------------------------------------------------------------------


def scored(scores: dict[str, float]) -> Found:
    rows = pd.DataFrame({"customer_key": list(scores), "score": list(scores.values()), "event_date": DAY})
    return Found("bot", rows, lambda row: [])


def test_the_list_is_cut_at_the_band_and_ordered_by_score_then_key():
    found = alerts(scored({"d": 0.5, "c": 0.9, "b": 0.9, "a": 0.49, "e": 0.67}), DAY, 1000, SETTINGS)
    assert found.schema == arrow_schema(RISK_ALERTS)
    assert found["customer_key"].to_pylist() == ["b", "c", "e", "d"]
    assert found["rank"].to_pylist() == [1, 2, 3, 4]
    assert found["risk_band"].to_pylist() == ["high", "high", "high", "medium"]


def test_a_customer_is_listed_once_by_the_highest_score():
    rows = pd.DataFrame({"customer_key": ["a", "a"], "score": [0.6, 0.8], "event_date": [DAY, DAY - timedelta(days=1)]})
    found = alerts(Found("bot", rows, lambda row: ["why"]), DAY, 1000, SETTINGS)
    assert found.select(["score", "event_date", "reason_1"]).to_pylist() == [
        {"score": 0.8, "event_date": DAY - timedelta(days=1), "reason_1": "why"}
    ]


def test_no_kind_lists_more_than_its_cap():
    assert [cap(n, SETTINGS) for n in (50, 5_000, 1_000_000)] == [10, 50, 1000]
    assert len(listed(scored({f"{n:03}": 0.9 for n in range(200)}), customers=5_000)) == 50


def test_nothing_found_is_an_empty_list_of_the_contract():
    assert alerts(scored({}), DAY, 10, SETTINGS).schema == arrow_schema(RISK_ALERTS)


def test_the_scale_is_a_half_at_the_bound():
    assert beyond([0, 5, 10, 45], 5).tolist() == [0, 0.5, 2 / 3, 0.9]


def test_every_setting_is_described_and_bounds_are_held():
    described = {name for name, value in vars(SETTINGS).items() if not isinstance(value, str)}
    assert set(DESCRIPTIONS) == described
    for wrong in ({"medium_from": 0.8}, {"return_confidence": 1.5}, {"velocity_orders": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RiskSettings(**wrong)
