"""Challenger against champion on the newest window that has matured: who scores customers from now on, and why.

The challenger takes over only where the paired interval of the deciding metric lies above zero and its calibration,
its totals and every stratum stay within the bounds of ``PromotionSettings``. The deciding metric is the Brier score
unless the shop says otherwise: it falls with a better order of customers and with truer probabilities alike, so that a
champion whose probabilities have gone stale is replaced though it still ranks customers as well as anybody.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ml.comparing.resamples import Resamples, interval
from ml.examples import STRATA, Examples
from ml.forecast import Forecast
from ml.scoring_rules import auc, brier, calibration_error, honest_calibration_errors
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
    wrong, bounds = out_of_bounds(examples, challenger, settings, seed)
    reasons += wrong
    for stratum in STRATA:
        rows = examples.inputs.stratum == stratum
        if rows.sum() < settings.min_stratum_rows:
            continue
        own = paired_gain(metric, examples.rows(rows), challenger.rows(rows), champion.rows(rows), seed)
        metrics[f"{metric}_gain_{stratum}"] = own.value
        if own.value < -settings.max_stratum_loss:
            reasons.append(f"customers of stratum {stratum} lose {-own.value:.5f} of {metric}, {own}; at most "
                           f"{settings.max_stratum_loss:g} may be lost")  # fmt: skip
    return Verdict(tuple(reasons), metrics | bounds, f"{metric} gain over the champion {gain}")


def paired_gain(metric: str, examples: Examples, ours: Forecast, theirs: Forecast, seed: int = 0) -> Gain:
    """The gain on the same resampled customers: what makes a sample easy makes it so for both."""
    rule, sign = DECIDING[metric]
    rows = _some(examples)
    examples, ours, theirs = examples.rows(rows), ours.rows(rows), theirs.rows(rows)
    actual, (a, b) = _outcome(metric, examples, ours, theirs)
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
    examples: Examples, forecast: Forecast, settings: PromotionSettings, seed: int = 0
) -> tuple[list[str], dict[str, float]]:
    """What of calibration and totals is beyond its bound, and the numbers."""
    rows, days = _some(examples), examples.horizons.churn_days
    examples, forecast = examples.rows(rows), forecast.rows(rows)
    known = examples.matured(days)
    label, said = examples.is_buyer(days)[known], forecast.probability(days)[known]
    draws = np.random.default_rng(seed).random((len(said), CALIBRATED_DRAWS))
    excess = float(calibration_error(label, said) - honest_calibration_errors(said, draws).mean())
    found = {"calibration_excess": excess, "buyers_bias": _bias(said, label)}
    if examples.horizons.spend_days:
        window = min(examples.horizons.spend_days)
        spend = examples.spend_within(window)
        matured = np.isfinite(spend)
        found["total_bias"] = _bias(forecast.expected_spend(window)[matured], spend[matured])
    wrong = []
    if excess > settings.max_calibration_excess:
        wrong.append(
            f"calibration error {excess:.4f} above that of a calibrated model, at most "
            f"{settings.max_calibration_excess:g}"
        )
    for name, what in (("buyers_bias", "buyers"), ("total_bias", "spend")):
        bias = found.get(name, np.nan)
        if abs(bias) > settings.max_total_bias:
            wrong.append(f"total {what} foretold {bias:+.1%} off, at most ±{settings.max_total_bias:.0%}")
    return wrong, found


def _outcome(metric: str, examples: Examples, *forecasts: Forecast) -> tuple[np.ndarray, list[np.ndarray]]:
    """What came, and what each forecast said, of the deciding metric; all rows of a test cutoff have matured alike."""
    if metric == "normalised_gini":
        days = min(examples.horizons.spend_days)
        return examples.spend_within(days), [forecast.expected_spend(days) for forecast in forecasts]
    days = examples.horizons.churn_days
    return examples.is_buyer(days), [forecast.probability(days) for forecast in forecasts]


def _some(examples: Examples) -> np.ndarray:
    return np.arange(0, len(examples), max(1, -(-len(examples) // MOST_ROWS)))


def _bias(said: np.ndarray, came: np.ndarray) -> float:
    return float(said.sum() / came.sum() - 1) if came.sum() > 0 else np.nan
