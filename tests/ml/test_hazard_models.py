"""Models of two scikit-learn estimators: the hazard is that of survival analysis, settings are searched alike."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from expectations.errors import DataError
from ml.examples import Examples
from ml.horizons import Horizons
from ml.models import kind, make
from ml.models.hazard import Hazard, carried, log_loss
from ml.models.search import TRIALS, best, trials
from tests.ml.buying_rows import HORIZONS, buyers, true_forecast

NAMES = ("recency_rule", "past_spend", "logistic_regression", "linear_svm", "random_forest", "gradient_boosting")


@pytest.fixture(scope="module")
def parts() -> tuple[Examples, Examples]:
    """Training with labels of three ages; validation knows the first three intervals alone."""
    return buyers(900, (14, 28, 56))[0], buyers(500, (28,), seed=1)[0]


@pytest.fixture(autouse=True)
def _few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRIALS, "quick", 1)


@pytest.fixture(scope="module", params=NAMES)
def fitted(request: pytest.FixtureRequest, parts: tuple[Examples, Examples]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TRIALS, "quick", 1)
        model = make(request.param)
        model.fit(*parts)
    return model


def kaplan_meier(days: np.ndarray, known: np.ndarray, until: int) -> float:
    """Share that has not bought by the end of day ``until``, day by day as the textbook has it."""
    survival = 1.0
    for day in range(1, until + 1):
        # Whoever bought before, or was last seen before this day, is no longer at risk.
        risked = ((days >= day) & (known >= day)).sum()
        survival *= 1 - (days == day).sum() / risked
    return survival


def test_without_features_the_hazard_is_kaplan_meiers():
    examples, _ = buyers(1500, (7, 14, 28, 56, 56))
    nothing = np.zeros((len(examples), 1))
    hazard = Hazard(HORIZONS).fit(LogisticRegression, nothing, examples).predict(nothing[:1])
    for n, edge in enumerate(HORIZONS.edges_days):
        survival = np.prod(1 - hazard[0, : n + 1])
        assert survival == pytest.approx(
            kaplan_meier(examples.days_to_purchase, examples.observed_days, edge), abs=1e-4
        )


def test_the_censored_are_neither_dropped_nor_taken_for_customers_who_do_not_buy():
    # Newer cutoffs buy more: those who are known for a week alone must still teach the first week.
    old, _ = buyers(600, (56,))
    new = replace(old, days_to_purchase=np.full(600, 3.0), observed_days=np.full(600, 7))
    nothing = np.zeros((1200, 1))
    both = Examples(
        HORIZONS,
        old.inputs.rows(np.tile(np.arange(600), 2)),
        np.concatenate([old.days_to_purchase, new.days_to_purchase]),
        np.concatenate([old.observed_days, new.observed_days]),
        np.vstack([old.spend, np.full_like(old.spend, np.nan)]),
    )
    hazard = Hazard(HORIZONS).fit(LogisticRegression, nothing, both).predict(nothing[:1])[0]
    of_old = Hazard(HORIZONS).fit(LogisticRegression, nothing[:600], old).predict(nothing[:1])[0]
    assert hazard[0] == pytest.approx((of_old[0] + 1) / 2, abs=1e-3)  # not dropped
    np.testing.assert_allclose(hazard[1:], of_old[1:], atol=1e-6)  # no silence of theirs in later intervals


def test_an_interval_in_which_nobody_buys_takes_the_share_with_half_a_purchase():
    examples, _ = buyers(400)
    day = examples.days_to_purchase
    silent = replace(examples, days_to_purchase=np.where((day > 7) & (day <= 14), np.inf, day))
    fitted = Hazard(HORIZONS).fit(LogisticRegression, examples.inputs.features[:, :1], silent)
    at_risk = silent.at_risk()[:, 1].sum()
    assert fitted.classifiers[1] is None
    assert (fitted.predict(examples.inputs.features[:, :1])[:, 1] == 0.5 / (at_risk + 1)).all()


def test_an_interval_that_never_matured_goes_on_as_a_gamma_mixture_would():
    # Rates r / (alpha + t) of a gamma mixture: each further interval's hazard a day follows from two.
    edges, rate, alpha = np.array([10, 20, 30, 40, 50]), 0.5, 30.0
    middles = edges - 5
    hazard = 1 - np.exp(-10 * rate / (alpha + middles))
    risked = np.array([1e8, 1e8, 0, 0, 0])
    ratios = carried(Horizons(tuple(map(int, edges)), 30, ()), risked, risked * hazard)
    expected = (alpha + middles[:-1]) / (alpha + middles[1:])
    np.testing.assert_allclose(ratios[1:], expected, rtol=1e-4)


def test_one_known_interval_goes_on_at_the_same_hazard_a_day():
    examples, _ = buyers(500, (7,))
    hazard = Hazard(HORIZONS).fit(LogisticRegression, examples.inputs.features[:, :1], examples)
    found = hazard.predict(examples.inputs.features[:, :1])
    daily = np.log1p(-found) / np.diff([0, *HORIZONS.edges_days])
    np.testing.assert_allclose(daily, daily[:, [0]].repeat(4, axis=1), rtol=1e-3)


def test_nothing_known_is_said_so():
    examples, _ = buyers(50, (3,))
    with pytest.raises(DataError, match="7 known days"):
        Hazard(HORIZONS).fit(LogisticRegression, np.zeros((50, 1)), examples)


def test_log_loss_is_that_of_when_the_first_purchase_comes():
    examples, daily = buyers(4, (56, 56, 56, 14))
    examples = replace(examples, days_to_purchase=np.array([3.0, 10.0, np.inf, np.inf]))
    hazard = true_forecast(examples, daily).hazard
    silent = 1 - hazard
    likelihood = [hazard[0, 0], silent[1, 0] * hazard[1, 1], silent[2].prod(), silent[3, :2].prod()]
    assert log_loss(hazard, examples) == pytest.approx(-np.log(likelihood).mean())


def test_every_model_ranks_buyers_and_never_takes_back_a_probability(fitted):
    test, _ = buyers(800, seed=2)
    forecast = fitted.predict(test.inputs)
    found = np.stack([forecast.probability(days) for days in range(57)])
    assert (np.diff(found, axis=0) >= 0).all()
    assert roc_auc_score(test.is_buyer(28), forecast.probability(28)) > 0.6
    assert (forecast.expected_spend(56) >= 0).all()
    assert (forecast.spend_sigma > 0).all()


def test_a_model_is_fitted_again_bit_by_bit(fitted, parts):
    again = make(fitted.name)
    again.fit(*parts)
    one, two = fitted.predict(parts[1].inputs), again.predict(parts[1].inputs)
    for name in ("hazard", "spend_if_purchase", "spend_sigma"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_saved_model_says_the_same_and_needs_no_pickle(fitted, parts, tmp_path, monkeypatch):
    fitted.save(tmp_path / "kept")
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("pickle was read"))
    loaded = kind(fitted.name).load(tmp_path / "kept")
    one, two = fitted.predict(parts[1].inputs), loaded.predict(parts[1].inputs)
    for name in ("hazard", "spend_if_purchase", "spend_sigma"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert loaded.params() == fitted.params()
    assert loaded.name == fitted.name


def test_a_window_without_labels_goes_on_at_the_spend_a_day_of_the_nearest(parts):
    train, valid = buyers(900, (14, 28))[0], parts[1]
    model = make("logistic_regression")
    model.fit(train, valid)
    forecast = model.predict(valid.inputs)
    np.testing.assert_allclose(forecast.expected_spend(56), 2 * forecast.expected_spend(28), rtol=1e-6)


def test_where_no_window_ever_matured_a_purchase_is_worth_what_it_was(parts):
    train, valid = buyers(600, (14,))[0], buyers(300, (14,), seed=1)[0]
    model = make("logistic_regression")
    model.fit(train, valid)
    worth = valid.inputs.life["monetary_value"]
    np.testing.assert_array_equal(model.predict(valid.inputs).spend_if_purchase[:, 0], worth)


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting"])
def test_shops_without_amounts_are_told_when_customers_buy(name, parts):
    for windows in ((), (28, 56)):  # no windows asked for; windows in which all is free of charge
        horizons = Horizons(HORIZONS.edges_days, 28, windows)
        train, valid = (replace(part, horizons=horizons, spend=np.zeros((len(part), len(windows)))) for part in parts)
        model = make(name)
        model.fit(train, valid)
        forecast = model.predict(valid.inputs)
        assert roc_auc_score(valid.is_buyer(28), forecast.probability(28)) > 0.6
        assert all((forecast.expected_spend(days) == 0).all() for days in windows)


def test_every_space_is_searched_alike(monkeypatch):
    monkeypatch.setitem(TRIALS, "quick", 4)
    for name in NAMES:
        for space in (kind(name).classifier_space, kind(name).regressor_space):
            drawn = trials(space, 3, "quick")
            assert drawn == trials(space, 3, "quick")
            assert drawn[0] == {setting: values[0] for setting, values in space.items()}
            assert len(drawn) == min(4, int(np.prod([len(values) for values in space.values()])))


def test_the_lowest_loss_wins_and_the_default_wins_a_draw(monkeypatch):
    monkeypatch.setitem(TRIALS, "quick", 3)
    space = {"C": (1.0, 2.0, 3.0)}
    assert best(space, 0, "quick", lambda s: (-s["C"], s["C"])) == ({"C": 3.0}, 3.0)
    assert best(space, 0, "quick", lambda s: (float("inf"), s["C"])) == ({"C": 1.0}, 1.0)
