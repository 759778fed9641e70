"""Gradient boosting on the aggregates as they are: trees need no scaling and take missing values."""

from typing import ClassVar

from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline

from ml.impute import UnseenToZero
from ml.models.search import Space
from ml.models.tabular import Tabular

SPACE = {
    "learning_rate": (0.03, 0.02, 0.05),
    "max_iter": (150, 100, 250),
    "max_leaf_nodes": (8, 4, 6, 12),
    "min_samples_leaf": (60, 30, 120),
    "l2_regularization": (5.0, 1.0, 20.0),
    "max_features": (0.5, 0.25, 1.0),
}


class GradientBoosting(Tabular):
    """Settings are scikit-learn's own."""

    classifier_space: ClassVar[Space] = SPACE
    regressor_space: ClassVar[Space] = SPACE

    def classifier(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(UnseenToZero(), HistGradientBoostingClassifier(**self._settings(settings)))

    def regressor(self, settings: dict[str, object]) -> BaseEstimator:
        boosting = HistGradientBoostingRegressor(loss="gamma", **self._settings(settings))
        return make_pipeline(UnseenToZero(), boosting)

    def _settings(self, settings: dict[str, object]) -> dict[str, object]:
        return {**settings, "early_stopping": False, "random_state": self.seed}
