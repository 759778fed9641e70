"""A model of two scikit-learn estimators: a classifier for the hazard of purchase, a regressor for spend.

A new one says what it reads, which settings there are to choose from, and what is made of a setting.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from ml.examples import Examples, Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons
from ml.models.hazard import Hazard, log_loss
from ml.models.search import Space, best
from ml.models.spend import Spend, gamma_deviance
from ml.skops_io import skops_io

TRUSTED_TYPES = [
    "ml.impute.Imputer",
    "ml.impute.UnseenToZero",
    "ml.models.hazard.Hazard",
    "ml.models.parts.GeometricMean",
    "ml.models.parts.clipped",
    "ml.models.parts.signed_log1p",
    "ml.models.spend.Spend",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]
"""What may be loaded beyond what skops trusts by itself: types of ours, and parts of scikit-learn's models.

Trees point into their own arrays without being checked, so only a home's own models are to be loaded."""

SEARCH_ROWS = 30_000
"""Training rows that a search of settings looks at, at most; what it chose is then fitted on all."""


class Tabular:
    """Keeps to ``ml.models.base.Model``. Subclasses fill in what is below.

    classifier_space, regressor_space  setting → values to choose from; the first is the default
    """

    uses_sequences: ClassVar[bool] = False
    classifier_space: ClassVar[Space] = {}
    regressor_space: ClassVar[Space] = {}

    def __init__(self, name: str, seed: int = 0, budget: str = "quick") -> None:
        self.name, self.seed, self.budget = name, seed, budget
        self.history: dict[str, list[float]] = {}

    def design(self, inputs: Inputs) -> np.ndarray:
        """(rows, columns): what the estimators read of ``inputs``."""
        return inputs.features

    def classifier(self, settings: dict[str, object]) -> BaseEstimator:
        """A fresh classifier of purchase."""
        raise NotImplementedError

    def regressor(self, settings: dict[str, object]) -> BaseEstimator:
        """A fresh regressor of a positive number."""
        raise NotImplementedError

    def fit(self, train: Examples, valid: Examples) -> None:
        """Settings of the classifier are chosen by log loss on ``valid``, those of the regressor by gamma deviance."""
        self.horizons = train.horizons
        few = self._sample(train)
        design, asked, answers = self.design(few.inputs), self.design(valid.inputs), valid

        def hazard_of(settings: dict[str, object], design: np.ndarray, rows: Examples) -> Hazard:
            return Hazard(self.horizons).fit(lambda: self.classifier(settings), design, rows)

        def spend_of(settings: dict[str, object], design: np.ndarray, rows: Examples) -> Spend:
            return Spend(self.horizons).fit(lambda: self.regressor(settings), design, rows)

        def hazard_loss(settings: dict[str, object]) -> tuple[float, Hazard]:
            fitted = hazard_of(settings, design, few)
            return log_loss(fitted.predict(asked), answers), fitted

        self.classifier_settings, self.hazard = best(self.classifier_space, self.seed, self.budget, hazard_loss)
        probability = self._probability(self.hazard.predict(asked))

        def spend_loss(settings: dict[str, object]) -> tuple[float, Spend]:
            fitted = spend_of(settings, design, few)
            guess = fitted.predict(asked, probability, valid.inputs.life["monetary_value"])
            return gamma_deviance(*guess, answers), fitted

        self.regressor_settings, self.spend = best(self.regressor_space, self.seed, self.budget, spend_loss)
        if len(few) < len(train):
            whole = self.design(train.inputs)
            self.hazard = hazard_of(self.classifier_settings, whole, train)
            self.spend = spend_of(self.regressor_settings, whole, train)

    def predict(self, inputs: Inputs) -> Forecast:
        design = self.design(inputs)
        hazard = self.hazard.predict(design)
        mean, sigma = self.spend.predict(design, self._probability(hazard), inputs.life["monetary_value"])
        return Forecast(self.horizons, hazard, mean, sigma)

    def params(self) -> dict[str, object]:
        chosen = {f"classifier.{name}": value for name, value in self.classifier_settings.items()}
        return chosen | {f"regressor.{name}": value for name, value in self.regressor_settings.items()}

    def save(self, folder: Path) -> None:
        """model.json says what it is, estimators.skops holds what was fitted."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = ("name", "seed", "budget", "classifier_settings", "regressor_settings")
        told = {name: getattr(self, name) for name in kept} | {"horizons": vars(self.horizons)}
        (folder / "model.json").write_text(json.dumps(told, indent=2))
        skops_io().dump({"hazard": self.hazard, "spend": self.spend}, folder / "estimators.skops")

    @classmethod
    def load(cls, folder: Path) -> "Tabular":
        told = json.loads((folder / "model.json").read_text())
        model = cls(told["name"], told["seed"], told["budget"])
        model.classifier_settings, model.regressor_settings = told["classifier_settings"], told["regressor_settings"]
        model.horizons = Horizons.of(told["horizons"])
        fitted = skops_io().load(folder / "estimators.skops", trusted=TRUSTED_TYPES)
        model.hazard, model.spend = fitted["hazard"], fitted["spend"]
        return model

    def _sample(self, train: Examples) -> Examples:
        if len(train) <= SEARCH_ROWS:
            return train
        chosen = np.random.default_rng(self.seed).choice(len(train), SEARCH_ROWS, replace=False)
        return train.rows(np.sort(chosen))

    def _probability(self, hazard: np.ndarray) -> Callable[[int], np.ndarray]:
        nothing = np.zeros((len(hazard), len(self.horizons.spend_days)))
        return Forecast(self.horizons, hazard, nothing, nothing).probability
