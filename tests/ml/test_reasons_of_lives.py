"""Reasons of models of repeat buying: recency, frequency and age add up and come in plain words."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from expectations.behaviour import FEATURE_NAMES
from ml.calibrate import Calibrated, Calibration, Curve
from ml.examples import Examples, Inputs
from ml.horizons import Horizons
from ml.models import make
from ml.models.btyd import SILENT_GAPS, usual_gap
from ml.reasons import CHURN, reasons
from ml.reasons.attribution import attribute
from ml.reasons.report import write_reasons

HORIZONS = Horizons((7, 30, 90), 30, (30,))
PLACE = {name: n for n, name in enumerate(FEATURE_NAMES)}


def shop(customers: int = 1500, prospects: int = 20) -> Examples:
    """Made-up lives: everybody buys at a rate of their own until they stop. Prospects never bought."""
    rng, rows = np.random.default_rng(2), customers + prospects
    age = rng.integers(60, 300, rows).astype(float)
    rate, alive = rng.gamma(1.0, 1 / 30, rows), rng.exponential(200, rows)
    repeats = rng.poisson(rate * np.minimum(age, alive))
    last = np.where(repeats > 0, np.minimum(age, alive) * rng.random(rows) ** (1 / np.maximum(repeats, 1)), 0.0)
    is_buyer = np.arange(rows) < customers
    life = {
        "frequency_days": np.where(is_buyer, repeats + 1.0, 0.0),
        "recency_days": np.where(is_buyer, np.floor(age - last), np.nan),
        "first_purchase_age_days": np.where(is_buyer, age, np.nan),
        "tenure_days": age,
        "monetary_value": np.where(is_buyer, rng.lognormal(3, 0.5, rows), np.nan),
    }
    features = np.zeros((rows, len(FEATURE_NAMES)))
    features[:, PLACE["recency_days"]] = life["recency_days"]
    features[:, PLACE["gap_mean_days"]] = np.nan
    keys = np.array([f"{n:064x}" for n in range(rows)])
    inputs = Inputs(None, keys, np.full(rows, np.datetime64("2021-03-01")), features, life)
    day = np.where(alive > age, np.ceil(rng.exponential(1 / rate)), np.inf)
    day[day > HORIZONS.longest] = np.inf
    spend = np.where(day <= 30, rng.lognormal(3, 0.5, rows), 0.0)[:, None]
    return Examples(HORIZONS, inputs, day, np.full(rows, HORIZONS.longest), spend)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return shop()


@pytest.fixture(scope="module", params=["bg_nbd", "pareto_nbd", "btyd_logistic"])
def model(request, examples):
    model = Calibrated(make(request.param))
    model.model.fit(examples, examples)
    model.calibration = Calibration((Curve(1.2, -0.3),) * 3, (1.0,), (1.0,))
    return model


def test_they_add_up_to_the_prediction(model, examples):
    found = attribute(model, examples.inputs)
    assert found.names[-3:] == ("first_purchase_age_days", "frequency_days", "recency_days")
    chance = model.predict(examples.inputs).probability(30)
    assert found.log_odds[chance > 1e-5] == pytest.approx(logit(chance[chance > 1e-5]), abs=1e-2)
    assert np.abs(found.missing).max() < 1e-9
    assert len(set(found.base)) == 1


def test_each_is_what_it_changes_when_it_takes_its_place(model, examples):
    """Of the typical customer nothing says anything; of who differs in one number, that number alone does."""
    typical = {name: np.array([value]) for name, value in model.typical.items()}
    typical["recency_days"] = typical.pop(SILENT_GAPS) * usual_gap(typical)
    one = examples.inputs.rows(slice(7, 8))
    same = attribute(model, replace(one, life=one.life | typical))
    assert same.contributions == pytest.approx(np.zeros(same.contributions.shape), abs=1e-12)
    silent = {"recency_days": typical["recency_days"] / 3}
    found = attribute(model, replace(one, life=one.life | typical | silent))
    assert found.contributions[0, :-1] == pytest.approx(0, abs=1e-12)
    assert found.contributions[0, -1] == pytest.approx(found.log_odds[0] - found.base[0], abs=1e-12)
    # Twice as many purchases at the same rhythm of silence: all of it goes to them.
    often = {name: typical[name] * times for name, times in (("frequency_days", 2), ("recency_days", 0.5))}
    found = attribute(model, replace(one, life=one.life | typical | often))
    moved = dict(zip(found.names, found.contributions[0], strict=True))
    assert moved.pop("frequency_days") == pytest.approx(found.log_odds[0] - found.base[0], abs=1e-12)
    assert list(moved.values()) == pytest.approx([0] * len(moved), abs=1e-12)


def test_a_long_silence_of_who_bought_often_comes_first(model, examples):
    life = {name: values[:1] for name, values in examples.inputs.life.items()}
    life |= {"frequency_days": np.array([25.0]), "recency_days": np.array([150.0])}
    life |= {"first_purchase_age_days": np.array([290.0])}
    features = examples.inputs.features[:1].copy()
    features[:, PLACE["recency_days"]] = 150
    found = reasons(model, replace(examples.inputs.rows(slice(0, 1)), life=life, features=features), towards=CHURN)
    assert found.feature[0, 0] == "recency_days"
    assert found.words[0, 0].startswith("no purchase for 150 days")
    # That they bought often speaks for them, not against.
    assert "frequency_days" not in found.feature[0]


def test_who_never_bought_is_told_so(model, examples):
    prospects = examples.inputs.rows(~(examples.inputs.life["frequency_days"] > 0))
    found = reasons(model, prospects, towards=None)
    assert set(found.words[:, 0]) == {"has never bought"}
    assert not found.words[:, 1:].any()


def test_the_report_is_written_and_a_saved_model_gives_the_same_reasons(model, examples, tmp_path):
    model.save(tmp_path / "kept")
    again = Calibrated.load(tmp_path / "kept")
    some = examples.rows(slice(0, 200))
    assert reasons(again, some.inputs).words.tolist() == reasons(model, some.inputs).words.tolist()
    assert write_reasons(tmp_path, "pets (simulated)", model, some, model.predict(some.inputs))
    words = (tmp_path / "reasons.csv").read_text()
    assert "days with a purchase so far" in words
    assert "first bought" in words
