"""Learns what a customer's next basket will hold, product and category, and says how well, beside simpler rankings.

Trained on the baskets that followed earlier cutoffs, chosen on a later one, tested on the next baskets after D. The
learned ranking ships where it is shown to beat personal frequency; else personal frequency does. Kept as an MLflow run.
"""

import argparse
import logging
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from expectations.commands import command_parser
from expectations.errors import DataError
from ml.home import HomePath

if TYPE_CHECKING:
    from ml.protocols import Protocol
    from ml.ranking.baskets import Kind
    from ml.ranking.evaluation import Evaluation
    from ml.ranking.ranker import Ranker

log = logging.getLogger(__name__)

JUDGED = {"product": 10, "category": 3}
"""Kind → places of a list that are judged."""


@dataclass(frozen=True)
class Result:
    """A ranker and how it did: on the next baskets after the test cutoffs, and, if asked for, on last orders."""

    kind: "Kind"
    ranker: "Ranker"
    after_cutoffs: "Evaluation"
    last_orders: "Evaluation | None"


def arg_parser() -> argparse.ArgumentParser:
    from ml.protocols import STUDIES

    parser = command_parser("ml", "rank", __doc__)
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--cutoff", type=date.fromisoformat, metavar="D", help="the test cutoff, YYYY-MM-DD")
    when.add_argument("--study", choices=tuple(STUDIES), help="the cutoffs of a public study instead")
    parser.add_argument("--kind", choices=tuple(JUDGED), action="append", help="default: both")
    parser.add_argument(
        "--last-orders",
        action="store_true",
        help="test on each customer's last order in the lake too, as published numbers do",
    )
    parser.add_argument("--seed", type=int, default=0, help="of training rows and the bootstrap (default: 0)")
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.protocols import study
    from ml.ready import first_day, require_matured
    from ml.settings import load_model_settings
    from ml.threads import one_thread

    if args.study:
        protocol = study(args.study)
    else:
        protocol = load_model_settings(args.home).protocol(args.cutoff, first_day(args.home))
    require_matured(protocol.tests[-1], protocol.horizons.churn_days, args.home)
    # One thread, as in training: the same sums whatever the machine.
    with one_thread():
        for kind in args.kind or JUDGED:
            result = learn_and_test(kind, protocol, args.seed, args.last_orders and kind == "product", args.home)
            print(report(result, protocol))
            log.info("kept as run %s", keep(result, protocol, args.home))


def learn_and_test(
    kind: "Kind", protocol: "Protocol", seed: int, with_last_orders: bool, home: HomePath = None
) -> Result:
    """Reads, fits on what came before the tests, tests."""
    from expectations.behaviour import CUSTOMER_PRODUCT
    from ml.home import partition_days
    from ml.ranking.baskets import day_number, read_baskets
    from ml.ranking.evaluation import at_cutoff, summed_up
    from ml.ranking.last_orders import on_last_orders
    from ml.ranking.ranker import Ranker, RankerSettings

    horizon = protocol.horizons.churn_days
    settings = RankerSettings(kind=kind, horizon_days=horizon, judged_at=JUDGED[kind], seed=seed)
    until = date.fromordinal(protocol.tests[-1].toordinal() + horizon)
    if with_last_orders:
        until = max(until, *partition_days(CUSTOMER_PRODUCT, home))
    baskets = read_baskets(kind, until, home)
    valid, tests = day_number(protocol.valid), [day_number(day) for day in protocol.tests]
    train = [day for day in map(day_number, protocol.train) if day + horizon <= valid]
    if not train:
        raise DataError(
            f"no training cutoff's window of {horizon} days ends by the validation cutoff {protocol.valid}: "
            "choose a later cutoff"
        )
    started = time.perf_counter()
    ranker = Ranker.fit(baskets, train, valid, settings)
    log.info("%s: fitted on %d cutoffs in %.0f s", kind, len(train), time.perf_counter() - started)
    after = summed_up([at_cutoff(ranker, baskets, day, settings.judged_at) for day in tests], seed)
    if not with_last_orders:
        return Result(kind, ranker, after, None)
    last = [on_last_orders(ranker, baskets, until, settings.judged_at, home)]
    return Result(kind, ranker, after, summed_up(last, seed))


def keep(result: Result, protocol: "Protocol", home: HomePath = None) -> str:
    """Writes the MLflow run: its id."""
    from expectations.version import code_version
    from ml.tracking import initialise, mlflow_for

    name = f"rank_{result.kind}"
    tags = {"lifestage.cutoff": str(protocol.tests[-1]), "lifestage.model": name}
    tags |= {"lifestage.code_version": code_version()}
    params = asdict(result.ranker.settings) | {"cutoffs_train": " ".join(map(str, protocol.train))}
    params |= {"cutoff_valid": protocol.valid, "cutoffs_test": " ".join(map(str, protocol.tests))}
    params |= {"shipped": shipped(result.ranker), "frequency": result.ranker.frequency}
    mlflow = mlflow_for(home)
    with (
        TemporaryDirectory(prefix="lifestage-rank-") as folder,
        mlflow.start_run(experiment_id=initialise(home), run_name=name, tags=tags) as started,
    ):
        result.ranker.save(Path(folder))
        mlflow.log_params(params)
        mlflow.log_metrics(metrics_of(result))
        mlflow.log_artifacts(folder, "ranker")
        mlflow.log_text(report(result, protocol) + "\n", "ranking.txt")
    return started.info.run_id


def load_ranker(run_id: str, home: HomePath = None) -> "Ranker":
    """What a run of this command kept."""
    from ml.ranking.ranker import Ranker
    from ml.tracking import mlflow_for

    mlflow = mlflow_for(home)
    return Ranker.load(Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="ranker")))


def metrics_of(result: Result) -> dict[str, float]:
    """``test_<metric>_at_<n>_<ranking>`` with ``_low`` and ``_high``, gains likewise; ``last_…`` on last orders."""
    n = JUDGED[result.kind]
    found = {f"valid_recall_at_{n}_{name}": value for name, value in result.ranker.validation.items()}
    for prefix, evaluation in (("test", result.after_cutoffs), ("last", result.last_orders)):
        for row in evaluation.rows if evaluation else ():
            name = f"{prefix}_{row.metric}_at_{n}_{row.ranking}"
            found |= dict(zip((name, f"{name}_low", f"{name}_high"), row.value, strict=True))
            gain = f"{prefix}_{row.metric}_gain_{row.ranking}"
            found |= dict(zip((gain, f"{gain}_low", f"{gain}_high"), row.gain, strict=True))
    return {name: value for name, value in found.items() if value == value}


def report(result: Result, protocol: "Protocol") -> str:
    """The tables, and what ships."""
    from ml.ranking.evaluation import table

    n, settings, ranker = JUDGED[result.kind], result.ranker.settings, result.ranker
    gain = "{:+.4f} [{:+.4f}, {:+.4f}]".format(*ranker.gain)
    lines = [f"next {result.kind}: {shipped(ranker)} ships; on validation ({protocol.valid}) boosting gains {gain}"]
    titles = (
        (
            f"next baskets within {settings.horizon_days} days after {', '.join(map(str, protocol.tests))}, means",
            result.after_cutoffs,
        ),
        ("each customer's last order", result.last_orders),
    )
    for title, found in titles:
        if found:
            customers = ", ".join(f"{count:,}" for count in found.customers)
            lines += [
                f"{title}: {customers} customers; {found.repeat_share:.0%} of a basket was bought before",
                table(found, n),
                f"probability of the first {settings.written}: {found.listed:.4f} foretold, {found.held:.4f} came",
            ]
    return "\n".join(lines)


def shipped(ranker: "Ranker") -> str:
    return "boosting" if ranker.model is not None else f"personal frequency ({ranker.frequency})"
