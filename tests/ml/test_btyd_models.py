"""Models of repeat buying as models of the table: what they say of simulated customers, of prospects, of a year."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expectations.errors import DataError
from ml.examples import Examples, Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons
from ml.lifetime import CLV_DAYS, Lifetime, learn_lifetime
from ml.models import make
from ml.models.btyd import histories_of

NAMES = ("bg_nbd", "mbg_nbd", "pareto_nbd")
LOGISTIC = "btyd_logistic"
HISTORY_DAYS = 200
HORIZONS = Horizons((7, 30, 90, 365), 90, (30, 90, 365))


def shop(customers: int = 6000, prospects: int = 0, seed: int = 5) -> Examples:
    """A simulated shop as of day HISTORY_DAYS and what followed; lives as the Pareto/NBD has them, by the day.

    Everybody first bought within the first 100 days. The last ``prospects`` rows were seen then but bought nothing; one
    in ten of them buys for 50 on day 3.
    """
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 100, customers)
    rate, death = rng.gamma(0.6, 1 / 40, customers), rng.exponential(1 / rng.gamma(0.7, 1 / 90, customers))
    last_day = HISTORY_DAYS + HORIZONS.longest
    chance = -np.expm1(-rate)
    frequency, last, spent = np.ones(customers), start.astype(float), rng.gamma(6, size=customers)
    nu = rng.gamma(4, 1 / 60, customers)
    first_after, spend = np.full(customers, np.inf), np.zeros((customers, 3))
    for day in range(1, last_day + 1):
        buys = (day > start) & (day - start <= death) & (rng.random(customers) < chance)
        worth = rng.gamma(6, size=customers) * buys
        if day <= HISTORY_DAYS:
            frequency, spent, last = frequency + buys, spent + worth, np.where(buys, day, last)
        else:
            first_after = np.where(buys, np.minimum(first_after, day - HISTORY_DAYS), first_after)
            for n, days in enumerate(HORIZONS.spend_days):
                spend[:, n] += worth / nu * (day - HISTORY_DAYS <= days)
    late = np.arange(prospects) % 10 == 0
    nothing, unknown = np.zeros(prospects), np.full(prospects, np.nan)
    age = HISTORY_DAYS - start.astype(float)
    life = {
        "frequency_days": np.concatenate([frequency, nothing]),
        "recency_days": np.concatenate([HISTORY_DAYS - last, unknown]),
        "first_purchase_age_days": np.concatenate([age, unknown]),
        "tenure_days": np.concatenate([age, np.full(prospects, 150.0)]),
        "monetary_value": np.concatenate([spent / nu / frequency, unknown]),
    }
    rows = customers + prospects
    keys = np.array([f"{n:064x}" for n in range(rows)])
    inputs = Inputs(None, keys, np.full(rows, np.datetime64("2021-03-01")), np.empty((rows, 0)), life)
    days = np.concatenate([first_after, np.where(late, 3.0, np.inf)])
    money = np.vstack([spend, np.repeat(np.where(late, 50.0, 0.0)[:, None], 3, axis=1)])
    return Examples(HORIZONS, inputs, days, np.full(rows, HORIZONS.longest), money)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return shop(prospects=500)


@pytest.fixture(scope="module", params=(*NAMES, LOGISTIC))
def model(request: pytest.FixtureRequest, examples: Examples):
    made = make(request.param)
    made.fit(examples, examples)
    return made


def test_pareto_nbd_foretells_purchases_and_spend_of_lives_it_was_made_for(examples: Examples) -> None:
    made = make("pareto_nbd")
    made.fit(examples, examples)
    bought = examples.inputs.life["frequency_days"] > 0
    forecast, seen = made.predict(examples.inputs).rows(bought), examples.rows(bought)
    for days in HORIZONS.edges_days:
        bought = seen.is_buyer(days)
        error = 3 * bought.std() / np.sqrt(len(bought))
        assert forecast.probability(days).mean() == pytest.approx(bought.mean(), abs=error)
    for days in HORIZONS.spend_days:
        spend = seen.spend_within(days)
        error = 3 * spend.std() / np.sqrt(len(spend))
        assert forecast.expected_spend(days).mean() == pytest.approx(spend.mean(), abs=error)
        below = forecast.spend_probability_below(days, spend)
        paid = spend > 0  # Of those who paid, as many below the promised middle as above it.
        middle = (1 + forecast.survival(days)) / 2
        assert (below < middle)[paid].mean() == pytest.approx(0.5, abs=0.08)


def test_what_is_told_is_what_the_model_of_buying_says(model, examples: Examples) -> None:
    few = examples.inputs.rows(slice(0, 300))
    forecast = model.predict(few)
    told = np.column_stack([forecast.probability(days) for days in HORIZONS.edges_days])
    assert (np.diff(told, axis=1) >= -1e-12).all()
    if model.name == LOGISTIC:  # It corrects probabilities; spend stays as it was.
        assert forecast.expected_spend(90) == pytest.approx(model.buying.predict(few).expected_spend(90), rel=1e-6)
        return
    own = model.buying.probability_alive(histories_of(few)) * model.buying.probability_if_alive(
        histories_of(few), 90 / 7
    )
    assert told[:, 2] == pytest.approx(own, abs=1e-9)
    spend = model.buying.expected_purchases(histories_of(few), 90 / 7)
    spend *= model.worth.expected_value(few.life["frequency_days"], few.life["monetary_value"])
    assert forecast.expected_spend(90) == pytest.approx(spend, rel=1e-6)


def test_who_never_bought_is_told_what_became_of_such_customers(model, examples: Examples) -> None:
    prospects = examples.inputs.rows(examples.inputs.life["frequency_days"] == 0)
    forecast = model.predict(prospects)
    assert forecast.probability(7) == pytest.approx(np.full(len(prospects), 0.1), abs=0.002)
    assert forecast.probability(365) == pytest.approx(forecast.probability(7), abs=0.003)
    assert forecast.spend_if_purchase == pytest.approx(np.full((len(prospects), 3), 50.0))


def test_a_saved_model_says_the_same_to_the_last_bit(model, examples: Examples, tmp_path: Path) -> None:
    model.save(tmp_path / "a model")
    assert {file.suffix for file in (tmp_path / "a model").iterdir()} == {".json"}
    again = type(model).load(tmp_path / "a model")
    assert again.params() == model.params()
    ours, theirs = model.predict(examples.inputs), again.predict(examples.inputs)
    for name in ("hazard", "spend_if_purchase", "spend_sigma"):
        assert (getattr(ours, name) == getattr(theirs, name)).all()


def test_the_logistic_puts_right_what_the_pareto_nbd_cannot_know(examples: Examples) -> None:
    # Half of those who are worth little never come back: short windows tell, the longest must follow.
    bought = examples.rows(examples.inputs.life["frequency_days"] > 0)
    worth = bought.inputs.life["monetary_value"]
    is_rich = worth > np.median(worth)
    stays = is_rich | (np.random.default_rng(0).random(len(bought)) < 0.5)
    days = np.where(stays, bought.days_to_purchase, np.inf)
    seen = replace(bought, days_to_purchase=np.where(days <= 90, days, np.inf), observed_days=np.full(len(bought), 90))
    made = make(LOGISTIC)
    made.fit(seen, seen)
    ours, theirs = made.predict(bought.inputs), made.buying.predict(bought.inputs)
    for horizon in (90, 365):
        told, before, true = (
            values[is_rich].mean() - values[~is_rich].mean()
            for values in (ours.probability(horizon), theirs.probability(horizon), days <= horizon)
        )
        assert true > 0.05
        assert abs(told - true) < 0.5 * abs(before - true)


def test_histories_as_of_the_latest_cutoff_are_learned_from_and_labels_are_not(examples: Examples) -> None:
    bought = examples.rows(examples.inputs.life["frequency_days"] > 0)
    past = bought.inputs.life | {"frequency_days": np.ones(len(bought))}
    earlier = replace(bought.inputs, cutoffs=bought.inputs.cutoffs - np.timedelta64(14, "D"), life=past)
    made, other = make("bg_nbd"), make("bg_nbd")
    made.fit(bought, bought)
    blind = replace(bought, days_to_purchase=np.full(len(bought), np.inf), spend=bought.spend * np.nan)
    other.fit(replace(bought, inputs=earlier), blind)
    assert other.params() == made.params()


def test_a_shop_without_buyers_says_so() -> None:
    nobody = shop(customers=0, prospects=20)
    with pytest.raises(DataError, match="needs customers who bought"):
        make("bg_nbd").fit(nobody, nobody)


# Lifetime value


def windows(examples: Examples, *days: int) -> Examples:
    """With spend of these windows alone; longer intervals are censored."""
    horizons = Horizons(tuple(day for day in HORIZONS.edges_days if day <= days[-1]), days[0], days)
    columns = [HORIZONS.spend_days.index(day) for day in days]
    return replace(examples, horizons=horizons, spend=examples.spend[:, columns])


def test_lifetime_value_carries_spend_on_as_lives_ebb_away(examples: Examples) -> None:
    made, short = make("pareto_nbd"), windows(examples, 30, 90)
    made.fit(short, short)
    learned = learn_lifetime(examples.inputs, short, window_days=90)
    clv = learned.value(made.predict(examples.inputs), examples.inputs)
    bought = examples.inputs.life["frequency_days"] > 0
    true = examples.spend_within(365)
    assert learned.is_extrapolated
    assert clv[bought].sum() == pytest.approx(true[bought].sum(), rel=0.1)
    # An even pace would say four times the 90 days, too much of customers who drop out.
    assert clv[bought].sum() < 0.9 * examples.spend_within(90)[bought].sum() * 365 / 90
    # Sorted by what was said, each quarter spends what was said of it.
    for part in np.array_split(np.argsort(clv[bought]), 4):
        said, spent = clv[bought][part], true[bought][part]
        assert said.mean() == pytest.approx(spent.mean(), abs=4 * spent.std() / np.sqrt(len(part)))


def test_the_level_is_learned_from_the_longest_window_that_matured(examples: Examples) -> None:
    # Spend of the second quarter doubles, as in a shop that has its season then.
    seasonal = windows(examples, 30, 90)
    doubled = seasonal.spend.copy()
    doubled[:, 1] += doubled[:, 1] - doubled[:, 0]
    plain = learn_lifetime(examples.inputs, seasonal, window_days=30)
    high = learn_lifetime(examples.inputs, replace(seasonal, spend=doubled), window_days=30)
    assert (plain.known_days, high.known_days) == (90, 90)
    assert plain.level == pytest.approx(1.0, abs=0.1)
    assert high.level > 1.4


def test_a_year_brings_no_more_than_an_even_pace_and_no_less_than_its_part(examples: Examples) -> None:
    short, made = windows(examples, 30, 90), make("pareto_nbd")
    made.fit(short, short)
    forecast = made.predict(examples.inputs)
    part = forecast.expected_spend(90)
    learned = replace(learn_lifetime(examples.inputs, short, window_days=90), level=2.0)
    clv = learned.value(forecast, examples.inputs)
    assert (clv <= part * 365 / 90 * (1 + 1e-12)).all()
    assert (clv >= part).all()
    assert (clv[part > 0] < part[part > 0] * 365 / 90).any(), "who is seen to ebb away stays below"


def test_with_labels_of_a_year_nothing_is_extrapolated(examples: Examples) -> None:
    learned = learn_lifetime(examples.inputs, windows(examples, 90, 365), window_days=90)
    assert (learned.known_days, learned.is_extrapolated) == (CLV_DAYS, False)
    made = make("pareto_nbd")
    made.fit(examples, examples)
    forecast = made.predict(examples.inputs)
    own = learn_lifetime(examples.inputs, examples, window_days=365)
    assert (own.value(forecast, examples.inputs) == forecast.expected_spend(365)).all()


def test_where_nobody_bought_spend_goes_on_evenly(examples: Examples) -> None:
    never = examples.inputs.rows(examples.inputs.life["frequency_days"] == 0)
    learned = learn_lifetime(never, windows(examples, 30, 90).rows(slice(0, 0)), window_days=90)
    assert learned.buying is None
    assert learned.mean_growth == pytest.approx(365 / 90)


def test_a_saved_lifetime_says_the_same(examples: Examples, tmp_path: Path) -> None:
    learned = learn_lifetime(examples.inputs, windows(examples, 30, 90), window_days=90)
    learned.save(tmp_path)
    assert Lifetime.load(tmp_path) == learned


def test_a_model_that_foretells_another_window_is_refused(examples: Examples) -> None:
    none = np.zeros((len(examples), 3))
    forecast = Forecast(HORIZONS, np.zeros((len(examples), 4)), none, none)
    with pytest.raises(DataError, match="within 60 days"):
        Lifetime(60, 60, 1.0, 1.0, None).value(forecast, examples.inputs)
