"""Filling of missing features: the contract's rules, training rows alone, no column that breaks a model."""

import numpy as np
import pytest

from expectations.behaviour import FEATURE_NAMES, FEATURES
from ml.examples import LIFE_NAMES, Examples, Inputs
from ml.horizons import Horizons
from ml.impute import Imputer, UnseenToZero, fill_values, nullable_places
from ml.models import make

# One feature of each rule, and one that is never missing.
NAMES = ("monetary_value", "recency_days", "gap_trend", "event_count_7d")
NAN = np.nan


def test_every_nullable_input_declares_its_rule():
    lacking = [name for name in FEATURE_NAMES if FEATURES.column(name).nullable and not FEATURES.column(name).impute]
    assert lacking == []


def test_fill_by_rule():
    rows = np.array([[5.0, 10.0, 1.0, 3.0], [NAN, 400.0, 2.0, 4.0], [7.0, NAN, 9.0, 5.0], [8.0, 20.0, NAN, 6.0]])
    # zero whatever the rows hold; worst: the largest; median of 1, 2, 9; never missing: 0.
    assert fill_values(rows, NAMES).tolist() == [0.0, 400.0, 2.0, 0.0]


def test_filled_values_and_indicators_by_hand():
    fitted = Imputer(NAMES).fit(np.array([[5.0, 10.0, 1.0, 3.0], [6.0, 30.0, 3.0, 3.0]]))
    found = fitted.transform(np.array([[NAN, NAN, NAN, 1.0], [9.0, 99.0, 9.0, 2.0]]))
    assert found.tolist() == [
        [0.0, 30.0, 2.0, 1.0, 1.0, 1.0, 1.0],  # an indicator for each of the three that may be missing
        [9.0, 99.0, 9.0, 2.0, 0.0, 0.0, 0.0],  # what is there stays as it is
    ]


def test_scored_rows_do_not_move_the_fill():
    fitted = Imputer(NAMES).fit(np.array([[5.0, 10.0, 1.0, 3.0]]))
    before = fitted.fill_.copy()
    fitted.transform(np.full((3, 4), 1e9))
    np.testing.assert_array_equal(fitted.fill_, before)


def test_columns_without_a_value_are_filled_by_zero_and_hidden_from_trees():
    rows = np.array([[NAN, 1.0], [NAN, NAN]])
    assert Imputer(("gap_trend", "recency_days")).fit(rows).transform(rows)[:, :2].tolist() == [[0.0, 1.0], [0.0, 1.0]]
    trees = UnseenToZero().fit(rows)
    # Later rows may hold a value there: nothing was learned of it.
    np.testing.assert_array_equal(trees.transform(np.array([[3.0, NAN]])), [[0.0, NAN]])


@pytest.mark.parametrize("name", ["recency_rule", "logistic_regression", "gradient_boosting"])
def test_no_constant_or_missing_column_breaks_a_model(name):
    rng = np.random.default_rng(3)
    rows = np.zeros((400, len(FEATURE_NAMES)))  # constant
    rows[:, nullable_places()] = np.nan  # missing throughout
    rows[:, FEATURE_NAMES.index("recency_days")] = rng.integers(0, 90, 400)
    is_buyer = rows[:, FEATURE_NAMES.index("recency_days")] < 40
    # Among buyers, and there alone, another column has no value: spend is learned of them.
    rows[:, FEATURE_NAMES.index("gap_trend")] = np.where(is_buyer, np.nan, 1.0)
    life, keys = dict.fromkeys(LIFE_NAMES, np.full(400, 40.0)), np.array([f"{n:03}" for n in range(400)])
    inputs = Inputs(None, keys, np.full(400, np.datetime64("2020-05-01")), rows, life)
    spend = (is_buyer * rng.lognormal(2, 1, 400))[:, None]
    days = np.where(is_buyer, 5.0, np.inf)
    examples = Examples(Horizons((30,), 30, (30,)), inputs, days, np.full(400, 30), spend)
    model = make(name)
    model.fit(examples, examples)
    found = model.predict(inputs)
    assert np.isfinite(found.hazard).all()
    assert np.isfinite(found.spend_if_purchase).all()
    assert found.probability(30)[is_buyer].mean() > found.probability(30)[~is_buyer].mean()
