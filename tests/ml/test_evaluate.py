"""Metrics against brute force, scikit-learn and hand-computed values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ml.dataset import Examples
from ml.evaluate import auc, bootstrap_interval, calibration_error, equal_bins, measure, normalised_gini, paired_gain


def examples(is_buyer, spend) -> Examples:
    keys = np.array([str(n) for n in range(len(is_buyer))])
    return Examples(keys, np.zeros((len(keys), 1)), np.asarray(is_buyer, float), np.asarray(spend, float))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60))
def test_auc_is_scikit_learns_ties_included(rows):
    is_buyer, score = (np.array(column, float) for column in zip(*rows, strict=True))
    if 0 < is_buyer.mean() < 1:
        assert auc(is_buyer, score) == pytest.approx(roc_auc_score(is_buyer, score), abs=1e-12)
    else:
        assert np.isnan(auc(is_buyer, score))


def by_pairs(spend, score):
    """Gini by its definition on pairs: who is ranked above whom, weighted by the difference in spend."""
    total = 0.0
    for a in range(len(spend)):
        for b in range(len(spend)):
            total += np.sign(score[a] - score[b]) * (spend[a] - spend[b])
    return total


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), min_size=2, max_size=25))
def test_gini_is_that_of_its_definition_ties_included(rows):
    spend, score = (np.array(column, float) for column in zip(*rows, strict=True))
    if len(set(spend)) < 2:
        assert np.isnan(normalised_gini(spend, score))
    else:
        assert normalised_gini(spend, score) == pytest.approx(by_pairs(spend, score) / by_pairs(spend, spend), abs=1e-9)


def test_gini_of_the_perfect_ranking_is_one_of_the_reverse_minus_one_of_none_nil():
    spend = np.array([0.0, 0.0, 5.0, 10.0, 100.0])
    assert normalised_gini(spend, spend) == pytest.approx(1)
    assert normalised_gini(spend, np.log1p(spend)) == pytest.approx(1)
    assert normalised_gini(spend, -spend) == pytest.approx(-1)
    assert normalised_gini(spend, np.ones(5)) == pytest.approx(0)


def test_calibration_error_by_hand():
    # Twenty customers, ten bins of two: the first ten said 0.2 and none bought, the others said 0.9 and all bought.
    probability = np.repeat([0.2, 0.9], 10)
    assert calibration_error(np.repeat([0.0, 1.0], 10), probability) == pytest.approx(0.5 * 0.2 + 0.5 * 0.1)


def test_bins_are_ordered_and_of_equal_size():
    bins = equal_bins(np.array([5.0, 1.0, 4.0, 2.0, 3.0, 0.0]), 3)
    assert [rows.tolist() for rows in bins] == [[5, 1], [3, 4], [2, 0]]
    assert len(equal_bins(np.array([1.0, 2.0]), 10)) == 2


def test_all_metrics_by_hand():
    # Expected spend: 0.5 x 20, 0.5 x 0, 1 x 30.
    found = measure(examples([1, 0, 1], [12, 0, 24]), np.array([[0.5, 20.0], [0.5, 0.0], [1.0, 30.0]]))
    assert found["brier"] == pytest.approx((0.25 + 0.25 + 0) / 3)
    assert found["spend_mae"] == pytest.approx((2 + 0 + 6) / 3)
    assert found["total_bias"] == pytest.approx(40 / 36 - 1)
    assert found["auc"] == pytest.approx(0.75)


def test_metrics_without_meaning_are_nan_not_an_error():
    found = measure(examples([0, 0], [0, 0]), np.array([[0.1, 5.0], [0.2, 5.0]]))
    assert {name for name, value in found.items() if np.isnan(value)} == {
        "auc", "average_precision", "normalised_gini", "total_bias",
    }  # fmt: skip


def test_bootstrap_interval_holds_the_estimate_and_repeats():
    rng = np.random.default_rng(1)
    is_buyer = (rng.random(500) < 0.6).astype(float)
    score = is_buyer + rng.normal(0, 1, 500)
    low, high = bootstrap_interval(auc, is_buyer, score, seed=3)
    assert low < auc(is_buyer, score) < high
    # Standard error of an AUC of 0.76 with 300 and 200 customers: 0.022 (Hanley, McNeil 1982); four of them.
    assert 0.06 < high - low < 0.12
    assert bootstrap_interval(auc, is_buyer, score, seed=3) == (low, high)


def test_paired_gain_finds_what_two_intervals_apart_would_hide():
    rng = np.random.default_rng(2)
    is_buyer = (rng.random(800) < 0.5).astype(float)
    rows = examples(is_buyer, is_buyer * rng.lognormal(3, 1, 800))
    score = is_buyer + rng.normal(0, 1, 800)
    noisier = score + rng.normal(0, 0.5, 800)

    def predicted(score):
        return np.column_stack([1 / (1 + np.exp(-score)), np.full(800, 20.0)])

    better, worse = predicted(score), predicted(noisier)
    gains = paired_gain(rows, better, worse, seed=3)
    a, b = measure(rows, better), measure(rows, worse)
    assert gains["auc"][0] == pytest.approx(a["auc"] - b["auc"])
    assert gains["normalised_gini"][0] == pytest.approx(a["normalised_gini"] - b["normalised_gini"])
    assert gains["brier"][0] == pytest.approx(b["brier"] - a["brier"])  # less is better
    gain, low, high = gains["auc"]
    assert 0 < low < gain < high
    ours = bootstrap_interval(auc, is_buyer, better[:, 0], seed=3)
    theirs = bootstrap_interval(auc, is_buyer, worse[:, 0], seed=3)
    assert ours[0] < theirs[1], "the intervals of the two overlap"
    # The other way round it is the same with the other sign; a model against itself gains nothing.
    assert paired_gain(rows, worse, better, seed=3)["auc"] == pytest.approx((-gain, -high, -low))
    assert set(paired_gain(rows, better, better, seed=3).values()) == {(0.0, 0.0, 0.0)}
