"""Calibration follows what has come true: a shop that changes is caught up with, nothing that was unknown is read."""

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from expectations.behaviour import CUSTOMER_DAY, FEATURES
from expectations.segments import SCORES
from ml.calibrate import Calibrated, Calibration, calibration
from ml.cohorts import load_examples, load_inputs, load_parts, read_purchases
from ml.comparing.answers import foretold
from ml.examples import Examples
from ml.home import partition_folder
from ml.models import make
from ml.predict import Predictor
from ml.recalibrate import RECIPE, as_scored, matured_examples, newest_matured, recipe_for, renewed
from ml.saved import About
from tests.ml.conftest import CUTOFF, DAYS, FIRST_DAY, PROTOCOL, Shop, write_partition

DEARER = 3.0
"""From CUTOFF on everything costs so much more than a model trained before could know."""
LAST = FIRST_DAY + timedelta(days=DAYS - 1)
MATURED = CUTOFF + timedelta(days=30)
"""The first day on which the window of CUTOFF is over; the last of the data."""


@pytest.fixture(scope="module")
def busy() -> Shop:
    shop, after = Shop.simulate(800), (CUTOFF - FIRST_DAY).days + 1
    shop.spent[:, after:] = (DEARER * shop.spent[:, after:]).round(2)
    return shop


@pytest.fixture(scope="module")
def first_home(busy, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("busy")
    for n in range(DAYS):
        write_partition(home, CUSTOMER_DAY, FIRST_DAY + timedelta(days=n), busy.customer_day(FIRST_DAY + timedelta(n)))
    for cutoff in (*PROTOCOL.cutoffs, MATURED):
        write_partition(home, FEATURES, cutoff, busy.features(cutoff))
    return home


@pytest.fixture
def home(first_home, tmp_path) -> Path:
    """One to change."""
    return Path(shutil.copytree(first_home, tmp_path / "home"))


@pytest.fixture(scope="module")
def predictor(first_home) -> Predictor:
    """A model trained before the change, and calibrated on what lay before it."""
    parts, model = load_parts(PROTOCOL, first_home), Calibrated(make("recency_rule"))
    model.fit(parts.train, parts.valid)
    return Predictor("m/1", model, About("recency_rule", 0, str(CUTOFF), PROTOCOL.horizons, PROTOCOL.population))


def foretold_spend(predictor: Predictor, calibrated: Calibration, home: Path) -> float:
    inputs = load_inputs(MATURED, home, PROTOCOL.population)
    return predictor.model.under(calibrated).predict(inputs).expected_spend(30).sum()


def test_a_shop_that_changed_is_caught_up_with(home, predictor, busy):
    worth = dict(zip(busy.keys, 30 * busy.daily_probability * busy.mean_spend * DEARER, strict=True))
    inputs = load_inputs(MATURED, home, PROTOCOL.population)
    truth = sum(worth[key] for key in inputs.customer_keys)
    recipe, trained = recipe_for(predictor, MATURED, home), predictor.model.calibration
    assert recipe.calibrated_on == str(CUTOFF)
    assert recipe.customers == len(load_inputs(CUTOFF, home, PROTOCOL.population))
    assert foretold_spend(predictor, trained, home) < 0.5 * truth
    assert foretold_spend(predictor, recipe.calibration, home) == pytest.approx(truth, rel=0.12)
    # Who is likelier to buy than whom stays as the model has it.
    before, after = (predictor.model.under(one).predict(inputs).hazard[:, 0] for one in (trained, recipe.calibration))
    assert (np.argsort(before, kind="stable") == np.argsort(after, kind="stable")).all()


def test_a_window_that_is_not_over_calibrates_nothing(home, predictor):
    for early in (CUTOFF, MATURED - timedelta(days=1)):
        assert newest_matured(predictor, early, home) is None
        told = recipe_for(predictor, early, home)
        assert (told.calibrated_on, told.calibration) == (None, predictor.model.calibration)


def test_without_newer_features_or_a_day_of_labels_the_model_stays_as_trained(home, predictor):
    lost = partition_folder(CUSTOMER_DAY, CUTOFF + timedelta(days=12), home)
    lost.rename(home / "aside")
    assert recipe_for(predictor, MATURED, home).calibrated_on is None
    (home / "aside").rename(lost)
    assert recipe_for(predictor, MATURED, home).calibrated_on == str(CUTOFF)
    shutil.rmtree(partition_folder(FEATURES, CUTOFF, home))
    # Validation itself and what lies before it are known to the model already.
    assert recipe_for(predictor, MATURED, home).calibrated_on is None


def test_features_made_by_other_code_or_settings_calibrate_nothing(home, predictor, busy):
    def make(day: date, recipe: str) -> None:
        (partition_folder(FEATURES, day, home) / RECIPE).write_text(recipe)

    make(MATURED, "today's")
    assert newest_matured(predictor, MATURED, home) is None  # of CUTOFF nobody knows
    make(CUTOFF, "yesterday's")
    assert newest_matured(predictor, MATURED, home) is None
    older = CUTOFF - timedelta(days=3)
    write_partition(home, FEATURES, older, busy.features(older))
    make(older, "today's")
    assert newest_matured(predictor, MATURED, home) == older
    make(CUTOFF, "today's")
    assert newest_matured(predictor, MATURED, home) == CUTOFF


def test_a_model_of_sequences_needs_those_of_the_cutoff(home, predictor):
    class Reader(Calibrated):
        uses_sequences = True

    reader = replace(predictor, model=Reader(predictor.model.model))
    assert newest_matured(reader, MATURED, home) is None
    (home / "lake" / "sequences" / f"snapshot_date={CUTOFF}").mkdir(parents=True)
    (home / "lake" / "sequences" / f"snapshot_date={CUTOFF}" / "about.json").write_text("{}")
    assert newest_matured(reader, MATURED, home) == CUTOFF


def test_what_came_after_the_day_moves_nothing(home, predictor, busy):
    before = recipe_for(predictor, MATURED, home)
    later = busy.customer_day(LAST).assign(event_date=CUTOFF + timedelta(days=3), arrival_date=LAST + timedelta(days=1))
    write_partition(home, CUSTOMER_DAY, LAST + timedelta(days=1), later)  # it happened before, and was not known
    young = CUTOFF + timedelta(days=1)
    write_partition(home, FEATURES, young, busy.features(young))  # its window is over a day later
    assert recipe_for(predictor, MATURED, home) == before
    assert recipe_for(predictor, MATURED + timedelta(days=1), home).calibrated_on == str(young)


def test_a_day_scored_again_is_calibrated_as_it_was(home, predictor):
    first = recipe_for(predictor, MATURED, home)
    folder = partition_folder(SCORES, MATURED, home)
    folder.mkdir(parents=True)
    (folder / RECIPE).write_text(str(first))
    shutil.rmtree(partition_folder(FEATURES, CUTOFF, home))
    again = recipe_for(predictor, MATURED, home)
    assert again == first
    assert str(again) == str(first)
    assert as_scored(predictor, MATURED, home).model.calibration == first.calibration
    # Another version is calibrated for itself, and a day that was not scored tells nothing.
    other = replace(predictor, label="m/2")
    assert recipe_for(other, MATURED, home).calibrated_on is None
    assert as_scored(other, MATURED, home) is other
    assert as_scored(predictor, CUTOFF, home) is predictor


def test_many_customers_are_looked_at_in_part(home, predictor, monkeypatch):
    whole, everybody = matured_examples(predictor.about, CUTOFF, MATURED, home), PROTOCOL.population
    np.testing.assert_array_equal(whole.inputs.features, load_inputs(CUTOFF, home, everybody).features)
    monkeypatch.setattr("ml.recalibrate.MOST_ROWS", 100)
    some = matured_examples(predictor.about, CUTOFF, MATURED, home)
    assert 50 <= len(some) <= 100
    assert set(some.inputs.customer_keys) < set(whole.inputs.customer_keys)


def test_too_few_customers_leave_the_calibration_as_it_was(home, predictor):
    matured = matured_examples(predictor.about, CUTOFF, MATURED, home)
    for few in (0, 10):
        kept = renewed(predictor, matured.rows(np.arange(few))).model.calibration
        assert kept == predictor.model.calibration
    assert renewed(predictor, matured).model.calibration != predictor.model.calibration


def known(cutoff: date, until: date, home: Path) -> Examples:
    purchases = read_purchases(cutoff, until, home)
    return load_examples((cutoff,), until, PROTOCOL.horizons, PROTOCOL.population, purchases, home)


def test_labels_cut_back_are_the_labels_of_that_day(first_home):
    valid = PROTOCOL.valid
    whole = known(valid, LAST, first_home)
    for days in (3, 30, 45):
        loaded, cut = known(valid, valid + timedelta(days=days), first_home), whole.known_for(days)
        assert (cut.days_to_purchase == loaded.days_to_purchase).all()
        assert (cut.observed_days == loaded.observed_days).all()
        np.testing.assert_array_equal(cut.spend, loaded.spend)


def test_a_comparison_calibrates_each_test_on_what_had_matured_by_it(first_home, predictor):
    tests = (known(PROTOCOL.valid, LAST, first_home), known(CUTOFF, LAST, first_home))
    first, second = foretold(predictor.model, tests)
    # Nothing newer than validation lies before the first test; before the second lies the first, as known by then.
    assert (first.hazard == predictor.model.predict(tests[0].inputs).hazard).all()
    by_hand = calibration(
        predictor.model.model.predict(tests[0].inputs),
        known(PROTOCOL.valid, CUTOFF, first_home),
        predictor.model.calibration,
    )
    expected = by_hand(predictor.model.model.predict(tests[1].inputs))
    assert (second.hazard == expected.hazard).all()
    assert (second.spend_sigma == expected.spend_sigma).all()
    # What came after the second test's own cutoff, and whoever bought then, is not read.
    nobody = replace(tests[1], days_to_purchase=np.full(len(tests[1]), np.inf), spend=np.zeros(tests[1].spend.shape))
    blind = replace(
        tests[0], days_to_purchase=np.where(tests[0].days_to_purchase > 30, np.inf, tests[0].days_to_purchase)
    )
    assert (foretold(predictor.model, (blind, nobody))[1].hazard == second.hazard).all()
    # A test whose window was not over by the next counts for nothing.
    soon = known(CUTOFF, LAST, first_home)
    near = replace(soon, inputs=replace(soon.inputs, cutoffs=soon.inputs.cutoffs - np.timedelta64(1, "D")))
    assert (
        foretold(predictor.model, (near, tests[1]))[1].hazard == predictor.model.predict(tests[1].inputs).hazard
    ).all()
