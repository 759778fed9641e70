"""Trains the behaviour network and its baselines as of a cutoff, an MLflow run each, and registers the network.

Tests on the cutoff, validates on the cutoff 30 days before, trains on those before that; labels must have matured, so
the lake has to reach 30 days beyond the cutoff. The first version ever becomes champion; later ones become challenger,
and `python -m ml promote NAME/VERSION` makes one champion.
"""

import argparse
import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml.commands import ml_parser

if TYPE_CHECKING:
    import numpy as np

    from ml.dataset import Settings, Splits
    from ml.network import Config

log = logging.getLogger(__name__)

NETWORK = "network"
RULE = "recency_rule"
# What decides how a model comes out, besides data and settings: other code, other models.
RECIPE = ("dataset", "network", "loss", "train_network", "baselines", "evaluate", "train")


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


def arg_parser() -> argparse.ArgumentParser:
    parser = ml_parser("train", __doc__)
    parser.add_argument(
        "--cutoff", type=date.fromisoformat, required=True, metavar="D", help="the test cutoff, YYYY-MM-DD"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights, dropout, order and bootstrap (default: 0)")
    parser.add_argument(
        "--reuse", action="store_true", help="do nothing if the same data, settings and code were trained"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from threadpoolctl import threadpool_limits

    from ml.dataset import Settings, load_splits
    from ml.network import Config
    from ml.registry import MODEL_NAME, register

    settings = Settings()
    splits = load_splits(args.cutoff, args.home, settings)
    log.info("data: %s", describe(splits))
    plan = Plan(args.cutoff, replace(Config(), seed=args.seed), settings, splits.digest)
    if args.reuse and (version := trained_version(plan, args.home)):
        print(f"{MODEL_NAME}/{version} was trained on the same data, settings and code: nothing to do")
        return
    # One thread: models this small are fastest so, and sums come out the same whatever the machine.
    with threadpool_limits(limits=1):
        run_id, uri = train_all(plan, splits, args.home)
    version = register(run_id, uri, args.home)
    log.info("registered %s/%d", MODEL_NAME, version)
    print_result(version, args.home)


def train_all(plan: Plan, splits: "Splits", home: str | None) -> tuple[str, str]:
    """Fits and logs the baselines, then the network: its run id and model URI.

    The network comes last: where its run is finished, the others are too.
    """
    from ml.baselines import BASELINES
    from ml.train_network import fit_network

    log_one = RunLog(plan, splits, home)
    for name, build in BASELINES.items():
        started = time.monotonic()
        model = build(plan.config.seed)
        model.fit(splits.train.features, splits.train.is_buyer, splits.train.spend)
        predicted = {part: model.predict(getattr(splits, part).features) for part in ("valid", "test")}
        params = {"classifier": repr(model.classifier), "regressor": repr(model.regressor)}
        log_one(name, model, predicted, params, started)
    started = time.monotonic()
    fitted = fit_network(splits.train, splits.valid, plan.config)
    predicted = {part: fitted.predict(getattr(splits, part).features) for part in ("valid", "test")}
    params = asdict(plan.config) | {"device": fitted.device, "best_epoch": fitted.best_epoch}
    history = {"train_loss": fitted.train_loss, "valid_loss": fitted.valid_loss}
    return log_one(NETWORK, fitted.network, predicted, params, started, history)


class RunLog:
    """Writes one run after the other, the same way for every model; the recency rule, logged first, is the measure."""

    def __init__(self, plan: Plan, splits: "Splits", home: str | None) -> None:
        from ml.version import code_version

        test, valid, *train = map(str, splits.cutoffs)
        self.plan, self.splits, self.home = plan, splits, home
        self.rule: dict[str, np.ndarray] = {}
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
            **{f"examples_{part}": len(getattr(splits, part)) for part in ("train", "valid", "test")},
            **{f"data_{name}": value for name, value in asdict(plan.settings).items()},
            "data_digest": plan.data_digest,
            "code_version": self.tags["lifestage.code_version"],
            "seed": plan.config.seed,
        }

    def __call__(
        self,
        name: str,
        model: object,
        predicted: "dict[str, np.ndarray]",
        params: dict[str, object],
        started: float,
        history: dict[str, list[float]] | None = None,
    ) -> tuple[str, str]:
        from ml.plots import write_plots
        from ml.tracking import Run, log_run, plot_folder

        fit_seconds = time.monotonic() - started
        self.rule = self.rule or {RULE: predicted["test"]}
        metrics = self.metrics(predicted)
        with plot_folder() as plots:
            shown = {name: predicted["test"]} | self.rule
            write_plots(plots, f"{name}, test cutoff {self.plan.cutoff}", self.splits.test, shown)
            tags = self.tags | {"lifestage.model": name}
            run = Run(name, tags, self.params | params, metrics, plots, model, history or {})
            ids = log_run(run, self.home)
        log.info("%-20s %s  fitted in %.1f s", name, summary_of(metrics), fit_seconds)
        return ids

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


def trained_version(plan: Plan, home: str | None) -> int | None:
    """The registered version of an equal training, if every model's run is finished."""
    from ml.baselines import BASELINES
    from ml.registry import version_of_run
    from ml.tracking import runs_of

    runs = runs_of({"lifestage.training_digest": plan.digest}, home)
    if not {NETWORK, *BASELINES} <= runs.keys():
        return None
    return version_of_run(runs[NETWORK].info.run_id, home)


def describe(splits: "Splits") -> str:
    test, valid, *train = splits.cutoffs
    share = splits.test.is_buyer.mean()
    return (
        f"train {len(splits.train):,} examples as of {min(train)} … {max(train)}, "
        f"valid {len(splits.valid):,} as of {valid}, test {len(splits.test):,} as of {test}; "
        f"{share:.1%} of these buy within 30 days"
    )


def summary_of(metrics: dict[str, float]) -> str:
    return (
        f"test AUC {metrics['test_auc']:.4f}  AP {metrics['test_average_precision']:.4f}  "
        f"Brier {metrics['test_brier']:.4f}  Gini {metrics['test_normalised_gini']:.4f}"
    )


def print_result(version: int, home: str | None) -> None:
    from ml.registry import MODEL_NAME, champion

    best = champion(home)
    if best == version:
        print(f"{MODEL_NAME}/{version} is champion")
    else:
        print(f"{MODEL_NAME}/{version} is challenger; champion stays {MODEL_NAME}/{best}. To promote it:")
        print(f"  python -m ml promote {MODEL_NAME}/{version}")
