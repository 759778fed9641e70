"""Steps that pipelines of several models share."""

import numpy as np
from sklearn.base import BaseEstimator
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


def of_logarithm(regressor: BaseEstimator) -> TransformedTargetRegressor:
    """``regressor`` of the logarithm of a positive number, for those that minimise absolute or squared errors."""
    return TransformedTargetRegressor(regressor, func=np.log, inverse_func=np.exp)
