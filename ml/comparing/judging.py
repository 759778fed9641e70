"""What the tests say of every model, with intervals, and beside one another."""

from datetime import date

import numpy as np

from ml.comparing.answers import Answers, Stage
from ml.comparing.choice import thresholds
from ml.comparing.resamples import Resamples, interval
from ml.comparing.rows import ALL, MEAN, OUTCOME, Row
from ml.comparing.tasks import Task, tasks_of
from ml.examples import STRATA, Examples
from ml.forecast import Forecast
from ml.scoring_rules import honest_calibration_errors, label_scores
from ml.spend_rules import spend_scores

DIFFERENCES = (
    "auc",
    "average_precision",
    "f1",
    "brier",
    "calibration_error",
    "normalised_gini",
    "spearman",
    "decile_mape",
    "absolute_total_bias",
)
"""Metrics whose paired differences are told, model − other, in the metric's own sign."""

REFERENCES = ("logistic_regression", "gradient_boosting", "bg_nbd")
"""Models that others are held against besides the champion."""


Key = tuple[str, str, str, str]
"""task, cutoff, stratum, model"""


class Judge:
    """Scores of every model, task, cutoff and stratum, one value a resample; the resamples are the same for all."""

    def __init__(self, source: str, scene: Stage, resamples: int, seed: int = 0) -> None:
        self.source, self.scene = source, scene
        keys = tuple(test.inputs.customer_keys for test in scene.parts.tests)
        self.resamples = Resamples.of(keys, resamples, seed)
        rng = np.random.default_rng(seed + 1)
        self.uniform = [rng.random((len(test), resamples), dtype=np.float32) for test in scene.parts.tests]
        self.scores: dict[Key, dict[str, np.ndarray]] = {}
        self.honest: dict[Key, np.ndarray] = {}
        self.outcomes: dict[Key, tuple[int, float]] = {}

    def add(self, seeds: list[Answers]) -> None:
        """Scores a model: the mean of its seeds."""
        for task in tasks_of(self.scene.parts.valid.horizons):
            for stratum in (ALL, *STRATA):
                judged = [self._cutoff(task, n, stratum, seeds) for n in range(len(self.scene.parts.tests))]
                self._keep_mean(task, stratum, seeds[0].model, [key for key in judged if key])

    def drop(self, model: str) -> None:
        """Forgets what was scored of a model."""
        for kept in (self.scores, self.honest):
            for key in [key for key in kept if key[-1] == model]:
                del kept[key]

    def _cutoff(self, task: Task, n: int, stratum: str, seeds: list[Answers]) -> Key | None:
        """The key under which the scores of one test cutoff were kept; None where nothing has matured."""
        test = self.scene.parts.tests[n]
        mask = task.matured(test) & ((test.inputs.stratum == stratum) | (stratum == ALL))
        chosen, model = np.flatnonzero(mask), seeds[0].model
        if not len(chosen):
            return None
        key = (task.name, str(cutoff_of(test)), stratum, model)
        outcome = task.outcome(test)[chosen]
        self.outcomes[*key[:3], OUTCOME] = len(chosen), float(outcome.mean())
        told = [self._told(task, n, one, chosen) for one in seeds]
        parts: dict[str, list[np.ndarray]] = {}
        for _, weights in self.resamples.chunks(n, chosen):
            for name, values in _mean_scores(task, told, outcome, weights).items():
                parts.setdefault(name, []).append(values)
        self.scores[key] = {name: np.concatenate(values) for name, values in parts.items()}
        if not task.is_money:
            drawn = [honest_calibration_errors(one["predicted"], self.uniform[n][chosen]) for one in told]
            self.honest[key] = np.mean(drawn, axis=0)
        return key

    def _told(self, task: Task, n: int, answers: Answers, chosen: np.ndarray) -> dict[str, np.ndarray]:
        """What a rule wants to know of one fit's forecast for ``chosen`` rows of test part ``n``."""
        forecast: Forecast = answers.tests[n].rows(chosen)
        predicted = task.answer(forecast)
        if task.is_money:
            spend = task.outcome(self.scene.parts.tests[n])[chosen]
            below = forecast.spend_probability_below(task.days, spend)
            return {"predicted": predicted, "silent": forecast.survival(task.days), "below": below}
        border = thresholds(task, answers, self.scene)
        folds = self.scene.tests[n][chosen]
        return {"predicted": predicted, "decided": predicted >= np.array([border[int(fold)] for fold in folds])}

    def _keep_mean(self, task: Task, stratum: str, model: str, keys: list[Key]) -> None:
        """The mean of the cutoffs, resample by resample; of those where a metric has a meaning."""
        if not keys:
            return
        mean = (task.name, MEAN, stratum, model)
        self.scores[mean] = {
            name: _mean_of_known([self.scores[key][name] for key in keys]) for name in self.scores[keys[0]]
        }
        if not task.is_money:
            self.honest[mean] = np.mean([self.honest[key] for key in keys], axis=0)
        told = [self.outcomes[*key[:3], OUTCOME] for key in keys]
        rows = sum(n for n, _ in told)
        self.outcomes[*mean[:3], OUTCOME] = rows, float(np.mean([value for _, value in told]))

    def rows(self, champion: str) -> list[Row]:
        """Everything that was scored, and the paired differences to the champion and to REFERENCES."""
        rows = []
        for (task, cutoff, stratum, _), (people, mean) in self.outcomes.items():
            place = (self.source, cutoff, task, OUTCOME, stratum)
            rows += [Row(*place, "customers", float(people)), Row(*place, "mean", mean)]
        for key, metrics in self.scores.items():
            task, cutoff, stratum, model = key
            place = (self.source, cutoff, task, model, stratum)
            rows += [Row(*place, name, float(values[0]), *interval(values)) for name, values in metrics.items()]
            if key in self.honest:
                rows += _calibration_rows(place, float(metrics["calibration_error"][0]), self.honest[key])
            others = {"champion": champion} | ({name: name for name in REFERENCES} if stratum == ALL else {})
            for shown, other in others.items():
                rows += self._differences(place, metrics, shown, self.scores.get((*key[:3], other)), other == model)
        return rows

    def difference(self, task: Task, ours: str, theirs: str, metric: str = "") -> tuple[float, float, float] | None:
        """Paired difference of two models, mean of the cutoffs, all strata: value, low, high; None if one is absent."""
        scores = [self.scores.get((task.name, MEAN, ALL, model)) for model in (ours, theirs)]
        if None in scores:
            return None
        gap = scores[0][metric or task.deciding] - scores[1][metric or task.deciding]
        return float(gap[0]), *interval(gap)

    def _differences(
        self,
        place: tuple[str, ...],
        ours: dict[str, np.ndarray],
        shown: str,
        theirs: dict[str, np.ndarray] | None,
        is_same: bool,
    ) -> list[Row]:
        if theirs is None or is_same:
            return []
        gaps = {name: ours[name] - theirs[name] for name in DIFFERENCES if name in ours}
        return [
            Row(*place, f"{name}_minus_{shown}", float(values[0]), *interval(values)) for name, values in gaps.items()
        ]


def cutoff_of(examples: Examples) -> date:
    """The cutoff of a part that has one."""
    return examples.inputs.cutoffs[0].astype("datetime64[D]").item()


def _mean_scores(
    task: Task, told: list[dict[str, np.ndarray]], outcome: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    rule = spend_scores if task.is_money else label_scores
    found = [rule(outcome, *one.values(), weights) for one in told]
    means = {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}
    return means | {"absolute_total_bias": np.mean([np.abs(one["total_bias"]) for one in found], axis=0)}


def _mean_of_known(cutoffs: list[np.ndarray]) -> np.ndarray:
    """Mean over the cutoffs whose sample, which comes first, has a value."""
    known = [values for values in cutoffs if np.isfinite(values[0])]
    return np.mean(known, axis=0) if known else cutoffs[0]


def _calibration_rows(place: tuple[str, ...], error: float, honest: np.ndarray) -> list[Row]:
    """What a perfectly calibrated model of this size would show, and by how much the error is above it.

    The excess' interval holds 0 where the error is no surprise to a perfectly calibrated model.
    """
    low, high = (float(end) for end in np.percentile(honest, [2.5, 97.5]))
    mean = float(honest.mean())
    return [
        Row(*place, "calibration_error_if_perfect", mean, low, high),
        Row(*place, "calibration_excess", error - mean, error - high, error - low),
    ]
