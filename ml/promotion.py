"""Challenger against champion on the newest window that has matured: who scores customers from now on, and why.

The challenger takes over only where the paired interval of the deciding metric lies above zero, and calibration and
totals in every matured window, every stratum and every other window stay within the bounds of ``PromotionSettings``.
The deciding metric is the Brier score unless the shop says otherwise: it falls with a better order of customers and
with truer probabilities alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ml.comparing.resamples import Resamples, interval
from ml.comparing.tasks import Task
from ml.examples import STRATA, Examples
from ml.forecast import Forecast
from ml.horizons import Horizons
from ml.scoring_rules import auc, brier, calibration_error, honest_calibration_errors, total_bias
from ml.settings import PromotionSettings
from ml.spend_rules import normalised_gini

RESAMPLES = 500
CALIBRATED_DRAWS = 200
MOST_ROWS = 100_000
"""Customers that are looked at, evenly spaced: more would cost memory and move no decision."""

Rule = Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray | float]

# Metric → (its rule, the sign that makes more of it better).
DECIDING: dict[str, tuple[Rule, int]] = {
    "brier": (brier, -1),
    "auc": (auc, 1),
    "normalised_gini": (normalised_gini, 1),
}


@dataclass(frozen=True)
class Gain:
    """By how much the challenger is better in the deciding metric, whatever its sign; 95 % interval, paired."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        numbers = (f"{number:+.5f}".replace("-", "−") for number in (self.value, self.low, self.high))
        return "{} [{}, {}]".format(*numbers)


@dataclass(frozen=True)
class Verdict:
    """``reasons``: why not, empty if the challenger is to be promoted; ``metrics``: what they follow from."""

    reasons: tuple[str, ...]
    metrics: dict[str, float] = field(default_factory=dict)
    summary: str = ""

    @property
    def is_promotion(self) -> bool:
        return not self.reasons


def judge(
    examples: Examples, challenger: Forecast, champion: Forecast, settings: PromotionSettings, seed: int = 0
) -> Verdict:
    """Whether ``challenger`` replaces ``champion``; both are forecasts of ``examples``, a matured test cutoff."""
    metric = settings.deciding_metric
    gain = paired_gain(metric, examples, challenger, champion, seed)
    metrics = {f"{metric}_gain": gain.value, f"{metric}_gain_low": gain.low, f"{metric}_gain_high": gain.high}
    reasons = [] if gain.low > 0 else [f"no gain in {metric} is shown: {gain}"]
    for wrong, found in (
        out_of_bounds(examples, challenger, settings, seed, champion),
        losses(examples, challenger, champion, settings, seed),
    ):
        reasons += wrong
        metrics |= found
    return Verdict(tuple(reasons), metrics, f"{metric} gain over the champion {gain}{unjudged(examples)}")


def losses(
    examples: Examples, challenger: Forecast, champion: Forecast, settings: PromotionSettings, seed: int = 0
) -> tuple[list[str], dict[str, float]]:
    """Which strata, and which matured windows besides the deciding one, lose more than they may; the gains of all."""
    metric, everybody = settings.deciding_metric, np.full(len(examples), True)
    decided = deciding_task(metric, examples.horizons)
    strata = {name: examples.inputs.stratum == name for name in STRATA}
    parts = [
        (name, f"customers of stratum {name}", decided, rows)
        for name, rows in strata.items()
        if rows.sum() >= settings.min_stratum_rows
    ]
    parts += [
        (f"{task.days}d", f"{task.kind} within {task.days} days", task, everybody)
        for task in matured_tasks(examples)
        if task.kind == decided.kind and task != decided
    ]
    wrong, found = [], {}
    for name, told, task, rows in parts:
        own = paired_gain(metric, examples.rows(rows), challenger.rows(rows), champion.rows(rows), seed, task)
        found[f"{metric}_gain_{name}"] = own.value
        if own.value < -settings.max_stratum_loss:
            wrong.append(f"{told}: loss of {-own.value:.5f} in {metric}, {own}; at most "
                         f"{settings.max_stratum_loss:g} may be lost")  # fmt: skip
    return wrong, found


def paired_gain(
    metric: str, examples: Examples, ours: Forecast, theirs: Forecast, seed: int = 0, task: Task | None = None
) -> Gain:
    """The gain on the same resampled customers: what makes a sample easy makes it so for both.

    task  the window that is judged, matured in every row; None: the one that decides
    """
    rule, sign = DECIDING[metric]
    rows, task = _some(examples), task or deciding_task(metric, examples.horizons)
    examples = examples.rows(rows)
    actual, a, b = task.outcome(examples), *(task.answer(forecast.rows(rows)) for forecast in (ours, theirs))
    draws = Resamples.of((examples.inputs.customer_keys,), RESAMPLES, seed)
    gains = draws.replicates(lambda weights: sign * (rule(actual, a, weights) - rule(actual, b, weights)))
    gains += 0.0  # no negative nought
    return Gain(float(gains[0]), *interval(gains))


def gain_metrics(
    metric: str, rivals: dict[str, Forecast], examples: Examples, ours: Forecast, seed: int
) -> dict[str, float]:
    """``test_METRIC_gain_over_RIVAL`` with its ends ``_low`` and ``_high``, for every rival."""
    found = {}
    for rival, theirs in rivals.items():
        gain, name = paired_gain(metric, examples, ours, theirs, seed), f"test_{metric}_gain_over_{rival}"
        found |= {name: gain.value, f"{name}_low": gain.low, f"{name}_high": gain.high}
    return found


def out_of_bounds(
    examples: Examples,
    forecast: Forecast,
    settings: PromotionSettings,
    seed: int = 0,
    champion: Forecast | None = None,
) -> tuple[list[str], dict[str, float]]:
    """What of calibration and totals is beyond its bound in a window that has matured, and the numbers of each.

    ``champion``: its totals are told beside and change no bound: where both are off alike, the shop has changed.
    """
    some = _some(examples)
    examples, forecast = examples.rows(some), forecast.rows(some)
    champion = None if champion is None else champion.rows(some)
    wrong, found = [], {}
    for task in matured_tasks(examples):
        known, window = task.matured(examples), f"within {task.days} days"
        came, said = task.outcome(examples)[known], task.answer(forecast)[known]
        if not task.is_money:
            found[f"calibration_excess_{task.days}d"] = excess = _excess(came, said, seed)
            if excess > settings.max_calibration_excess:
                wrong.append(f"purchase {window}: calibration error {excess:.4f} above that of a calibrated model, "
                             f"at most {settings.max_calibration_excess:g}")  # fmt: skip
        name, what = ("total_bias", "spend") if task.is_money else ("buyers_bias", "buyers")
        found[f"{name}_{task.days}d"] = bias = float(total_bias(came, said))
        beside = ""
        if champion is not None:
            theirs = float(total_bias(came, task.answer(champion)[known]))
            found[f"champion_{name}_{task.days}d"], beside = theirs, f" (the champion: {theirs:+.1%})"
        if abs(bias) > settings.max_total_bias:
            most = f"at most ±{settings.max_total_bias:.0%}"
            wrong.append(f"total {what} {window} foretold {bias:+.1%} off{beside}, {most}")
    return wrong, found


def deciding_task(metric: str, horizons: Horizons) -> Task:
    """The window in which a champion has to be beaten: that of churn, or the shortest of spend."""
    if metric == "normalised_gini":
        return Task("spend", min(horizons.spend_days))
    return Task("purchase", horizons.churn_days)


def matured_tasks(examples: Examples) -> list[Task]:
    """Every window of purchase and spend whose outcome is known; all rows of a test cutoff have matured alike."""
    return [task for task in _windows(examples.horizons) if task.matured(examples).any()]


def unjudged(examples: Examples) -> str:
    """The windows whose outcome is not known yet, for a person; empty if there is none."""
    matured = matured_tasks(examples)
    days = sorted({task.days for task in _windows(examples.horizons) if task not in matured})
    return f"; not judged, for they have not matured: windows of {', '.join(map(str, days))} days" if days else ""


def _windows(horizons: Horizons) -> list[Task]:
    purchase = sorted({*horizons.edges_days, horizons.churn_days})
    return [*(Task("purchase", days) for days in purchase), *(Task("spend", days) for days in horizons.spend_days)]


def _excess(label: np.ndarray, said: np.ndarray, seed: int) -> float:
    """Calibration error above what a perfectly calibrated model of this size shows on average."""
    draws = np.random.default_rng(seed).random((len(said), CALIBRATED_DRAWS))
    return float(calibration_error(label, said) - honest_calibration_errors(said, draws).mean())


def _some(examples: Examples) -> np.ndarray:
    return np.arange(0, len(examples), max(1, -(-len(examples) // MOST_ROWS)))
