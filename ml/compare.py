"""Fits every model on a study's rolling cutoffs and prints one table: who is how good, with 95 % intervals.

The champion is chosen on validation; the tests only tell what came of it. Logged as a run of the shop's experiment.
"""

import argparse
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from expectations.commands import command_parser
from expectations.errors import DataError, SetupError

if TYPE_CHECKING:
    from ml.comparing.answers import Answers, Stage
    from ml.comparing.store import Report
    from ml.comparing.verdicts import Judge, Row

log = logging.getLogger(__name__)

RESAMPLES = {"quick": 300, "full": 1000}
NETWORKS = ("cnn", "lstm", "gru", "transformer", "value_network")
BOOSTING = "gradient_boosting"


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
    from threadpoolctl import threadpool_limits

    from ml.comparing.homes import home_of
    from ml.comparing.store import log_report, write_json
    from ml.protocols import study

    study(args.source)
    home = home_of(args.source, args.home)
    # Sums come out the same whatever the machine's cores.
    with threadpool_limits(limits=1):
        report = compare(args.source, home, args.budget, chosen_models(args.models))
    print(report.text)
    if args.json:
        write_json(report.rows, args.json)
        log.info("%d rows written to %s", len(report.rows), args.json)
    log.info("logged as run %s", log_report(report, home))


def chosen_models(names: str | None) -> list[str]:
    """The models asked for, in the order of MODELS; SetupError for what there is not."""
    from ml.models import MODELS

    wanted = [name.strip() for name in names.split(",")] if names else list(MODELS)
    if strange := [name for name in wanted if name not in MODELS]:
        raise SetupError(f"no model {', '.join(map(repr, strange))}; there are: {', '.join(MODELS)}")
    return [name for name in MODELS if name in wanted]


def compare(source: str, home: Path, budget: str, models: list[str]) -> "Report":
    """Loads, fits, judges; the whole table."""
    from ml.cohorts import load_parts
    from ml.comparing.answers import stage
    from ml.comparing.homes import require_snapshots
    from ml.comparing.verdicts import Judge
    from ml.models import kind
    from ml.protocols import study

    protocol = study(source)
    require_snapshots(protocol, home, any(kind(name).uses_sequences for name in models))
    scene = stage(protocol, load_parts(protocol, home))
    log.info("%s", described(scene))
    judge = Judge(source, scene, RESAMPLES[budget])
    answers, left_out = asked(models, budget, scene, judge)
    return reported(source, budget, scene, judge, answers, left_out)


def asked(models: Iterable[str], budget: str, scene: "Stage", judge: "Judge") -> tuple[list["Answers"], dict[str, str]]:
    """Every model's answers, which ``judge`` has scored; and why some have none."""
    from ml.comparing.answers import ask, seeds_of

    answers, left_out = [], {}
    for name in models:
        try:
            told = [ask(name, seed, budget, scene) for seed in seeds_of(name, budget)]
        except (DataError, SetupError) as error:
            log.warning("%s is left out: %s", name, error)
            left_out[name] = str(error)
            continue
        started = time.monotonic()
        judge.add(told)
        log.info("%-20s judged in %.1f s", name, time.monotonic() - started)
        answers += told
    if not answers:
        raise DataError(f"no model could be fitted: {'; '.join(left_out.values())}")
    return answers, left_out


def reported(
    source: str,
    budget: str,
    scene: "Stage",
    judge: "Judge",
    answers: list["Answers"],
    left_out: dict[str, str],
) -> "Report":
    from expectations.version import code_version
    from ml.comparing.store import KIND, Report, data_digest
    from ml.comparing.verdicts import champion_of

    champion = champion_of(answers, scene.parts.valid)
    rows = judge.rows(champion) + about_models(source, answers, scene)
    text = "\n".join(
        [*printed(rows, scene, judge, answers, champion), *(f"left out: {n}: {w}" for n, w in left_out.items())]
    )
    digest = data_digest(scene.parts)
    tags = {
        "lifestage.kind": KIND,
        "lifestage.source": source,
        "lifestage.budget": budget,
        "lifestage.champion": champion,
        "lifestage.code_version": code_version(),
        "lifestage.data_digest": digest,
    }
    params = {
        "budget": budget,
        "data_digest": digest,
        "models": " ".join(dict.fromkeys(one.model for one in answers)),
        "cutoffs_train": " ".join(map(str, np.unique(scene.parts.train.inputs.cutoffs))),
        "cutoff_valid": str(scene.parts.valid.inputs.cutoffs[0]),
        "cutoffs_test": " ".join(str(test.inputs.cutoffs[0]) for test in scene.parts.tests),
    }
    return Report(rows, text, champion, tags, params)


def about_models(source: str, answers: list["Answers"], scene: "Stage") -> list["Row"]:
    """Seconds and validation score of each model, means of its seeds."""
    from ml.comparing.verdicts import ALL, EVERY_TASK, MEAN, Row, validation_score

    rows = []
    for model in dict.fromkeys(one.model for one in answers):
        mine = [one for one in answers if one.model == model]
        told = {
            "validation_score": [validation_score(one, scene.parts.valid) for one in mine],
            "fit_seconds": [one.fit_seconds for one in mine],
            "predict_seconds": [one.predict_seconds for one in mine],
        }
        place = (source, MEAN, EVERY_TASK, model, ALL)
        rows += [Row(*place, metric, float(np.mean(values))) for metric, values in told.items()]
        rows.append(Row(*place, "seeds", float(len(mine))))
    return rows


def printed(rows: list["Row"], scene: "Stage", judge: "Judge", answers: list["Answers"], champion: str) -> list[str]:
    from ml.comparing.table import NOTES, Numbers, seconds_block, strata_block, task_block
    from ml.comparing.tasks import Task, tasks_of

    horizons = scene.parts.valid.horizons
    numbers, models = Numbers(rows), list(dict.fromkeys(one.model for one in answers))
    blocks = [task_block(numbers, task, models, champion) for task in tasks_of(horizons)]
    first_money = [Task("spend", days) for days in horizons.spend_days[:1]]
    blocks += [
        strata_block(numbers, task, models, champion) for task in (Task("churn", horizons.churn_days), *first_money)
    ]
    blocks.append(seconds_block(numbers, models, champion))
    lines = [described(scene), "* champion, by validation"]
    for block in blocks:
        lines += ["", *block] if block else []
    return [*lines, "", *NOTES, "", *sentences(judge, answers, champion, scene)]


def sentences(judge: "Judge", answers: list["Answers"], champion: str, scene: "Stage") -> list[str]:
    """Who is champion, and whether the best network beats boosting: plainly, with the interval."""
    from ml.comparing.tasks import Task
    from ml.comparing.verdicts import champion_of

    horizons, valid = scene.parts.valid.horizons, scene.parts.valid
    tasks = [Task("purchase", horizons.churn_days), *(Task("spend", days) for days in horizons.spend_days[:1])]
    lines = [f"Champion: {champion}, the highest validation score."]
    pairs = [(champion, "logistic_regression")] if champion != "logistic_regression" else []
    if networks := [one for one in answers if one.model in NETWORKS]:
        pairs.append((champion_of(networks, valid), BOOSTING))
    for ours, theirs in pairs:
        for task in tasks:
            if gap := judge.difference(task, ours, theirs):
                lines.append(sentence(task.name, task.deciding, ours, theirs, gap))
    return lines


def sentence(task: str, metric: str, ours: str, theirs: str, gap: tuple[float, float, float]) -> str:
    shown = "{:+.4f} [{:+.4f}, {:+.4f}]".format(*gap).replace("-", "−")
    verdict = "beats" if gap[1] > 0 else "is beaten by" if gap[2] < 0 else "is not shown to beat"
    name = {"auc": "AUC", "normalised_gini": "normalised Gini"}[metric]
    return f"{task}: {ours} {verdict} {theirs}, {name} {shown}."


def described(scene: "Stage") -> str:
    parts = scene.parts
    train, valid = np.unique(parts.train.inputs.cutoffs), parts.valid.inputs.cutoffs[0]
    tests = ", ".join(str(test.inputs.cutoffs[0]) for test in parts.tests)
    folds = f", {len(scene.splits)} folds of customers" if len(scene.splits) > 1 else ""
    return (
        f"train {len(parts.train):,} rows as of {train[0]} … {train[-1]}, valid {len(parts.valid):,} as of {valid}, "
        f"test {sum(map(len, parts.tests)):,} as of {tests}{folds}"
    )
