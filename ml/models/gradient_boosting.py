"""Gradient boosting on the aggregates as they are: trees need no scaling and take missing values.

Spend is the geometric mean of boosting and a linear model: trees find thresholds, lines go on where customers are few.
"""

from typing import ClassVar

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import GammaRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from expectations.behaviour import FEATURE_NAMES
from ml.impute import Imputer, UnseenToZero
from ml.models.parts import GeometricMean, clipped, log1p
from ml.models.search import Space
from ml.models.tabular import Tabular

SPACE = {
    "learning_rate": (0.04, 0.02, 0.03),
    "max_iter": (150, 100, 250),
    "max_leaf_nodes": (8, 4, 6, 12),
    "min_samples_leaf": (60, 30, 120),
    "l2_regularization": (5.0, 1.0, 20.0),
    "max_features": (0.3, 0.15, 0.6),
}


class GradientBoosting(Tabular):
    """Settings are scikit-learn's own; alpha is the penalty of the linear model.

    ``design`` holds the aggregates first; columns beyond them must not be missing.
    """

    classifier_space: ClassVar[Space] = SPACE
    regressor_space: ClassVar[Space] = SPACE | {"alpha": (0.03, 0.01, 0.1, 0.3)}

    def classifier(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(UnseenToZero(), HistGradientBoostingClassifier(**self._settings(settings)))

    def regressor(self, settings: dict[str, object]) -> BaseEstimator:
        of_trees = {name: value for name, value in settings.items() if name != "alpha"}
        trees = HistGradientBoostingRegressor(loss="gamma", **self._settings(of_trees))
        filled = ColumnTransformer(
            [("aggregates", Imputer(), list(range(len(FEATURE_NAMES))))], remainder="passthrough"
        )
        line = GammaRegressor(alpha=settings["alpha"], solver="newton-cholesky")
        scaled = [log1p(), StandardScaler(), FunctionTransformer(clipped)]
        return GeometricMean([make_pipeline(UnseenToZero(), trees), make_pipeline(filled, *scaled, line)])

    def _settings(self, settings: dict[str, object]) -> dict[str, object]:
        return {**settings, "early_stopping": False, "random_state": self.seed}
