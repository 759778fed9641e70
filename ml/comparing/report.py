"""A comparison told: who is champion, the printed table, its rows, and what it was made of."""

from dataclasses import dataclass

import numpy as np

from expectations.version import code_version
from ml.comparing.answers import Answers, Asked, Stage
from ml.comparing.choice import champion_of, validation_score
from ml.comparing.judging import Judge
from ml.comparing.rows import ALL, EVERY_TASK, MEAN, Row
from ml.comparing.store import KIND, Report, data_digest
from ml.comparing.table import NOTES, Numbers, seconds_block, strata_block, task_block
from ml.comparing.tasks import Task, tasks_of
from ml.horizons import Horizons
from ml.models import kind

BOOSTING = "gradient_boosting"


@dataclass(frozen=True)
class Plan:
    """What was asked for. ``shop``: as shown, simulated ones marked. ``note``: on the home's key; empty: none."""

    source: str
    budget: str
    shop: str
    note: str = ""


def reported(plan: Plan, scene: Stage, judge: Judge, asked: Asked) -> Report:
    answers = asked.answers
    champion = champion_of(answers, scene.parts.valid)
    rows = judge.rows(champion) + about_models(plan.source, answers, scene)
    head = f"study {plan.source}, shop {plan.shop}, budget {plan.budget}"
    missing = {"left out": asked.left_out, "failed": asked.failed}
    tail = [f"{what}: {name}: {why}" for what, reasons in missing.items() for name, why in reasons.items()]
    head = [head, f"note: {plan.note}"] if plan.note else [head]
    text = "\n".join([*head, *printed(rows, scene, judge, answers, champion), *tail])
    digest = data_digest(scene.parts, {one.model for one in answers})
    tags = {
        "lifestage.kind": KIND,
        "lifestage.source": plan.source,
        "lifestage.budget": plan.budget,
        "lifestage.champion": champion,
        "lifestage.code_version": code_version(),
        "lifestage.data_digest": digest,
    }
    params = {
        "budget": plan.budget,
        "data_digest": digest,
        "models": " ".join(dict.fromkeys(one.model for one in answers)),
        "cutoffs_train": " ".join(map(str, np.unique(scene.parts.train.inputs.cutoffs))),
        "cutoff_valid": str(scene.parts.valid.inputs.cutoffs[0]),
        "cutoffs_test": " ".join(str(test.inputs.cutoffs[0]) for test in scene.parts.tests),
    }
    settings = {f"{one.model} seed {one.seed}": one.params for one in answers}
    if asked.failed:
        tags["lifestage.failed"] = " ".join(asked.failed)
    return Report(rows, text, champion, tags, params, settings, asked.failed)


def about_models(source: str, answers: list[Answers], scene: Stage) -> list[Row]:
    """Seconds and validation score of each model, means of its seeds."""
    rows = []
    for model in dict.fromkeys(one.model for one in answers):
        mine = [one for one in answers if one.model == model]
        told = {
            "validation_score": [validation_score(one.valid, scene.parts.valid) for one in mine],
            "fit_seconds": [one.fit_seconds for one in mine],
            "predict_seconds": [one.predict_seconds for one in mine],
        }
        place = (source, MEAN, EVERY_TASK, model, ALL)
        rows += [Row(*place, metric, float(np.mean(values))) for metric, values in told.items()]
        rows.append(Row(*place, "seeds", float(len(mine))))
    return rows


def printed(rows: list[Row], scene: Stage, judge: Judge, answers: list[Answers], champion: str) -> list[str]:
    horizons = scene.parts.valid.horizons
    numbers, models = Numbers(rows), list(dict.fromkeys(one.model for one in answers))
    blocks = [task_block(numbers, task, models, champion) for task in tasks_of(horizons)]
    blocks += [
        strata_block(numbers, task, models, champion)
        for task in (Task("churn", horizons.churn_days), *shown_money(horizons))
    ]
    blocks.append(seconds_block(numbers, models, champion))
    lines = [*described(scene), "* champion, by validation"]
    for block in blocks:
        lines += ["", *block] if block else []
    return [*lines, "", *NOTES, "", *sentences(judge, answers, champion, scene)]


def shown_money(horizons: Horizons) -> list[Task]:
    days = horizons.shown_spend_days
    return [Task("spend", days)] if days else []


def sentences(judge: Judge, answers: list[Answers], champion: str, scene: Stage) -> list[str]:
    """Who is champion, and whether the best network beats boosting: plainly, with the interval."""
    horizons, valid = scene.parts.valid.horizons, scene.parts.valid
    tasks = [Task("purchase", horizons.churn_days), *shown_money(horizons)]
    lines = [f"Champion: {champion}, the highest validation score."]
    pairs = [(champion, "logistic_regression")] if champion != "logistic_regression" else []
    # Those that read sequences, but for the stack, which is boosting itself.
    if networks := [one for one in answers if kind(one.model).uses_sequences and one.model != "stack"]:
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


def described(scene: Stage) -> list[str]:
    """What is fitted on, and what is judged on."""
    parts = scene.parts
    train, valid = np.unique(parts.train.inputs.cutoffs), parts.valid.inputs.cutoffs[0]
    tests = ", ".join(str(test.inputs.cutoffs[0]) for test in parts.tests)
    folds = f", in {len(scene.splits)} folds of customers" if len(scene.splits) > 1 else ""
    return [
        f"train {len(parts.train):,} rows as of {train[0]} … {train[-1]}, valid {len(parts.valid):,} as of {valid}",
        f"test {sum(map(len, parts.tests)):,} rows as of {tests}{folds}",
    ]
