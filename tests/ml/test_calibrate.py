"""Calibration on the part after training: what was distorted is set right, and the order of customers is kept."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from ml.calibrate import FOLDS, Calibrated, Calibration, Curve, calibration, cross_fitted, isotonic, platt
from ml.examples import Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons
from ml.models import make
from ml.models.search import TRIALS
from tests.ml.buying_rows import HORIZONS, SIGMA, buyers, true_forecast


def distorted(forecast: Forecast) -> Forecast:
    """Too sure of itself, everybody likelier to buy than they are, half of the money, a third of the spread."""
    return replace(
        forecast,
        hazard=expit(2 * logit(forecast.hazard) + 1),
        spend_if_purchase=forecast.spend_if_purchase / 2,
        spend_sigma=forecast.spend_sigma / 3,
    )


@pytest.fixture(scope="module")
def restored() -> tuple[Calibration, Forecast, Forecast]:
    """Calibration by 6000 customers; of other customers the forecast it sets right, and the true one."""
    valid, daily = buyers(6000)
    later, later_daily = buyers(6000, seed=1)
    found = calibration(distorted(true_forecast(valid, daily)), valid)
    truth = true_forecast(later, later_daily)
    return found, found(distorted(truth)), truth


def test_distorted_probabilities_are_restored(restored):
    found, forecast, truth = restored
    assert found.curves[0].slope == pytest.approx(0.5, abs=0.05)
    assert found.curves[0].shift == pytest.approx(-0.5, abs=0.1)
    for days in HORIZONS.edges_days:
        assert np.abs(forecast.probability(days) - truth.probability(days)).mean() < 0.015


def test_the_spread_is_restored_and_intervals_hold_what_they_promise(restored):
    _, forecast, _ = restored
    later, _ = buyers(6000, seed=1)
    rng = np.random.default_rng(0)
    assert forecast.spend_sigma == pytest.approx(SIGMA, rel=0.1)
    for days in HORIZONS.spend_days:
        spend = later.spend_within(days)
        # Randomised probability integral transform: an outcome of 0 lies anywhere within the zero part.
        place = forecast.spend_probability_below(days, spend)
        place = np.where(spend > 0, place, rng.random(len(spend)) * forecast.survival(days))
        assert 0.88 <= ((place > 0.05) & (place < 0.95)).mean() <= 0.92


def test_the_total_on_validation_is_what_was_paid():
    valid, daily = buyers(2000)
    forecast = distorted(true_forecast(valid, daily))
    told = calibration(forecast, valid)(forecast)
    for days in HORIZONS.spend_days:
        assert told.expected_spend(days).sum() == pytest.approx(valid.spend_within(days).sum(), rel=1e-9)


def test_the_order_of_customers_is_kept(restored):
    found, _, _ = restored
    rising = np.linspace(0.001, 0.999, 500)
    level = Curve(0.5, 0.1, (-2.0, 0.0, 2.0), (-1.0, -1.0, 1.0))  # an isotonic curve with a level part
    for curve in (*found.curves, level):
        assert (np.diff(curve(rising)) > 0).all()


def test_what_has_not_matured_takes_the_calibration_of_its_neighbour():
    valid, daily = buyers(3000, (28,))
    found = calibration(distorted(true_forecast(valid, daily)), valid)
    assert found.curves[3] == found.curves[2] != found.curves[0]
    assert found.scales[1] == found.scales[0] != 1
    assert found.spreads[1] == found.spreads[0] != 1


def test_too_few_customers_change_nothing():
    valid, daily = buyers(15)
    found = calibration(true_forecast(valid, daily), valid)
    assert found == Calibration((Curve(),) * 4, (1.0, 1.0), (1.0, 1.0))


def test_few_customers_bend_little():
    rng = np.random.default_rng(0)
    hazard = rng.uniform(0.2, 0.8, 40)
    curve = platt(hazard, (rng.random(40) < hazard).astype(float))
    assert abs(curve.slope - 1) < 0.6
    assert abs(curve.shift) < 0.5


def test_an_isotonic_curve_is_taken_where_it_foretells_better():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.05, 0.95, 40_000)
    bought = (rng.random(len(truth)) < truth).astype(float)
    kinked = np.where(truth < 0.5, truth / 5, 0.1 + (truth - 0.5) * 1.7)  # no straight line in the logit
    fold = np.arange(len(truth)) % FOLDS
    straight, curved = (cross_fitted(fit, kinked, bought, fold).mean() for fit in (platt, isotonic))
    assert curved < straight
    valid, _ = buyers(len(truth), horizons=Horizons((7,), 7, ()))
    valid = replace(valid, days_to_purchase=np.where(bought > 0, 3.0, np.inf))
    nothing = np.zeros((len(truth), 0))
    for hazard, has_knots in ((kinked, True), (expit(2 * logit(truth)), False)):
        forecast = Forecast(valid.horizons, hazard[:, None], nothing, nothing)
        found = calibration(forecast, valid)
        assert bool(found.curves[0].knots) == has_knots
        assert np.abs(found(forecast).hazard[:, 0] - truth).mean() < 0.02


def test_a_calibrated_model_is_a_model_and_kept_without_pickle(tmp_path, monkeypatch):
    monkeypatch.setitem(TRIALS, "quick", 1)
    train, valid = buyers(900, (14, 28, 56))[0], buyers(500, (28,), seed=1)[0]
    model = Calibrated(make("logistic_regression", seed=3))
    model.fit(train, valid)
    assert (model.name, model.seed, model.uses_sequences, model.history) == ("logistic_regression", 3, False, {})
    model.save(tmp_path / "kept")
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("pickle was read"))
    one, two = model.predict(valid.inputs), Calibrated.load(tmp_path / "kept").predict(valid.inputs)
    for name in ("hazard", "spend_if_purchase", "spend_sigma"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.expected_spend(28).sum() == pytest.approx(valid.spend_within(28).sum())


class Knowing:
    """A model that says the truth, distorted."""

    uses_sequences, name, seed, budget = False, "knowing", 0, "quick"

    def fit(self, train, valid) -> None:
        truths = {id(part.inputs): true_forecast(part, self.daily) for part in (train, valid)}
        self.forecasts = {key: distorted(truth) for key, truth in truths.items()}

    def predict(self, inputs: Inputs) -> Forecast:
        return self.forecasts[id(inputs)]


def test_training_is_not_what_calibrates():
    # The model says the same of both parts, yet customers of validation buy half as often: their rate counts.
    valid, daily = buyers(4000)
    train = replace(valid, inputs=replace(valid.inputs), days_to_purchase=np.ones(len(valid)))
    inner = Knowing()
    inner.daily = daily
    model = Calibrated(inner)
    model.fit(train, valid)
    assert model.predict(valid.inputs).probability(7).mean() == pytest.approx(valid.is_buyer(7).mean(), abs=0.005)
