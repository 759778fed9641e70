"""Fits every model on a study's rolling cutoffs and prints one table: who is how good, with 95 % intervals.

The champion is chosen on validation; the tests only tell what came of it. Logged as a run of the shop's experiment.
A model that fails is told at the end, beside the table of the others; the exit code is then 70.
"""

import argparse
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.commands import command_parser
from expectations.errors import DataError, LifestageError, SetupError

if TYPE_CHECKING:
    from ml.comparing.answers import Answers, Asked, Stage
    from ml.comparing.judging import Judge
    from ml.comparing.store import Report

log = logging.getLogger(__name__)

RESAMPLES = {"quick": 300, "full": 1000}


def arg_parser() -> argparse.ArgumentParser:
    from ml.protocols import STUDIES

    parser = command_parser("ml", "compare", __doc__)
    parser.add_argument("--source", required=True, metavar="STUDY", help=f"one of {', '.join(STUDIES)}")
    parser.add_argument(
        "--budget",
        choices=tuple(RESAMPLES),
        default="quick",
        help="quick (default): one seed, a small search, 300 resamples; full: five seeds for networks, 1,000 resamples",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number as rows to FILE")
    parser.add_argument("--models", metavar="A,B", help="only these (default: all there are)")
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.comparing.homes import home_of
    from ml.comparing.store import log_report, write_json
    from ml.protocols import study
    from ml.threads import one_thread
    from ml.tracking import initialise

    study(args.source)
    home = home_of(args.source, args.home)
    if args.json and not args.json.absolute().parent.is_dir():
        raise SetupError(f"--json {args.json}: there is no folder {args.json.absolute().parent}")
    initialise(home)  # what the table will be logged to answers now, not only after an hour
    # Sums come out the same whatever the machine's cores.
    with one_thread():
        report = compare(args.source, home, args.budget, chosen_models(args.models))
    print(report.text)
    if args.json:
        write_json(report.rows, args.json)
        log.info("%d rows written to %s", len(report.rows), args.json)
    log.info("logged as run %s", log_report(report, home))
    if report.failed:
        raise LifestageError(f"failed: {told(report.failed)}; every other row of the table holds")


def chosen_models(names: str | None) -> list[str]:
    """The models asked for, in the order of MODELS; SetupError for what there is not."""
    from ml.models import MODELS, known

    wanted = known(names.split(",")) if names else MODELS
    return [name for name in MODELS if name in wanted]


def compare(source: str, home: Path, budget: str, models: list[str]) -> "Report":
    """Loads, refuses leaks, fits, judges; the whole table."""
    from ml.cohorts import load_parts
    from ml.comparing.answers import stage
    from ml.comparing.homes import key_note, require_snapshots
    from ml.comparing.judging import Judge
    from ml.comparing.report import Plan, described, reported
    from ml.home import shop_name
    from ml.leaks import require_no_leak
    from ml.models import kind
    from ml.protocols import study

    protocol = study(source)
    require_snapshots(protocol, home, any(kind(name).uses_sequences for name in models))
    scene = stage(protocol, load_parts(protocol, home))
    log.info("%s; %s", *described(scene))
    if note := key_note(home):
        log.warning(note)
    require_no_leak(scene.parts.train)
    judge = Judge(source, scene, RESAMPLES[budget])
    asked = ask_all(models, budget, scene, judge)
    return reported(Plan(source, budget, shop_name(home), key_note(home)), scene, judge, asked)


def ask_all(models: Iterable[str], budget: str, scene: "Stage", judge: "Judge") -> "Asked":
    """Every model's answers, which ``judge`` has scored; one that fails costs the others nothing."""
    from ml.comparing.answers import Asked

    asked = Asked()
    for name in models:
        try:
            asked.answers += scored(name, budget, scene, judge)
        except (DataError, SetupError) as error:
            log.warning("%s is left out: %s", name, error)
            asked.left_out[name] = str(error)
        except Exception as error:
            log.exception("%s failed", name)
            asked.failed[name] = f"{type(error).__name__}: {error}"
    if not asked.answers:
        raise (LifestageError if asked.failed else DataError)(
            f"no model could be fitted: {told(asked.left_out | asked.failed)}"
        )
    return asked


def scored(name: str, budget: str, scene: "Stage", judge: "Judge") -> list["Answers"]:
    """The answers of a model's seeds, scored together or not at all."""
    from ml.comparing.answers import ask, seeds_of

    answers = [ask(name, seed, budget, scene) for seed in seeds_of(name, budget)]
    started = time.monotonic()
    try:
        judge.add(answers)
    except Exception:
        judge.drop(name)
        raise
    log.info("%-20s judged in %.1f s", name, time.monotonic() - started)
    return answers


def told(reasons: dict[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in reasons.items())
