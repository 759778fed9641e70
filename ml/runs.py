"""One training as MLflow runs: what decides its outcome, and how each fitted model is written down."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame

    from ml.dataset import Settings, Splits
    from ml.network import Config

log = logging.getLogger(__name__)

NETWORK = "network"
JUDGED = ("valid", "test")
# What decides how a model comes out, besides data and settings: other code, other models.
RECIPE = ("dataset", "impute", "network", "loss", "train_network", "baselines", "evaluate", "train")


@dataclass(frozen=True)
class Plan:
    """All that decides the outcome of a training."""

    cutoff: date
    config: "Config"
    settings: "Settings"
    data_digest: str

    @property
    def digest(self) -> str:
        """SHA-256 over data, settings and code: a training with an equal digest gives equal models."""
        here = Path(__file__).parent
        code = {name: hashlib.sha256((here / f"{name}.py").read_bytes()).hexdigest() for name in RECIPE}
        said = [str(self.cutoff), asdict(self.config), asdict(self.settings), self.data_digest, code]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """One fitted model. ``predicted``: part → (rows, 2); ``history``: metric → values by epoch."""

    name: str
    model: object
    predicted: "dict[str, np.ndarray]"
    params: dict[str, object]
    history: dict[str, list[float]]
    fit_seconds: float


class RunWriter:
    """Writes one run after the other, the same way for every model; the recency rule, logged first, is drawn in all.

    The network comes last and is compared with all that came before.
    """

    def __init__(self, plan: Plan, splits: "Splits", home: str | None) -> None:
        from expectations.version import code_version

        test, valid, *train = map(str, splits.cutoffs)
        self.plan, self.splits, self.home = plan, splits, home
        self.earlier: dict[str, np.ndarray] = {}
        self.tags = {
            "lifestage.cutoff": test,
            "lifestage.training_digest": plan.digest,
            "lifestage.data_digest": plan.data_digest,
            "lifestage.code_version": code_version(),
        }
        self.params = {
            "cutoff_test": test,
            "cutoff_valid": valid,
            "cutoffs_train": " ".join(train),
            **{f"examples_{part}": len(getattr(splits, part)) for part in ("train", *JUDGED)},
            **{f"data_{name}": value for name, value in asdict(plan.settings).items()},
            "data_digest": plan.data_digest,
            "code_version": self.tags["lifestage.code_version"],
            "seed": plan.config.seed,
        }

    def __call__(self, outcome: Outcome) -> tuple[str, str]:
        """(run id, model URI)."""
        from ml.home import shop_name
        from ml.plots import write_plots
        from ml.tracking import Run, log_run

        predicted, name = outcome.predicted["test"], outcome.name
        metrics = self.metrics(outcome.predicted)
        if name == NETWORK:
            metrics |= self.gains(predicted)
        self.earlier[name] = predicted
        rule = dict([next(iter(self.earlier.items()))])
        with TemporaryDirectory(prefix="lifestage-run-") as folder:
            plots, features = Path(folder) / "plots", Path(folder) / "features"
            plots.mkdir()
            features.mkdir()
            title = f"{shop_name(self.home)}: {name}, test cutoff {self.plan.cutoff}"
            write_plots(plots, title, self.splits.test, {name: predicted} | rule)
            self.write_features(features)
            tags, params = self.tags | {"lifestage.model": name}, self.params | outcome.params
            run = Run(name, tags, params, metrics, plots, features, outcome.model, outcome.history)
            ids = log_run(run, self.home)
        log.info("%-20s %s  fitted in %.1f s", name, summary_of(metrics), outcome.fit_seconds)
        return ids

    @cached_property
    def features(self) -> "DataFrame":
        """The feature report: one for all models, since they are given the same."""
        from ml.feature_report import feature_report

        return feature_report(self.splits)

    def write_features(self, folder: Path) -> None:
        from ml.feature_page import write_feature_report
        from ml.home import shop_name

        title = f"{shop_name(self.home)}, test cutoff {self.plan.cutoff}"
        write_feature_report(folder, title, self.features, (len(self.splits.train), len(self.splits.test)))

    def metrics(self, predicted: "dict[str, np.ndarray]") -> dict[str, float]:
        """Metrics of validation and test by their stable names, with the interval of the test AUC."""
        from ml.evaluate import auc, bootstrap_interval, measure

        found = {
            f"{part}_{name}": value
            for part, values in predicted.items()
            for name, value in measure(getattr(self.splits, part), values).items()
        }
        test = self.splits.test
        low, high = bootstrap_interval(auc, test.is_buyer, predicted["test"][:, 0], self.plan.config.seed)
        return found | {"test_auc_low": low, "test_auc_high": high}

    def gains(self, predicted: "np.ndarray") -> dict[str, float]:
        """By how much ``predicted`` is better than each earlier model on the test customers, with its interval."""
        from ml.evaluate import paired_gain

        found = {}
        for baseline, theirs in self.earlier.items():
            gains = paired_gain(self.splits.test, predicted, theirs, self.plan.config.seed)
            for metric, values in gains.items():
                name = f"test_{metric}_gain_over_{baseline}"
                found |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
        return found


def summary_of(metrics: dict[str, float]) -> str:
    return (
        f"test AUC {metrics['test_auc']:.4f}  AP {metrics['test_average_precision']:.4f}  "
        f"Brier {metrics['test_brier']:.4f}  Gini {metrics['test_normalised_gini']:.4f}"
    )
