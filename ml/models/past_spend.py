"""Who paid most will pay most: purchase and spend from the money paid before, alone."""

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.linear_model import GammaRegressor, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from expectations.behaviour import FEATURE_NAMES
from ml.examples import Inputs
from ml.models.parts import log1p
from ml.models.search import Space
from ml.models.tabular import Tabular

WINDOWS = ("purchase_amount_90d", "purchase_amount_30d")


class PastSpend(Tabular):
    """One column each: ``window`` 0 is everything ever paid, the others are WINDOWS; which is chosen like a setting."""

    classifier_space: ClassVar[Space] = {"window": (0, 1, 2)}
    regressor_space: ClassVar[Space] = {"window": (0, 1, 2)}

    def design(self, inputs: Inputs) -> np.ndarray:
        ever = np.nan_to_num(inputs.life["monetary_value"]) * inputs.life["frequency_days"]
        return np.column_stack([ever, *(inputs.features[:, FEATURE_NAMES.index(name)] for name in WINDOWS)])

    def classifier(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(*_column(settings), LogisticRegression())

    def regressor(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(*_column(settings), GammaRegressor(alpha=1e-3, solver="newton-cholesky"))


def _column(settings: dict[str, object]) -> list[BaseEstimator]:
    chosen = make_column_transformer(("passthrough", [settings["window"]]))
    return [chosen, log1p(), StandardScaler()]
