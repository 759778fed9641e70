"""A forecast as rows of lake/scores and lake/embeddings: probabilities, spend with its interval, churn."""

import numpy as np
import pyarrow as pa

from expectations.segments import PROBABILITY_DAYS, SPEND_DAYS
from ml.forecast import Forecast

DECIMALS = 6
"""Sums run in another order for another batch size; what they change lies far below this digit."""

Columns = dict[str, np.ndarray | pa.Array]


def score_columns(forecast: Forecast) -> Columns:
    """Column of SCORES → (rows,): what follows from the forecast; null where the model does not look so far ahead."""
    rows, horizons = len(forecast), forecast.horizons
    nothing = pa.nulls(rows, pa.float64())
    found: Columns = {}
    for days in PROBABILITY_DAYS:
        known = days <= horizons.longest
        found[f"purchase_probability_{days}d"] = forecast.probability(days).round(DECIMALS) if known else nothing
    # Rounded like the probability, so that the two add up to 1 as printed.
    found["churn_probability_30d"] = (1 - found["purchase_probability_30d"]).round(DECIMALS)
    found["churn_probability"] = (1 - forecast.probability(horizons.churn_days).round(DECIMALS)).round(DECIMALS)
    found["churn_days"] = np.full(rows, horizons.churn_days, dtype=np.int32)
    found["spend_if_purchase_30d"] = forecast.spend_if_purchase[:, horizons.spend_days.index(30)].round(DECIMALS)
    before = 0.0
    for days in SPEND_DAYS:
        names = (f"expected_spend_{days}d", f"expected_spend_{days}d_low", f"expected_spend_{days}d_high")
        known = days in horizons.spend_days
        if known:
            # Spreads are calibrated window by window, yet no end of a longer window's spend lies below a shorter one's.
            before = np.maximum(before, [forecast.expected_spend(days), *forecast.spend_interval(days)])
            found |= dict(zip(names, before.round(DECIMALS), strict=True))
        else:
            found |= dict.fromkeys(names, nothing)
    return found


def lifetime_columns(value: np.ndarray | None, is_extrapolated: bool, rows: int) -> Columns:
    """clv_365d and is_clv_extrapolated, both (rows,); null without a ``value``."""
    if value is None:
        return {"clv_365d": pa.nulls(rows, pa.float64()), "is_clv_extrapolated": pa.nulls(rows, pa.bool_())}
    return {"clv_365d": value.round(DECIMALS), "is_clv_extrapolated": np.full(rows, is_extrapolated)}


def embedding_column(forecast: Forecast) -> pa.Array | None:
    """(rows,) lists of float32; None of models that make no embedding."""
    if forecast.embedding is None:
        return None
    rows, width = forecast.embedding.shape
    flat = pa.array(np.ascontiguousarray(forecast.embedding, dtype=np.float32).ravel())
    return pa.ListArray.from_arrays(np.arange(0, rows * width + 1, width, dtype=np.int32), flat)
