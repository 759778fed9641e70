"""Matrix factorisation of customers × products: fits the products' factors, says what they are good for, keeps them.

Fitted on what had arrived by the first training cutoff of D, so that customers' factors as of every cutoff lie in one
space and none has seen its own future. Kept as artifacts of an MLflow run, without pickle. Recommendations are judged
by the purchases of the churn horizon (30 days) after D, which the lake must hold.
"""

import argparse
import logging
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from expectations.commands import command_parser
from ml.home import HomePath

if TYPE_CHECKING:
    from ml.factor_gains import Recall
    from ml.matrix_factors import Factors, FactorSettings

log = logging.getLogger(__name__)

RUN = "factors"


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "factors", __doc__)
    parser.add_argument(
        "--cutoff", type=date.fromisoformat, required=True, metavar="D", help="the test cutoff, YYYY-MM-DD"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first factors and the bootstrap (default: 0)")
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.cohorts import load_parts
    from ml.factor_gains import gain_as_inputs, recommendation_recalls
    from ml.matrix_factors import FactorSettings
    from ml.ready import first_day, require_matured, require_snapshots
    from ml.settings import load_model_settings
    from ml.threads import one_thread

    settings = load_model_settings(args.home)
    protocol = settings.protocol(args.cutoff, first_day(args.home))
    require_matured(args.cutoff, settings.horizons.judged_days, args.home)
    require_snapshots(protocol.cutoffs, args.cutoff, args.home)
    parts = load_parts(protocol, args.home)
    # One thread, as in training: the same sums whatever the machine.
    with one_thread():
        factors = fit(protocol.cutoffs[0], replace(FactorSettings(), seed=args.seed), args.home)
        recalls = recommendation_recalls(factors, args.cutoff, settings.churn_days, args.seed, args.home)
        log.info("recommendations judged; next, boosting with and without factors")
        gain = gain_as_inputs(factors, parts, args.seed, args.home)
    run_id = keep(factors, args.cutoff, recalls, gain, args.home)
    print(report(args.cutoff, settings.churn_days, factors, recalls, gain))
    log.info("kept as run %s", run_id)


def fit(as_of: date, settings: "FactorSettings", home: HomePath = None) -> "Factors":
    from ml.interactions import read_interactions
    from ml.matrix_factors import fit_factors

    seen = read_interactions(as_of, settings.history_days, home)
    log.info(
        "as of %s: %s customers wanted %s products", as_of, f"{len(seen.customer_keys):,}", f"{len(seen.product_ids):,}"
    )
    return fit_factors(seen, as_of, settings)


def keep(
    factors: "Factors", cutoff: date, recalls: "dict[str, Recall]", gain: tuple[float, float, float], home: HomePath
) -> str:
    """Writes the MLflow run: its id."""
    from expectations.version import code_version
    from ml.tracking import initialise, mlflow_for

    metrics = {f"recall_at_10_{name}": found.recall for name, found in recalls.items()}
    for name, found in recalls.items():
        metrics |= dict(zip((f"recall_gain_{name}{end}" for end in ("", "_low", "_high")), found.gain, strict=True))
    metrics |= dict(zip(("auc_gain_as_inputs", "auc_gain_as_inputs_low", "auc_gain_as_inputs_high"), gain, strict=True))
    tags = {"lifestage.cutoff": str(cutoff), "lifestage.model": RUN, "lifestage.code_version": code_version()}
    mlflow = mlflow_for(home)
    with (
        TemporaryDirectory(prefix="lifestage-factors-") as folder,
        mlflow.start_run(experiment_id=initialise(home), run_name=RUN, tags=tags) as started,
    ):
        factors.save(Path(folder))
        mlflow.log_params(asdict(factors.settings) | {"fitted_as_of": factors.fitted_as_of, "cutoff_test": cutoff})
        mlflow.log_metrics(metrics)
        mlflow.log_artifacts(folder, "factors")
    return started.info.run_id


def load_factors(run_id: str, home: HomePath = None) -> "Factors":
    """What a run of this command kept."""
    from ml.matrix_factors import Factors
    from ml.tracking import mlflow_for

    mlflow = mlflow_for(home)
    return Factors.load(Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="factors")))


def report(
    cutoff: date, days: int, factors: "Factors", recalls: "dict[str, Recall]", gain: tuple[float, float, float]
) -> str:
    """The recalls as an aligned table, and the verdict on factors as inputs."""
    lines = [
        f"products' factors as of {factors.fitted_as_of}: {len(factors.product_ids):,} x {factors.settings.factors}",
        f"recall@10 of purchases in the {days} days after {cutoff}, [95 % interval of the gain over popularity]:",
    ]
    for name, found in recalls.items():
        lines.append(
            f"  {name:<16} {found.recall:.4f}  {found.gain[0]:+.4f} [{found.gain[1]:+.4f}, {found.gain[2]:+.4f}]"
        )
    verdict = "they help" if gain[1] > 0 else "no gain shown"
    interval = f"[{gain[1]:+.4f}, {gain[2]:+.4f}]"
    lines.append(f"customers' factors as inputs of gradient boosting: AUC {gain[0]:+.4f} {interval}: {verdict}")
    return "\n".join(lines)
