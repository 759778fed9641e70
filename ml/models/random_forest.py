"""A random forest on the aggregates as they are."""

from typing import ClassVar

from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline

from ml.impute import UnseenToZero
from ml.models.search import Space
from ml.models.tabular import Tabular

SETTINGS = {"n_estimators": 150, "max_samples": 0.4, "n_jobs": 2}
"""Trees on fewer rows each are as good together, and quicker."""


class RandomForest(Tabular):
    """leaf: customers in a leaf, at least; features: share of the features that a split looks at."""

    classifier_space: ClassVar[Space] = {"leaf": (20, 10, 40, 80), "features": (0.1, 0.2, 0.4)}
    regressor_space: ClassVar[Space] = {"leaf": (20, 10, 40, 80), "features": (0.2, 0.1, 0.4)}

    def classifier(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(UnseenToZero(), RandomForestClassifier(**self._settings(settings)))

    def regressor(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(UnseenToZero(), RandomForestRegressor(**self._settings(settings)))

    def _settings(self, settings: dict[str, object]) -> dict[str, object]:
        own = {"min_samples_leaf": settings["leaf"], "max_features": settings["features"]}
        return {**SETTINGS, **own, "random_state": self.seed}
