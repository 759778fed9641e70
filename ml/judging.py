"""How good one forecast is on one cutoff, by stable names: purchase within churn_days, spend in the shortest window."""

import numpy as np

from ml.comparing.resamples import Resamples, interval
from ml.examples import STRATA, Examples
from ml.forecast import Forecast
from ml.scoring_rules import auc, best_threshold, label_scores
from ml.spend_rules import spend_scores

OF_PURCHASE = ("auc", "brier", "calibration_error", "buyers_bias")
OF_SPEND = ("normalised_gini", "total_bias", "coverage_90")
"""Metrics that are kept for each stratum, and for each other window that has matured, too."""

LEAST_ROWS = 50
"""A stratum of fewer customers has no metrics."""

RESAMPLES = 200


def threshold_of(valid: Examples, forecast: Forecast) -> float:
    """The probability from which a customer counts as a buyer: the highest F1 on validation."""
    known, days = _known(valid)
    return best_threshold(valid.is_buyer(days)[known], forecast.probability(days)[known])


def measure(examples: Examples, forecast: Forecast, threshold: float) -> dict[str, float]:
    """Every metric of matured rows, then some as ``metric_stratum`` and, of the other windows that have matured, as
    ``metric_60d``; NaN where one has no meaning.

    Of purchase: see ml.scoring_rules, and buyers_bias, the share by which the sum of probabilities exceeds the buyers.
    Of spend: see ml.spend_rules; mean_absolute_error is called spend_mae, its lift spend_top_decile_lift.
    """
    found = _measured(examples, forecast, threshold)
    strata = examples.inputs.stratum
    for stratum in STRATA:
        rows = strata == stratum
        if rows.sum() >= LEAST_ROWS:
            some = _measured(examples.rows(rows), forecast.rows(rows), threshold)
            found |= {f"{name}_{stratum}": some[name] for name in (*OF_PURCHASE, *OF_SPEND) if name in some}
    return found | _other_windows(examples, forecast, threshold)


def auc_interval(examples: Examples, forecast: Forecast, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the AUC of purchase within churn_days, by resampling customers."""
    known, days = _known(examples)
    label, probability = examples.is_buyer(days)[known], forecast.probability(days)[known]
    draws = Resamples.of((examples.inputs.customer_keys[known],), RESAMPLES, seed)
    return interval(draws.replicates(lambda weights: auc(label, probability, weights)))


def _measured(examples: Examples, forecast: Forecast, threshold: float) -> dict[str, float]:
    horizons = examples.horizons
    spend = _of_spend(examples, forecast, min(horizons.spend_days)) if horizons.spend_days else {}
    return _of_purchase(examples, forecast, horizons.churn_days, threshold) | spend


def _other_windows(examples: Examples, forecast: Forecast, threshold: float) -> dict[str, float]:
    horizons, found = examples.horizons, {}
    for days in {*horizons.edges_days} - {horizons.churn_days}:
        told = _of_purchase(examples, forecast, days, threshold) if examples.matured(days).any() else {}
        found |= {f"{name}_{days}d": told[name] for name in OF_PURCHASE if told}
    for days in {*horizons.spend_days} - {min(horizons.spend_days, default=0)}:
        told = _of_spend(examples, forecast, days)
        found |= {f"{name}_{days}d": told[name] for name in OF_SPEND if told}
    return found


def _of_purchase(examples: Examples, forecast: Forecast, days: int, threshold: float) -> dict[str, float]:
    known = examples.matured(days)
    label, probability = examples.is_buyer(days)[known], forecast.probability(days)[known]
    found = label_scores(label, probability, probability >= threshold)
    found["buyers_bias"] = found["total_bias"]
    return {name: float(value) for name, value in found.items()}


def _of_spend(examples: Examples, forecast: Forecast, days: int) -> dict[str, float]:
    known = np.isfinite(examples.spend_within(days))
    spend, some = examples.spend_within(days)[known], forecast.rows(known)
    if not len(spend):
        return {}
    below = some.spend_probability_below(days, spend)
    found = spend_scores(spend, some.expected_spend(days), some.survival(days), below)
    renamed = {"mean_absolute_error": "spend_mae", "top_decile_lift": "spend_top_decile_lift"}
    return {renamed.get(name, name): float(value) for name, value in found.items()}


def _known(examples: Examples) -> tuple[np.ndarray, int]:
    days = examples.horizons.churn_days
    return examples.matured(days), days
