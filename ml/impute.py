"""What stands in for a missing feature where a model cannot take one: the contract's rule, and an indicator beside it.

Fitted on training rows only and kept with the model, so that scoring fills as training did.
"""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from expectations.behaviour import FEATURE_NAMES, FEATURES


def nullable_places(names: tuple[str, ...] = FEATURE_NAMES) -> list[int]:
    """Which of the features may be missing: one indicator each, in this order."""
    return [place for place, name in enumerate(names) if FEATURES.column(name).nullable]


def fill_values(features: np.ndarray, names: tuple[str, ...] = FEATURE_NAMES) -> np.ndarray:
    """(features,): what replaces a missing value of each, by the contract's rule and the rows of ``features``.

    zero: 0; worst: the largest value; median: the middle one. A column without any value is filled by 0, as is one
    that the contract says is never missing.
    """
    columns = np.ma.masked_invalid(features)
    fills = {
        "zero": np.zeros(len(names)),
        "worst": columns.max(axis=0).filled(0.0),
        "median": np.ma.median(columns, axis=0).filled(0.0),
    }
    rules = [FEATURES.column(name).impute or "zero" for name in names]
    return np.array([fills[rule][place] for place, rule in enumerate(rules)])


class Imputer(TransformerMixin, BaseEstimator):
    """(rows, features) → (rows, features + nullable features): filled, then 1 where the value was missing.

    For scikit-learn's pipelines; ``names`` are the features of the columns.
    """

    def __init__(self, names: tuple[str, ...] = FEATURE_NAMES) -> None:
        self.names = names

    def fit(self, features: np.ndarray, _: object = None) -> "Imputer":
        """Takes the fill values from ``features``."""
        self.fill_ = fill_values(features, tuple(self.names))
        self.nullable_ = np.array(nullable_places(tuple(self.names)), dtype=np.int64)
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        missing = np.isnan(features)
        return np.hstack([np.where(missing, self.fill_, features), missing[:, self.nullable_]])


class UnseenToZero(TransformerMixin, BaseEstimator):
    """(rows, features) as they are, but for columns without a single value in training: these are 0 throughout.

    For trees, which take missing values, yet nothing of a column of nothing but those.
    """

    def fit(self, features: np.ndarray, _: object = None) -> "UnseenToZero":
        """Notes which columns of ``features`` hold no value."""
        self.unseen_ = np.isnan(features).all(axis=0)
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        return np.where(self.unseen_, 0.0, features)
