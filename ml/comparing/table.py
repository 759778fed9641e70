"""The table as people read it, 120 columns wide: a block a task, a line a model, the champion marked."""

import re
from collections.abc import Iterable

import numpy as np

from ml.comparing.rows import ALL, EVERY_TASK, MEAN, OUTCOME, Row
from ml.comparing.tasks import Task
from ml.examples import STRATA

LABEL_COLUMNS = {
    "auc": "AUC",
    "auc_minus_champion": "− champion",
    "average_precision": "AP",
    "accuracy": "acc",
    "recall": "recall",
    "f1": "F1",
    "brier": "Brier",
    "calibration_error": "ECE",
    "calibration_excess": "excess",
    "top_decile_lift": "lift",
}
SPEND_COLUMNS = {
    "normalised_gini": "Gini",
    "normalised_gini_minus_champion": "− champion",
    "spearman": "rank ρ",
    "decile_mape": "MAPE",
    "total_bias": "bias %",
    "coverage_90": "cover %",
    "top_decile_lift": "lift",
}
WITH_INTERVAL = {
    "auc",
    "auc_minus_champion",
    "normalised_gini",
    "normalised_gini_minus_champion",
    "total_bias",
}
"""Columns with room for their interval; the JSON has every one."""

PERCENT = {"total_bias", "coverage_90"}

LEADING_ZERO = re.compile(r"(?<![0-9.])0\.(?=[0-9]{2})")

SIGNED = {"auc_minus_champion", "normalised_gini_minus_champion", "calibration_excess", "total_bias"}

NOTES = (
    "[…] 95 % interval, customers resampled · AP average precision · acc, recall, F1 at validation's best F1",
    "ECE calibration error over ten bins, excess: above that of a perfectly calibrated model of this size",
    "lift: of the top tenth · Gini: normalised · rank ρ: Spearman · MAPE: over deciles · cover: of the 90 % intervals",
)


class Numbers:
    """Rows by what they are of."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.by_key = {(row.cutoff, row.task, row.model, row.stratum, row.metric): row for row in rows}

    def get(self, task: str, model: str, metric: str, stratum: str = ALL, cutoff: str = MEAN) -> Row | None:
        return self.by_key.get((cutoff, task, model, stratum, metric))

    def value(self, task: str, model: str, metric: str, stratum: str = ALL, cutoff: str = MEAN) -> float:
        found = self.get(task, model, metric, stratum, cutoff)
        return found.value if found else np.nan

    def cutoffs(self, task: str) -> list[str]:
        """Test cutoffs at which the task's window has matured."""
        return sorted({key[0] for key in self.by_key if key[1] == task and key[0] != MEAN})


def task_block(numbers: Numbers, task: Task, models: list[str], champion: str) -> list[str]:
    """Title, heading and one line a model; empty if the task's window matured at no test cutoff."""
    cutoffs = numbers.cutoffs(task.name)
    if not cutoffs:
        return []
    columns = SPEND_COLUMNS if task.is_money else LABEL_COLUMNS
    people = numbers.value(task.name, OUTCOME, "customers")
    mean = numbers.value(task.name, OUTCOME, "mean")
    happened = f"{mean:,.2f} spent a customer" if task.is_money else f"{mean:.1%} do"
    title = f"{task.name}: {people:,.0f} rows at {', '.join(cutoffs)}; {happened}"
    lines = [["", *columns.values()]]
    for model in models:
        marked = f"{'*' if model == champion else ' '} {model}"
        lines.append([marked, *(cell(numbers.get(task.name, model, metric), metric) for metric in columns)])
    return [title, *aligned(lines)]


def strata_block(numbers: Numbers, task: Task, models: list[str], champion: str) -> list[str]:
    """The deciding metric by stratum."""
    if not numbers.cutoffs(task.name):
        return []
    people = [numbers.value(task.name, OUTCOME, "customers", stratum) for stratum in STRATA]
    heading = [f"{stratum} ({n:,.0f} rows)" for stratum, n in zip(STRATA, np.nan_to_num(people), strict=True)]
    lines = [["", *heading]]
    for model in models:
        found = (numbers.get(task.name, model, task.deciding, stratum) for stratum in STRATA)
        marked = f"{'*' if model == champion else ' '} {model}"
        lines.append([marked, *(cell(row, "auc") for row in found)])
    name = "normalised Gini" if task.is_money else "AUC"
    return [f"{name} of {task.name} by stratum", *aligned(lines)]


def seconds_block(numbers: Numbers, models: list[str], champion: str) -> list[str]:
    """Validation score, by which the champion was chosen, and time."""
    lines = [["", "validation score", "fit s", "predict s"]]
    for model in models:
        score, fit, predict = (
            numbers.value(EVERY_TASK, model, metric)
            for metric in ("validation_score", "fit_seconds", "predict_seconds")
        )
        lines.append([f"{'*' if model == champion else ' '} {model}", f"{score:.4f}", f"{fit:.1f}", f"{predict:.1f}"])
    return [
        "validation score (mean of AUC and normalised Gini over what matured in validation) and time",
        *aligned(lines),
    ]


def cell(row: Row | None, metric: str) -> str:
    """A number, with its interval where the column has room for it; no zero before the point: room is short."""
    if row is None or not np.isfinite(row.value):
        return "–"
    factor, sign = (100 if metric in PERCENT else 1), "+" if metric in SIGNED else ""
    digits = 1 if metric in PERCENT else 2 if metric == "top_decile_lift" else 4 if metric in WITH_INTERVAL else 3
    shown = f"{factor * row.value:{sign}.{digits}f}"
    if metric in WITH_INTERVAL and np.isfinite(row.low):
        ends = 1 if metric in PERCENT else 3
        shown += f" [{factor * row.low:{sign}.{ends}f}, {factor * row.high:{sign}.{ends}f}]"
    return LEADING_ZERO.sub(".", shown).replace("-", "−")


def aligned(lines: list[list[str]]) -> list[str]:
    """Columns side by side, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    ]
