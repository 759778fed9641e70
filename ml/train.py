"""Trains models as of a cutoff, an MLflow run each, registers the best, and promotes it if it beats the champion.

Tests on the cutoff, calibrates and chooses on the cutoff one churn horizon before, trains on those before that; labels
of one part end where the next begins. The lake has to reach one churn horizon beyond the cutoff. The best by validation
is the challenger; the first ever is champion. Why a challenger is not promoted is printed and stands in its run.
"""

import argparse
import logging
import time
from datetime import date
from typing import TYPE_CHECKING

from expectations.commands import command_parser
from expectations.errors import DataError, LifestageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml.cohorts import Parts
    from ml.plan import Plan
    from ml.protocols import Protocol
    from ml.runs import Fitted, Logged

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "train", __doc__)
    parser.add_argument(
        "--cutoff", type=date.fromisoformat, required=True, metavar="D", help="the test cutoff, YYYY-MM-DD"
    )
    parser.add_argument(
        "--budget", choices=("quick", "full"), default="quick",
        help="quick (default): one seed, a small search of settings; full: a larger one, five seeds for networks",
    )  # fmt: skip
    parser.add_argument("--models", metavar="A,B", help="only these (default: setting model.models)")
    parser.add_argument("--seed", type=int, default=0, help="of the first fit and of the bootstrap (default: 0)")
    parser.add_argument(
        "--reuse", action=argparse.BooleanOptionalAction, default=False,
        help="do nothing if the same data, settings and code were trained",
    )  # fmt: skip
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.answering import require_answer
    from ml.comparing.store import data_digest
    from ml.leaks import require_no_leak
    from ml.plan import Plan
    from ml.registry import MODEL_NAME
    from ml.settings import load_promotion_settings, trained_models
    from ml.threads import one_thread

    models = trained_models(args.models, args.home)
    require_answer(args.home)  # now, and not only after all the data were read
    protocol, parts = read(args.cutoff, models, args.home)
    log.info("data: %s", describe(parts))
    require_no_leak(parts.train)
    promotion = load_promotion_settings(args.home)
    plan = Plan(protocol, models, args.budget, args.seed, data_digest(parts, models), promotion)
    if args.reuse and (version := trained_version(plan, args.home)):
        print(f"{MODEL_NAME}/{version} was trained on the same data, settings and code: nothing to do")
        return
    # One thread: models this small are fastest so, and sums come out the same whatever the machine.
    with one_thread():
        train(plan, parts, args.home)


def read(cutoff: date, models: tuple[str, ...], home: str | None) -> "tuple[Protocol, Parts]":
    """Protocol and examples; DataError that says what lacks, and the command that brings it."""
    from ml.cohorts import load_parts
    from ml.models import SEQUENCE_MODELS
    from ml.ready import first_day, require_examples, require_matured, require_sequences, require_snapshots
    from ml.settings import load_model_settings

    settings = load_model_settings(home)
    protocol = settings.protocol(cutoff, first_day(home))
    # Before the snapshots: of a cutoff that is too late there is no use in building any.
    require_matured(cutoff, settings.horizons.judged_days, home)
    require_snapshots(protocol.cutoffs, cutoff, home)
    if readers := [name for name in models if name in SEQUENCE_MODELS]:
        require_sequences(protocol.cutoffs, cutoff, readers, home)
    parts = load_parts(protocol, home)
    for name, examples in (("train", parts.train), ("valid", parts.valid), ("test", parts.tests[-1])):
        require_examples(name, examples)
    return protocol, parts


def train(plan: "Plan", parts: "Parts", home: str | None) -> None:
    """Fits and logs every model, registers the best, and judges whether it becomes champion."""
    from ml.answering import store_errors
    from ml.metrics import SHOWN
    from ml.plan import KIND, params_of, tags_of
    from ml.promotion import gain_metrics
    from ml.registry import MODEL_NAME, register
    from ml.runs import RunWriter
    from ml.tracking import log_metrics, open_run, set_tags

    tags = tags_of(plan) | {"lifestage.kind": KIND}
    params = params_of(plan, parts) | {"models": " ".join(plan.models), "seed": plan.seed}
    with store_errors(home), open_run(f"training {plan.cutoff}", tags, params, home) as parent:
        write = RunWriter(plan, parts, parent, home)
        logged = [write(one) for one in fitted_models(plan, parts)]
        best = best_of(logged)
        write.explain(best)
        version = register(best.run_id, best.model_uri, home)
        rivals = {one.run_name: one.fitted.test for one in logged if one is not best}
        gains = gain_metrics("auc", rivals, parts.tests[-1], best.fitted.test, plan.seed)
        log_metrics(best.run_id, gains, home)
        # Trainings stand side by side in the table of runs by the best model of each.
        log_metrics(parent, {name: best.metrics[name] for name in SHOWN if name in best.metrics}, home)
        log.info("best on validation: %s, registered as %s/%d", best.fitted.name, MODEL_NAME, version)
        outcome = decide(version, best, plan, parts, home)
        told = {
            "lifestage.model_version": f"{MODEL_NAME}/{version}",
            "lifestage.best_model": best.run_name,
            "lifestage.promotion": outcome,
        }
        for run_id in (parent, best.run_id):
            set_tags(run_id, told, home)


def fitted_models(plan: "Plan", parts: "Parts") -> "Iterator[Fitted]":
    """One after the other; a model that these data cannot teach is left out, with a warning."""
    from ml.comparing.answers import fresh, seeds_of
    from ml.runs import Fitted

    fitted, last = 0, None
    for name in plan.models:
        for offset in seeds_of(name, plan.budget):
            started, model = time.monotonic(), fresh(name, plan.seed + offset, plan.budget)
            try:
                model.fit(parts.train, parts.valid)
            except LifestageError as error:
                log.warning("%s is left out: %s", name, error)
                last = error
                break
            fit_seconds, started = time.monotonic() - started, time.monotonic()
            valid, test = model.predict(parts.valid.inputs), model.predict(parts.tests[-1].inputs)
            fitted += 1
            yield Fitted(name, plan.seed + offset, model, valid, test, fit_seconds, time.monotonic() - started)
    if not fitted:
        raise DataError(f"no model could be trained, the last because: {last}")


def best_of(logged: "list[Logged]") -> "Logged":
    """The best model on validation, as in a comparison; of its seeds the one in the middle."""
    from ml.comparing.choice import best_model, middle_seed

    seeds: dict[str, list[Logged]] = {}
    for one in logged:
        seeds.setdefault(one.fitted.name, []).append(one)
    scores = {name: [one.metrics["validation_score"] for one in own] for name, own in seeds.items()}
    best = best_model(scores)
    return seeds[best][middle_seed(scores[best])]


def decide(version: int, best: "Logged", plan: "Plan", parts: "Parts", home: str | None) -> str:
    """Judges the version, says so, and moves the aliases: what became of it, for the runs' tags."""
    from ml.champion import verdict_of
    from ml.registry import MODEL_NAME, challenge, champion, promote
    from ml.tracking import log_metrics

    settings, before = plan.promotion, champion(home)
    verdict = verdict_of(parts, best.fitted.test, plan.protocol, settings, plan.seed, home)
    log_metrics(best.run_id, {f"promotion_{name}": value for name, value in verdict.metrics.items()}, home)
    label = f"{MODEL_NAME}/{version} ({best.fitted.name})"
    if verdict.summary:
        print(verdict.summary)
    if verdict.is_promotion and (settings.is_automatic or before is None):
        promote(MODEL_NAME, version, home)
        print(f"{label} is champion" + (f", before it {MODEL_NAME}/{before}" if before else ""))
        return "promoted"
    challenge(version, home)
    if verdict.is_promotion:
        print(f"{label} may replace {MODEL_NAME}/{before}; promotion.is_automatic is off. To promote it:")
    else:
        print(f"{label} is not promoted, champion stays {MODEL_NAME}/{before}:")
        print("\n".join(f"  - {reason}" for reason in verdict.reasons))
        print("To promote it all the same:")
    print(f"  python -m ml promote {MODEL_NAME}/{version}")
    return "; ".join(verdict.reasons) or "may be promoted; promotion.is_automatic is off"


def trained_version(plan: "Plan", home: str | None) -> int | None:
    """The registered version of an equal training that was finished."""
    from ml.plan import KIND
    from ml.tracking import runs_of

    tags = {"lifestage.training_digest": plan.digest, "lifestage.kind": KIND}
    found = [run.data.tags.get("lifestage.model_version") for run in runs_of(tags, home).values()]
    return next((int(name.rpartition("/")[2]) for name in found if name), None)


def describe(parts: "Parts") -> str:
    test, days = parts.tests[-1], parts.train.horizons.churn_days
    train = parts.train.inputs.cutoffs
    return (
        f"train {len(parts.train):,} examples as of {train.min()} … {train.max()}, "
        f"valid {len(parts.valid):,} as of {parts.valid.inputs.cutoffs[0]}, "
        f"test {len(test):,} as of {test.inputs.cutoffs[0]}; "
        f"{test.is_buyer(days).mean():.1%} of these buy within {days} days"
    )
