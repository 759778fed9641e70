"""Models that read a customer's events in order, beside the aggregates: convolution, LSTM, GRU, Transformer."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

from safetensors.torch import load_file, save_file

from expectations.behaviour import FEATURE_NAMES
from ml.encoders.network import Config, CustomerNetwork
from ml.encoders.packing import Buckets
from ml.encoders.reader import Reader
from ml.encoders.score import score
from ml.encoders.train import History, Training, fit, reproducible
from ml.encoders.unmatured import Unmatured
from ml.examples import Examples, Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons
from ml.models.search import Space, best

LAYERS = {"cnn": 3, "lstm": 1, "gru": 1, "transformer": 2}
"""A convolution sees far only through several layers; a recurrent layer sees all by itself."""


class Sequence:
    """Keeps to ``ml.models.base.Model``; ``name`` is the encoder's. The embedding is what the heads read.

    space  settings of Config and Training → the values to choose from; the first is the default
    """

    uses_sequences: ClassVar[bool] = True
    space: ClassVar[Space] = {
        "learning_rate": (3e-3, 1.5e-3, 5e-3),
        "dropout": (0.35, 0.2, 0.5),
        "hidden": ((32,), (64, 32)),
        "weight_decay": (1.0, 0.1),
        "pieces": (8, 0),
    }

    def __init__(self, name: str, seed: int = 0, budget: str = "quick") -> None:
        self.name, self.seed, self.budget = name, seed, budget
        self.history: dict[str, list[float]] = {}
        self.settings: dict[str, object] = {}

    def fit(self, train: Examples, valid: Examples) -> None:
        """Settings and the number of epochs are chosen by loss on ``valid``."""
        self.horizons, self.unmatured = train.horizons, Unmatured.of(train)
        text_width = Reader(train.inputs, Buckets()).text_width

        def trial(settings: dict[str, object]) -> tuple[float, tuple[CustomerNetwork, History]]:
            config = Config(**_of(Config, self.described() | {"text_width": text_width} | settings))
            with reproducible(self.seed):
                network = CustomerNetwork(FEATURE_NAMES, self.horizons, config)
                history = fit(network, train, valid, Training(seed=self.seed, **_of(Training, settings)))
            return min(history.valid_loss), (network, history)

        self.settings, (self.network, history) = best(self.space, self.seed, self.budget, trial)
        self.history = {name: values for name, values in asdict(history).items() if isinstance(values, list)}
        self.best_epoch = history.best_epoch

    def described(self) -> dict[str, object]:
        """The settings of Config that make it the model of its name."""
        return {"encoder": self.name, "layers": LAYERS[self.name]}

    def predict(self, inputs: Inputs) -> Forecast:
        scored = score(self.network, inputs)
        forecast = self.unmatured.forecast(self.horizons, inputs, scored.hazard, scored.spend, scored.sigma)
        return replace(forecast, embedding=scored.embedding)

    def params(self) -> dict[str, object]:
        config = asdict(self.network.config)
        config |= {f"buckets.{name}": size for name, size in config.pop("buckets").items()}
        return config | self.settings | {"best_epoch": self.best_epoch}

    def save(self, folder: Path) -> None:
        """model.json says what it is, weights.safetensors holds what was learned."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = ("name", "seed", "budget", "settings", "history", "best_epoch")
        told = {name: getattr(self, name) for name in kept}
        told |= {"horizons": asdict(self.horizons), "unmatured": asdict(self.unmatured)}
        told |= {"features": FEATURE_NAMES, "config": asdict(self.network.config)}
        (folder / "model.json").write_text(json.dumps(told, indent=1) + "\n")
        save_file(self.network.state_dict(), folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Sequence":
        told = json.loads((folder / "model.json").read_text())
        model = cls(told["name"], told["seed"], told["budget"])
        model.history, model.best_epoch = told["history"], told["best_epoch"]
        model.settings = {name: _tuple(value) for name, value in told["settings"].items()}
        model.horizons = Horizons.of(told["horizons"])
        model.unmatured = Unmatured(**{name: tuple(value) for name, value in told["unmatured"].items()})
        config = {name: _tuple(value) for name, value in told["config"].items()}
        config["buckets"] = Buckets(**config["buckets"])
        model.network = CustomerNetwork(tuple(told["features"]), model.horizons, Config(**config)).eval()
        model.network.load_state_dict(load_file(folder / "weights.safetensors"))
        return model


def _of(kind: type, settings: dict[str, object]) -> dict[str, object]:
    """Those of ``settings`` that are fields of ``kind``."""
    return {name: value for name, value in settings.items() if name in kind.__dataclass_fields__}


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
