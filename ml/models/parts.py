"""Steps that pipelines of several models share."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml.impute import Imputer


def signed_log1p(values: np.ndarray) -> np.ndarray:
    """log(1 + x), mirrored for what is negative, so that any number has one."""
    return np.sign(values) * np.log1p(np.abs(values))


def log1p() -> FunctionTransformer:
    return FunctionTransformer(signed_log1p)


def standardised() -> list[BaseEstimator]:
    """Filled, as logarithms, each column with mean 0 and variance 1: for models that add features up."""
    return [Imputer(), log1p(), StandardScaler()]


def clipped(values: np.ndarray) -> np.ndarray:
    """Standardised values within 6 deviations: beyond, a linear model would only guess."""
    return np.clip(values, -6.0, 6.0)


class GeometricMean(RegressorMixin, BaseEstimator):
    """The geometric mean of what ``regressors`` say of a positive number: their mean where a logarithm links."""

    def __init__(self, regressors: list[BaseEstimator]) -> None:
        self.regressors = regressors

    def fit(self, design: np.ndarray, values: np.ndarray) -> "GeometricMean":
        self.fitted_ = [clone(one).fit(design, values) for one in self.regressors]
        return self

    def predict(self, design: np.ndarray) -> np.ndarray:
        logs = [np.log(np.maximum(one.predict(design), 1e-12)) for one in self.fitted_]
        return np.exp(np.mean(logs, axis=0))


def of_logarithm(regressor: BaseEstimator) -> TransformedTargetRegressor:
    """``regressor`` of the logarithm of a positive number, for those that minimise absolute or squared errors."""
    return TransformedTargetRegressor(regressor, func=np.log, inverse_func=np.exp)
