"""Gradient boosting on the aggregates, what networks' heads say, and their embedding: the stack.

In folds over customers, or the boosting would learn from heads that had seen its labels: what it is told of a customer
comes from a network that was trained on others alone.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np

from ml.cohorts import customer_folds
from ml.examples import Examples, Inputs
from ml.forecast import Forecast
from ml.models.gradient_boosting import GradientBoosting
from ml.models.sequence import Sequence

FOLDS = 3
RIDGE = 1e-3
"""Of the maps between embeddings, as a share of the embedding's mean square."""


class Stack(GradientBoosting):
    """Keeps to ``ml.models.base.Model``. Once fitted, it is told the mean of what the networks say.

    networks  one a fold, trained without its customers
    maps      one a network: (1 + width, width), from its embedding, after a constant 1, to that of the first
    """

    uses_sequences: ClassVar[bool] = True
    encoder: ClassVar[str] = "gru"

    def __init__(self, name: str, seed: int = 0, budget: str = "quick") -> None:
        super().__init__(name, seed, budget)
        self.networks: list[Sequence] = []
        self.maps: list[np.ndarray] = []
        self._fits = False

    def fit(self, train: Examples, valid: Examples) -> None:
        """Networks of default settings first, then the boosting, whose settings are chosen on ``valid``."""
        fold = folds(train.inputs)
        self.networks = [self._network(train.rows(fold != n), valid, self.seed + n) for n in range(FOLDS)]
        self.maps = self._maps(train.inputs)
        self._fits = True
        super().fit(train, valid)
        self._fits = False
        self.history = self.networks[0].history

    def design(self, inputs: Inputs) -> np.ndarray:
        """(rows, columns): aggregates, heads, embedding; while it is fitted, of the network that has not seen them."""
        told = [
            np.hstack([_heads(forecast), _with_one(forecast.embedding) @ linear])
            for forecast, linear in zip((one.predict(inputs) for one in self.networks), self.maps, strict=True)
        ]
        if self._fits:
            return np.hstack([inputs.features, np.stack(told)[folds(inputs), np.arange(len(inputs))]])
        return np.hstack([inputs.features, np.mean(told, axis=0)])

    def predict(self, inputs: Inputs) -> Forecast:
        design = self.design(inputs)
        hazard = self.hazard.predict(design)
        mean, sigma = self.spend.predict(design, self._probability(hazard), inputs.life["monetary_value"])
        embedding = design[:, -self.maps[0].shape[1] :].astype(np.float32)
        return Forecast(self.horizons, hazard, mean, sigma, embedding)

    def params(self) -> dict[str, object]:
        network = {f"network.{name}": value for name, value in self.networks[0].params().items()}
        return super().params() | network | {"folds": FOLDS}

    def save(self, folder: Path) -> None:
        """As the boosting; network_N/ holds the networks, maps.npy the maps between their embeddings."""
        super().save(folder)
        for n, network in enumerate(self.networks):
            network.save(folder / f"network_{n}")
        np.save(folder / "maps.npy", np.stack(self.maps))

    @classmethod
    def load(cls, folder: Path) -> "Stack":
        model = super().load(folder)
        model.maps = list(np.load(folder / "maps.npy", allow_pickle=False))
        model.networks = [Sequence.load(folder / f"network_{n}") for n in range(len(model.maps))]
        model.history = model.networks[0].history
        return model

    def _network(self, train: Examples, valid: Examples, seed: int) -> Sequence:
        network = Sequence(self.encoder, seed, self.budget)
        network.space = {name: values[:1] for name, values in self.network_space().items()}
        network.fit(train, valid)
        return network

    @staticmethod
    def network_space() -> dict[str, tuple]:
        """Settings of the networks; the first value of each is taken."""
        return Sequence.space

    def _maps(self, inputs: Inputs) -> list[np.ndarray]:
        """Least squares: networks of one make and other seeds say much the same, in spaces of their own."""
        embeddings = [network.predict(inputs).embedding.astype(np.float64) for network in self.networks]
        maps = []
        for embedding in embeddings:
            known = _with_one(embedding)
            ridge = RIDGE * len(known) * np.mean(embedding**2) * np.eye(known.shape[1])
            maps.append(np.linalg.solve(known.T @ known + ridge, known.T @ embeddings[0]))
        return maps


def folds(inputs: Inputs) -> np.ndarray:
    """(rows,) 0 … FOLDS - 1: the same for a customer at every cutoff."""
    return customer_folds(inputs.customer_keys, FOLDS, "stack")


def _heads(forecast: Forecast) -> np.ndarray:
    """(rows, intervals + 3 · windows): hazards, then mean if there is a purchase, its spread, mean of all."""
    expected = [forecast.expected_spend(days) for days in forecast.horizons.spend_days]
    columns = [forecast.hazard, forecast.spend_if_purchase, forecast.spend_sigma, *(one[:, None] for one in expected)]
    return np.hstack(columns)


def _with_one(embedding: np.ndarray) -> np.ndarray:
    return np.hstack([np.ones((len(embedding), 1)), embedding])
