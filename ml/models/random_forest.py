"""A random forest on the aggregates as they are."""

from typing import ClassVar

from joblib import parallel_config
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline

from ml.examples import Examples
from ml.impute import UnseenToZero
from ml.models.search import Space
from ml.models.tabular import Tabular

SETTINGS = {"n_estimators": 100, "max_samples": 0.3}
"""Trees on fewer rows each are as good together, and quicker."""


class RandomForest(Tabular):
    """leaf: customers in a leaf, at least; features: share of the features that a split looks at."""

    classifier_space: ClassVar[Space] = {"leaf": (20, 10, 40, 80), "features": (0.1, 0.2, 0.4)}
    regressor_space: ClassVar[Space] = {"leaf": (20, 10, 40, 80), "features": (0.2, 0.1, 0.4)}

    def fit(self, train: Examples, valid: Examples) -> None:
        # Two trees at a time while they grow, but one when asked: votes added up in another order are not the same.
        with parallel_config(backend="threading", n_jobs=2):
            super().fit(train, valid)

    def classifier(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(UnseenToZero(), RandomForestClassifier(**self._settings(settings)))

    def regressor(self, settings: dict[str, object]) -> BaseEstimator:
        return make_pipeline(UnseenToZero(), RandomForestRegressor(**self._settings(settings)))

    def _settings(self, settings: dict[str, object]) -> dict[str, object]:
        own = {"min_samples_leaf": settings["leaf"], "max_features": settings["features"]}
        return {**SETTINGS, **own, "random_state": self.seed}
