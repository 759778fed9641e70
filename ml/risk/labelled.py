"""A supervised risk score: a small boosting on features, calibrated, and how good it is on cases it has not seen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expectations.behaviour import FEATURE_NAMES
from ml.reasons.facts import once_a_family
from ml.reasons.words import PURCHASE, in_words
from ml.risk.labels import Cases

if TYPE_CHECKING:
    from sklearn.calibration import CalibratedClassifierCV

TOP = 100
RESAMPLES = 500
MISSING = -2.0
"""No feature is as low: sentiments reach -1, all others 0."""
TEST_SHARE = 0.3
"""The newest cases, so many of them, are tested on."""


@dataclass(frozen=True)
class Judged:
    """Value and 95 % percentile interval (bootstrap of rows) of each rule; ``random``: what a random list would get."""

    rows: int
    cases: int
    average_precision: tuple[float, float, float]
    precision_at_100: tuple[float, float, float]
    random: float


def fit(features: np.ndarray, is_case: np.ndarray, weight: np.ndarray | None = None) -> "CalibratedClassifierCV":
    """One boosting on all rows; Platt's sigmoid on its out-of-fold scores, which few cases can bear."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    boosting = HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=8, min_samples_leaf=5, l2_regularization=1, random_state=0, early_stopping=False
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = CalibratedClassifierCV(boosting, method="sigmoid", cv=folds, ensemble=False)
    with threadpool_limits(limits=1):  # the same sums whatever the machine
        return model.fit(filled(features), is_case, weight)


def filled(features: np.ndarray) -> np.ndarray:
    """Missing values as one below all others: scikit-learn's boosting reads none where a whole column is missing."""
    return np.where(np.isnan(features), MISSING, features)


def fit_cases(cases: list[Cases]) -> "CalibratedClassifierCV":
    return fit(*(np.concatenate([getattr(one, name) for one in cases]) for name in ("features", "is_case", "weight")))


def probability(model: "CalibratedClassifierCV", features: np.ndarray) -> np.ndarray:
    """(rows,) of being a case."""
    return model.predict_proba(filled(features))[:, 1]


def split_by_time(cases: list[Cases]) -> tuple[list[Cases], list[Cases]]:
    """Snapshots to learn from, and the newest, which hold TEST_SHARE of the cases, to test on; one of each at least."""
    counts = np.array([one.is_case.sum() for one in cases])
    newest = np.cumsum(counts[::-1])[::-1] <= max(TEST_SHARE * counts.sum(), counts[-1])
    first = max(int(np.argmax(newest)), 1)
    return cases[:first], cases[first:]


def judge(is_case: np.ndarray, score: np.ndarray, seed: int = 0) -> Judged:
    """Both (rows,); higher scores first, ties in the order of the rows."""
    from sklearn.metrics import average_precision_score

    def at_top(label: np.ndarray, predicted: np.ndarray) -> float:
        return float(label[np.argsort(-predicted, kind="stable")[:TOP]].mean())

    random = np.random.default_rng(seed)
    drawn = [random.integers(len(score), size=len(score)) for _ in range(RESAMPLES)]

    def with_interval(rule: Callable[[np.ndarray, np.ndarray], float]) -> tuple[float, float, float]:
        values = [rule(is_case[rows], score[rows]) for rows in drawn if is_case[rows].any()]
        return (rule(is_case, score), *map(float, np.percentile(values, [2.5, 97.5])))

    return Judged(len(score), int(is_case.sum()), with_interval(average_precision_score), with_interval(at_top),
                  float(is_case.mean()))  # fmt: skip


def reasons(model: "CalibratedClassifierCV", features: np.ndarray, typical: np.ndarray, n: int = 3) -> list[list[str]]:
    """Of each row, what speaks most for a case, one a family of features; exact Shapley values of the boosting."""
    from ml.reasons.tabular import margin

    _, parts = margin(model.calibrated_classifiers_[0].estimator, filled(features))
    return [_told(values, own, typical, n) for values, own in zip(features, parts, strict=True)]


def _told(values: np.ndarray, parts: np.ndarray, typical: np.ndarray, n: int) -> list[str]:
    order = (place for place in np.argsort(-parts, kind="stable") if parts[place] > 0)
    chosen = once_a_family(FEATURE_NAMES, values, order)[:n]
    return [in_words(FEATURE_NAMES[place], values[place], PURCHASE, typical[place]) for place in chosen]
