"""What the network has to beat, each fitted on the same rows: a recency rule, logistic regression, gradient boosting.

Every baseline is two scikit-learn models in one: a classifier for the purchase, and a regressor for spend, fitted on
buyers. All save without pickle (skops); to add one, add a function to BASELINES and its types to TRUSTED_TYPES if skops
asks for them.
"""

from collections.abc import Callable

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import GammaRegressor, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from expectations.behaviour import FEATURE_NAMES
from ml.impute import Imputer, UnseenToZero

TRUSTED_TYPES = [
    "ml.baselines.TwoPart",
    "ml.baselines.signed_log1p",
    "ml.impute.Imputer",
    "ml.impute.UnseenToZero",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
]


class TwoPart(BaseEstimator):
    """Purchase by a classifier; spend if there is a purchase by a regressor. ``predict`` gives both, one row each."""

    def __init__(self, classifier: BaseEstimator, regressor: BaseEstimator) -> None:
        self.classifier = classifier
        self.regressor = regressor

    def fit(self, features: np.ndarray, is_buyer: np.ndarray, spend: np.ndarray) -> "TwoPart":
        """Fits the classifier on all rows, the regressor on those that paid."""
        paid = spend > 0
        self.classifier.fit(features, is_buyer)
        self.regressor.fit(features[paid], spend[paid])
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(rows, 2): purchase_probability_30d, spend_if_purchase_30d."""
        probability = self.classifier.predict_proba(features)[:, 1]
        return np.column_stack([probability, np.maximum(self.regressor.predict(features), 0.0)])


def recency_rule(seed: int) -> TwoPart:
    """The later the last purchase, the likelier the next: logistic in log recency alone; spend: the mean of buyers."""
    recency = Imputer(("recency_days",))
    column = ColumnTransformer([("recency", recency, [FEATURE_NAMES.index("recency_days")])])
    return TwoPart(make_pipeline(column, _log1p(), LogisticRegression()), DummyRegressor(strategy="mean"))


def logistic_regression(seed: int) -> TwoPart:
    """Linear models on standardised logarithms: logistic for the purchase, gamma with a log link for spend."""
    return TwoPart(
        make_pipeline(*_standardised(), LogisticRegression(C=0.1, max_iter=1000)),
        make_pipeline(*_standardised(), GammaRegressor(alpha=0.1, solver="newton-cholesky")),
    )


def gradient_boosting(seed: int) -> TwoPart:
    """Histogram gradient boosting on the features as they are: trees need no scaling and take nulls."""
    settings = {
        "max_iter": 150,
        "learning_rate": 0.03,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 60,
        "l2_regularization": 5.0,
        "early_stopping": False,
        "random_state": seed,
    }
    return TwoPart(
        make_pipeline(UnseenToZero(), HistGradientBoostingClassifier(**settings)),
        make_pipeline(UnseenToZero(), HistGradientBoostingRegressor(loss="gamma", **settings)),
    )


BASELINES: dict[str, Callable[[int], TwoPart]] = {
    "recency_rule": recency_rule,
    "logistic_regression": logistic_regression,
    "gradient_boosting": gradient_boosting,
}


def signed_log1p(values: np.ndarray) -> np.ndarray:
    """log(1 + x), mirrored for what is negative, so that any number has one."""
    return np.sign(values) * np.log1p(np.abs(values))


def _log1p() -> FunctionTransformer:
    return FunctionTransformer(signed_log1p)


def _standardised() -> list[BaseEstimator]:
    return [Imputer(), _log1p(), StandardScaler()]
