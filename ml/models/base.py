"""What every model is: fitted on examples, asked with inputs, answers with a forecast; kept as plain files."""

from pathlib import Path
from typing import ClassVar, Protocol

from ml.examples import Examples, Inputs
from ml.forecast import Forecast


class Model(Protocol):
    """``budget``: "quick" (small search) or "full"; as many trials for every model that has settings to tune.

    uses_sequences  whether inputs' home must hold lake/sequences for every cutoff
    history         metric → values by epoch, of models trained in epochs; else empty
    """

    uses_sequences: ClassVar[bool]
    name: str
    seed: int
    budget: str
    history: dict[str, list[float]]

    def fit(self, train: Examples, valid: Examples) -> None:
        """Learns from ``train``; settings and stopping are chosen on ``valid``, which is later. Not calibrated yet."""

    def predict(self, inputs: Inputs) -> Forecast:
        """One row an input, in order."""

    def params(self) -> dict[str, object]:
        """The settings that were chosen, as shown beside its metrics."""

    def save(self, folder: Path) -> None:
        """Writes all that ``load`` needs: JSON, NumPy arrays (allow_pickle=False), safetensors or skops; no pickle."""

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """The model as it was saved."""
