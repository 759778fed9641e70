"""The rule of thumb: the later the last purchase, the likelier the next."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from expectations.behaviour import FEATURE_NAMES
from ml.examples import Inputs
from ml.impute import Imputer
from ml.models.parts import log1p
from ml.models.tabular import Tabular

COLUMN = FEATURE_NAMES.index("recency_days")


class RecencyRule(Tabular):
    """Logistic in the logarithm of the days since the last purchase; spend: the mean of those who pay."""

    def design(self, inputs: Inputs) -> np.ndarray:
        return inputs.features[:, [COLUMN]]

    def classifier(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(Imputer(("recency_days",)), log1p(), LogisticRegression())

    def regressor(self, settings: dict[str, object]) -> BaseEstimator:
        return DummyRegressor()
