"""Linear in the logarithms of the aggregates: logistic for the purchase, gamma with a log link for spend."""

from typing import ClassVar

from sklearn.base import BaseEstimator
from sklearn.linear_model import GammaRegressor
from sklearn.linear_model import LogisticRegression as Logistic
from sklearn.pipeline import make_pipeline

from ml.models.parts import standardised
from ml.models.search import Space
from ml.models.tabular import Tabular


class LogisticRegression(Tabular):
    """C: inverse strength of the penalty; alpha: its strength."""

    classifier_space: ClassVar[Space] = {"C": (0.1, 0.001, 0.003, 0.01, 0.03, 0.3, 1.0, 3.0)}
    regressor_space: ClassVar[Space] = {"alpha": (0.1, 0.001, 0.01, 0.03, 0.3, 1.0, 3.0)}

    def classifier(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(*standardised(), Logistic(C=settings["C"], solver="newton-cholesky"))

    def regressor(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(*standardised(), GammaRegressor(alpha=settings["alpha"], solver="newton-cholesky"))
