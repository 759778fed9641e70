"""Trains the behaviour network and its baselines as of a cutoff, an MLflow run each, and registers the network.

Tests on the cutoff, validates on the cutoff 30 days before, trains on those before that; labels must have matured, so
the lake has to reach 30 days beyond the cutoff. The first version ever becomes champion; later ones become challenger,
and `python -m ml promote NAME/VERSION` makes one champion.
"""

import argparse
import logging
import time
from dataclasses import asdict, replace
from datetime import date
from typing import TYPE_CHECKING

from expectations.commands import command_parser
from ml.runs import JUDGED, NETWORK, Outcome, Plan, RunWriter

if TYPE_CHECKING:
    from ml.dataset import Splits

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "train", __doc__)
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
    from ml.registry import MODEL_NAME, crown_first, register

    settings = Settings()
    splits = load_splits(args.cutoff, args.home, settings)
    log.info("data: %s", describe(splits))
    plan = Plan(args.cutoff, replace(Config(), seed=args.seed), settings, splits.digest)
    if args.reuse and (version := trained_version(plan, args.home)):
        crown_first(version, args.home)
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

    write = RunWriter(plan, splits, home)
    for name in BASELINES:
        write(fit_baseline(name, plan, splits))
    return write(fit_behaviour(plan, splits))


def fit_baseline(name: str, plan: Plan, splits: "Splits") -> Outcome:
    from ml.baselines import BASELINES

    started = time.monotonic()
    model = BASELINES[name](plan.config.seed)
    model.fit(splits.train.features, splits.train.is_buyer, splits.train.spend)
    predicted = {part: model.predict(getattr(splits, part).features) for part in JUDGED}
    params = {"classifier": repr(model.classifier), "regressor": repr(model.regressor)}
    return Outcome(name, model, predicted, params, {}, time.monotonic() - started)


def fit_behaviour(plan: Plan, splits: "Splits") -> Outcome:
    from ml.train_network import fit_network

    started = time.monotonic()
    fitted = fit_network(splits.train, splits.valid, plan.config)
    predicted = {part: fitted.predict(getattr(splits, part).features) for part in JUDGED}
    params = asdict(plan.config) | {"device": fitted.device, "best_epoch": fitted.best_epoch}
    history = {"train_loss": fitted.train_loss, "valid_loss": fitted.valid_loss}
    return Outcome(NETWORK, fitted.network, predicted, params, history, time.monotonic() - started)


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


def print_result(version: int, home: str | None) -> None:
    from ml.registry import MODEL_NAME, champion

    best = champion(home)
    if best == version:
        print(f"{MODEL_NAME}/{version} is champion")
    else:
        print(f"{MODEL_NAME}/{version} is challenger; champion stays {MODEL_NAME}/{best}. To promote it:")
        print(f"  python -m ml promote {MODEL_NAME}/{version}")
