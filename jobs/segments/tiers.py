"""Value tiers and churn bands: the day's cuts, and who lies above them."""

import math

import numpy as np
import pandas as pd

from jobs.segments.settings import TIERS, DayCuts, SegmentSettings

TOP_LEVEL_QUANTILE = 0.95
"""What stands for the maximum in the four-level rule, whose top level would hold one customer otherwise."""


def day_cuts(customers: pd.DataFrame, settings: SegmentSettings) -> DayCuts:
    """The day's cuts: over eligible customers for value, over all buyers for loyal."""
    buyers = customers[customers["frequency_days"] > 0]
    values = customers.loc[customers["is_eligible"], settings.value_measure].to_numpy()
    return DayCuts(
        *value_cuts(values, settings),
        quantile(buyers["purchase_days_365d"].to_numpy(), settings.loyal_quantile),
        quantile(buyers["purchase_amount_365d"].to_numpy(), settings.loyal_quantile),
    )


def value_cuts(values: np.ndarray, settings: SegmentSettings) -> tuple[float, float, float]:
    """From where on value is top, high, medium; ``values``: of the eligible customers."""
    if settings.value_rule == "fixed":
        return tuple(float(getattr(settings, f"{tier}_value_amount")) for tier in TIERS)
    if settings.value_rule == "four_level":
        return four_levels(values)
    spending = values[values > 0]
    return tuple(quantile(spending, getattr(settings, f"{tier}_value_quantile")) for tier in TIERS)


def four_levels(probabilities: np.ndarray) -> tuple[float, float, float]:
    """The three largest of θ₁ … θ₄: the 95th percentile M in the place of the maximum, the mean m, (M + m) / 2, m / 2.

    Sorted, since with few buyers the mean may lie above M. The mean is of an exact sum, so it has no order of addition.
    """
    if not len(probabilities):
        return 0.0, 0.0, 0.0
    top, mean = quantile(probabilities, TOP_LEVEL_QUANTILE), math.fsum(probabilities) / len(probabilities)
    return tuple(sorted((top, (top + mean) / 2, mean, mean / 2), reverse=True)[:3])


def quantile(values: np.ndarray, share: float) -> float:
    """The smallest value that at least such a share of ``values`` does not exceed; 0 of none.

    Some customer's own value, so that nobody who stands at a cut is lost by a last bit.
    """
    return float(np.quantile(values, share, method="inverted_cdf")) if len(values) else 0.0


def value_tiers(customers: pd.DataFrame, settings: SegmentSettings, cuts: DayCuts) -> np.ndarray:
    """(customers,) tiers: low for all who are not eligible or of whom nothing is expected."""
    value = customers[settings.value_measure]
    rises = customers["is_eligible"] & (value > 0)
    return np.select([rises & (value >= getattr(cuts, f"{tier}_value_from")) for tier in TIERS], TIERS, "low")


def churn_bands(customers: pd.DataFrame, settings: SegmentSettings) -> np.ndarray:
    """(customers,) bands of the churn probability."""
    churn = customers["churn_probability"]
    bands = [churn >= settings.churn_high_from, churn >= settings.churn_medium_from]
    return np.select(bands, ["high", "medium"], "low")
