"""Contributions of features to the margins of scikit-learn's classifiers: exact for trees, and for what is linear."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from expectations.behaviour import FEATURE_NAMES
from expectations.without import without
from ml.impute import Imputer
from ml.models.hazard import EPSILON, Hazard
from ml.reasons import NoReasons

if TYPE_CHECKING:
    from shap import TreeExplainer

SMALLEST_MOVE = 1e-9
Margin = tuple[float, np.ndarray]
"""Base, and (rows, columns): together the log-odds that the classifier gives."""


def fitted_source(hazard: Hazard) -> np.ndarray:
    """(intervals,): the last interval with a classifier up to each; 0 before the first."""
    places = [k if classifier is not None else 0 for k, classifier in enumerate(hazard.classifiers)]
    return np.maximum.accumulate(places)


def hazard_margins(hazard: Hazard, design: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(intervals,) bases and (rows, columns, intervals) contributions of the intervals ``wanted`` (bool); else 0."""
    base = np.zeros(len(hazard.classifiers))
    parts = np.zeros((*design.shape, len(hazard.classifiers)))
    for k, classifier in enumerate(hazard.classifiers):
        if classifier is not None and wanted[k]:
            base[k], parts[:, :, k] = margin(classifier, design)
    return base, parts


def finished(hazard: Hazard) -> Callable[[np.ndarray], np.ndarray]:
    """(rows, intervals) margins → hazards, as ``hazard`` itself fills in the intervals that were not fitted."""
    given = copy.copy(hazard)
    given.classifiers = [None if one is None else _Given(k) for k, one in enumerate(hazard.classifiers)]
    return given.predict


@dataclass(frozen=True)
class _Given:
    """A classifier whose margin stands in a column of what it reads."""

    column: int

    def predict_proba(self, margins: np.ndarray) -> np.ndarray:
        return np.column_stack([np.zeros(len(margins)), expit(margins[:, self.column])])


def margin(classifier: BaseEstimator, design: np.ndarray) -> Margin:
    """Base and contributions of each column of ``design``; NoReasons for a classifier that nothing exact is known of.

    Trees: the path-dependent Shapley values of Lundberg et al. (2020). Linear: weight times distance from the mean.
    """
    *steps, last = [step for _, step in classifier.steps] if isinstance(classifier, Pipeline) else [classifier]
    read = design
    for step in steps:
        read = step.transform(read)
    if hasattr(last, "coef_") and hasattr(last, "predict_proba"):
        return float(last.intercept_[0]), _columns(read * last.coef_[0], steps, design.shape[1])
    if hasattr(last, "calibrated_classifiers_"):
        base, weights = _behind_a_sigmoid(last)
        return base, _columns(read * weights, steps, design.shape[1])
    if hasattr(last, "estimators_"):
        return _forest(last, read)
    if hasattr(last, "decision_function") and hasattr(last, "_predictors"):
        return _trees(last, read)
    raise NoReasons(f"{type(last).__name__} gives no exact reasons")


def _behind_a_sigmoid(classifier: BaseEstimator) -> tuple[float, np.ndarray]:
    """Intercept and weights of the log-odds that a sigmoid makes of the margin of a linear classifier."""
    (fitted,) = classifier.calibrated_classifiers_
    sigmoid, line = fitted.calibrators[0], fitted.estimator
    return float(-(sigmoid.a_ * line.intercept_[0] + sigmoid.b_)), -sigmoid.a_ * line.coef_[0]


def _forest(classifier: BaseEstimator, read: np.ndarray) -> Margin:
    """A forest's trees vote with probabilities: what columns make of these is handed on to log-odds in proportion."""
    explainer = _explainer(classifier)
    base, parts = explainer.expected_value[1], explainer.shap_values(read, check_additivity=False)[..., 1]
    moved = parts.sum(axis=1)
    began, ended = (logit(np.clip(chance, EPSILON, 1 - EPSILON)) for chance in (base, base + moved))
    still = np.abs(moved) < SMALLEST_MOVE
    times = np.where(still, 1 / (base * (1 - base)), (ended - began) / np.where(still, 1.0, moved))
    return float(began), parts * times[:, None]


def _trees(classifier: BaseEstimator, read: np.ndarray) -> Margin:
    explainer = _explainer(classifier)
    values = explainer.shap_values(read, check_additivity=False)
    return float(np.ravel(explainer.expected_value)[-1]), values


def _explainer(classifier: BaseEstimator) -> "TreeExplainer":
    with without("matplotlib"):  # shap would load its plots
        from shap import TreeExplainer

    return TreeExplainer(classifier)


def _columns(parts: np.ndarray, steps: list[BaseEstimator], columns: int) -> np.ndarray:
    """An indicator of a missing value speaks for the feature that is missing."""
    missing = [step.nullable_ for step in steps if isinstance(step, Imputer)]
    owners = np.concatenate([np.arange(columns), *missing])
    if len(owners) != parts.shape[1]:
        raise NoReasons("this model reads other columns than the features: its reasons cannot be told")
    found = np.zeros((len(parts), columns))
    np.add.at(found.T, owners, parts.T)
    return found


def column_names(design: np.ndarray, features: np.ndarray) -> list[str]:
    """Names of what a tabular model reads: the features it equals, and learned_N for what it adds to them."""
    if design.shape[1] >= features.shape[1]:
        return [*FEATURE_NAMES, *(f"learned_{n}" for n in range(design.shape[1] - features.shape[1]))]
    names = []
    for n, column in enumerate(design.T):
        same = (name for name, own in zip(FEATURE_NAMES, features.T, strict=True) if np.array_equal(column, own, True))
        names.append(next(same, f"learned_{n}"))
    return names
