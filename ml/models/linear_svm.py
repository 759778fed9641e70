"""A linear support vector machine: the widest margin between those who buy and those who do not."""

from typing import ClassVar

from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC, LinearSVR

from ml.models.parts import of_logarithm, standardised
from ml.models.search import Space
from ml.models.tabular import Tabular


class LinearSvm(Tabular):
    """Its margin becomes a probability by a sigmoid fitted on folds of training; spend: on the logarithm."""

    classifier_space: ClassVar[Space] = {"C": (0.003, 0.0003, 0.001, 0.01, 0.03, 0.1)}
    regressor_space: ClassVar[Space] = {"C": (0.03, 0.001, 0.003, 0.01, 0.1, 0.3)}

    def classifier(self, settings: dict[str, object]) -> BaseEstimator:
        margin = LinearSVC(C=settings["C"], dual=False, random_state=self.seed)
        return make_pipeline(*standardised(), CalibratedClassifierCV(margin, ensemble=False, cv=3))

    def regressor(self, settings: dict[str, object]) -> BaseEstimator:
        loss = {"loss": "squared_epsilon_insensitive", "dual": False}
        return make_pipeline(*standardised(), of_logarithm(LinearSVR(C=settings["C"], random_state=self.seed, **loss)))
