"""Every rule against a computation of its own: scikit-learn, SciPy, or loops anyone can read."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    recall_score,
    roc_auc_score,
)

from ml import scoring_rules, spend_rules
from ml.ranked_sums import equal_bins

ROWS = 400


@pytest.fixture(name="sample")
def _sample() -> dict[str, np.ndarray]:
    """Labels, probabilities with many ties, spend that is mostly nothing, expected spend with ties."""
    rng = np.random.default_rng(3)
    probability = rng.beta(1, 2, ROWS).round(2)
    label = (rng.random(ROWS) < probability).astype(np.float64)
    spend = (label * rng.lognormal(3, 1, ROWS)).round(2)
    expected = (probability * 30 * rng.lognormal(0, 0.4, ROWS)).round(0) + 1
    return {"label": label, "probability": probability, "spend": spend, "expected": expected}


def test_label_rules_equal_scikit_learn(sample):
    label, probability = sample["label"], sample["probability"]
    found = scoring_rules.label_scores(label, probability, probability >= 0.4)
    said = probability >= 0.4
    assert found["auc"] == pytest.approx(roc_auc_score(label, probability))
    assert found["average_precision"] == pytest.approx(average_precision_score(label, probability))
    assert found["brier"] == pytest.approx(brier_score_loss(label, probability))
    assert found["accuracy"] == pytest.approx(accuracy_score(label, said))
    assert found["recall"] == pytest.approx(recall_score(label, said))
    assert found["f1"] == pytest.approx(f1_score(label, said))
    # Taken alone, a rule says what it says among the others.
    for name in ("auc", "average_precision", "top_decile_lift", "brier", "calibration_error", "total_bias"):
        assert getattr(scoring_rules, name)(label, probability) == found[name]


def test_calibration_error_is_the_mean_gap_of_ten_equal_bins():
    # Distinct predictions, so that bins are plainly every tenth of the order.
    rng = np.random.default_rng(1)
    probability = rng.permutation(np.linspace(0.01, 0.9, 200))
    label = (rng.random(200) < probability**2).astype(np.float64)
    order = np.argsort(probability)
    gaps = [abs(label[order[n : n + 20]].mean() - probability[order[n : n + 20]].mean()) for n in range(0, 200, 20)]
    assert scoring_rules.calibration_error(label, probability) == pytest.approx(np.mean(gaps))


def test_equal_predictions_share_a_bin():
    # One who says the same of all is judged by their mean, not by how rows happen to lie.
    label = np.array([1.0] * 30 + [0.0] * 70)
    assert set(equal_bins(np.full(100, 0.3))) == {5}
    assert scoring_rules.calibration_error(label, np.full(100, 0.3)) == pytest.approx(0.0)


def test_what_a_perfectly_calibrated_model_shows_is_what_its_own_labels_show(sample):
    # Labels drawn from the predictions one sample at a time, judged by the rule itself.
    probability, rng = sample["probability"], np.random.default_rng(5)
    uniform = rng.random((ROWS, 50))
    honest = scoring_rules.honest_calibration_errors(probability, uniform)
    one_by_one = [
        scoring_rules.calibration_error((uniform[:, n] < probability).astype(np.float64), probability)
        for n in range(50)
    ]
    assert honest == pytest.approx(np.array(one_by_one), abs=1e-6)
    assert honest.mean() > 0.02, "a sample of 400 scatters: never 0"


def test_lift_of_the_top_tenth_by_hand():
    # 20 customers, the two highest hold 1 and 0 of 4 buyers: half of them buy, a fifth of all do.
    label = np.zeros(20)
    label[[0, 5, 6, 7]] = 1
    assert scoring_rules.top_decile_lift(label, -np.arange(20.0)) == pytest.approx((1 / 2) / (4 / 20))
    # The border cuts a group of four equal customers, two of them buyers: half of the group counts.
    tied = np.array([9.0] * 4 + [1.0] * 16)
    label = np.array([1.0, 1, 0, 0] + [0.0] * 15 + [1.0])
    assert scoring_rules.top_decile_lift(label, tied) == pytest.approx((0.5 * 2 / 2) / (3 / 20))


def test_the_best_threshold_is_the_one_that_no_other_beats(sample):
    label, probability = sample["label"], sample["probability"]
    best = scoring_rules.best_threshold(label, probability)
    tried = {one: f1_score(label, probability >= one) for one in np.unique(probability)}
    assert tried[best] == max(tried.values())


def test_without_labels_the_threshold_maximises_expected_f1():
    # Ten sure buyers among hesitant crowds: expected F1 is 2 Σp / (chosen + Σ all p), by hand for each threshold.
    probability = np.array([0.9] * 10 + [0.2] * 30)
    by_hand = {0.9: 2 * 9 / (10 + 15), 0.2: 2 * 15 / (40 + 15)}
    assert scoring_rules.best_threshold(probability, probability) == max(by_hand, key=by_hand.__getitem__)


def plain_gini(spend, rank_by):
    """Cumulated share of spend, best ranked first, over what a blind order holds; ties share evenly."""
    order = sorted(range(len(spend)), key=lambda n: -rank_by[n])
    shared = [np.mean([spend[m] for m in order if rank_by[m] == rank_by[n]]) for n in order]
    return sum(sum(shared[: k + 1]) / sum(spend) - (k + 1) / len(spend) for k in range(len(spend)))


def test_spend_rules_equal_plain_loops(sample):
    spend, expected = sample["spend"][:80], sample["expected"][:80]
    gini = plain_gini(spend, expected) / plain_gini(spend, spend)
    assert spend_rules.normalised_gini(spend, expected) == pytest.approx(gini)
    assert spend_rules.spearman(spend, expected) == pytest.approx(spearmanr(spend, expected)[0])
    assert spend_rules.total_bias(spend, expected) == pytest.approx(sum(expected) / sum(spend) - 1)
    assert spend_rules.mean_absolute_error(spend, expected) == pytest.approx(np.mean(np.abs(spend - expected)))


def test_decile_mape_by_hand_leaves_out_deciles_that_spent_nothing():
    # Ten customers, a decile each; the lowest spends nothing, the others half of what was expected.
    expected = np.arange(1.0, 11.0)
    spend = expected / 2
    spend[0] = 0
    assert spend_rules.decile_mape(spend, expected) == pytest.approx(1.0)


def test_coverage_is_the_mean_of_randomised_transforms():
    rng = np.random.default_rng(2)
    silent = rng.uniform(0.02, 0.99, 500)
    paid = rng.random(500) > silent
    below = np.where(paid, silent + (1 - silent) * rng.beta(2, 2, 500), silent)
    drawn = []
    for _ in range(400):
        transform = np.where(paid, below, rng.random(500) * silent)
        drawn.append(np.mean((transform >= 0.05) & (transform <= 0.95)))
    assert spend_rules.coverage(silent, below) == pytest.approx(np.mean(drawn), abs=0.002)


def test_intervals_of_a_true_model_cover_nine_tenths():
    # Outcomes drawn from the forecast itself: whatever the share of zeros, 90 % lie within.
    rng = np.random.default_rng(8)
    silent = rng.beta(5, 1, 20_000)
    place = rng.random(20_000)
    below = np.where(place > silent, place, silent)
    assert spend_rules.coverage(silent, below) == pytest.approx(0.9, abs=0.006)


RULES = {
    **{n: getattr(scoring_rules, n) for n in ("auc", "average_precision", "top_decile_lift", "brier", "total_bias")},
    **{n: getattr(spend_rules, n) for n in ("normalised_gini", "spearman", "mean_absolute_error")},
}


@pytest.mark.parametrize("name", RULES)
def test_a_row_that_counts_twice_is_a_row_twice(sample, name):
    money = name in ("normalised_gini", "spearman", "mean_absolute_error")
    actual, said = (sample["spend"], sample["expected"]) if money else (sample["label"], sample["probability"])
    weights = np.random.default_rng(4).multinomial(ROWS, np.full(ROWS, 1 / ROWS), size=3).T.astype(np.float64)
    for n, value in enumerate(RULES[name](actual, said, weights)):
        rows = np.repeat(np.arange(ROWS), weights[:, n].astype(int))
        assert value == pytest.approx(RULES[name](actual[rows], said[rows]))


def test_what_has_no_meaning_is_nan():
    ones, said = np.ones(5), np.linspace(0.1, 0.9, 5)
    assert np.isnan(scoring_rules.auc(ones, said)), "everybody bought: nobody to rank above"
    assert np.isnan(scoring_rules.average_precision(0 * ones, said)), "nobody bought"
    assert np.isnan(scoring_rules.top_decile_lift(0 * ones, said))
    assert np.isnan(scoring_rules.decisions(0 * ones, said > 2)["recall"])
    assert np.isnan(spend_rules.normalised_gini(0 * ones, said)), "nobody spent"
    assert np.isnan(spend_rules.total_bias(0 * ones, said))
    assert np.isnan(spend_rules.spearman(ones, said)), "everybody spent the same"
    nobody = np.zeros(0)
    found = scoring_rules.label_scores(nobody, nobody, nobody > 0) | spend_rules.spend_scores(*[nobody] * 4)
    assert all(np.isnan(value) for value in found.values())
    assert scoring_rules.best_threshold(0 * ones, said) == np.inf, "nobody to find: the answer is always no"
