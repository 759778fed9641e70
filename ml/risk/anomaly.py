"""Customers unlike nearly all others in many ways at once: an isolation forest (Liu, Ting, Zhou 2008), unsupervised."""

from dataclasses import dataclass

import numpy as np

from ml.reasons.facts import once_a_family
from ml.reasons.words import PURCHASE, in_words

NAMES = (
    "order_count_30d", "average_order_amount_90d", "largest_line_amount_90d", "items_per_line_90d",
    "amount_velocity_7d", "line_surprise_7d", "outlier_count_90d", "payment_method_diversity_30d",
    "device_diversity_30d", "return_rate_90d", "coupon_rate_90d", "discount_share_90d", "review_count_90d",
    "support_count_90d", "session_count_30d", "event_velocity_7d", "session_depth_90d", "session_length_seconds_90d",
    "bounce_rate_90d", "search_per_session_90d", "cart_per_view_90d", "purchase_per_session_90d", "night_share_90d",
)  # fmt: skip
"""Features it reads: speed, ratios and variety rather than how good a customer is."""
TREES, TREE_ROWS = 100, 2048
"""Each tree is grown on so many customers, drawn at random: those who are odd lie near its root. With the paper's 256
all of the oddest percent look alike."""
TO_DEVIATION = 1.4826
"""Median absolute deviation → standard deviation of a normal distribution; 1.2533 for the mean absolute deviation."""


@dataclass(frozen=True)
class Anomalies:
    """Of customers × NAMES.

    deviations  (rows,): the isolation score in robust deviations above its median
    features    (rows, NAMES): each value's robust z; 0 where missing
    typical     (NAMES,): medians
    """

    deviations: np.ndarray
    features: np.ndarray
    typical: np.ndarray


def find_anomalies(values: np.ndarray, seed: int = 0) -> Anomalies:
    """``values``: (rows, NAMES), NaN where missing, which counts as the median. Equal values, equal anomalies."""
    from sklearn.ensemble import IsolationForest

    typical = np.array(
        [np.median(column[~np.isnan(column)]) if (~np.isnan(column)).any() else 0 for column in values.T]
    )
    filled = np.where(np.isnan(values), typical, values)
    features = np.column_stack([robust_z(column) for column in filled.T])
    if len(values) < 2:
        return Anomalies(np.zeros(len(values)), features, typical)
    forest = IsolationForest(n_estimators=TREES, max_samples=min(TREE_ROWS, len(values)), random_state=seed)
    isolation = -forest.fit(filled).score_samples(filled)
    return Anomalies(robust_z(isolation), features, typical)


def robust_z(values: np.ndarray) -> np.ndarray:
    """(values - median) / deviation, by the median absolute deviation; by the mean one where most values are equal."""
    apart = values - np.median(values) if len(values) else values
    median, mean = (TO_DEVIATION * np.median(np.abs(apart)), 1.2533 * np.abs(apart).mean()) if len(values) else (0, 0)
    scale = median or mean
    return apart / scale if scale else np.zeros(len(values))


def reasons(values: np.ndarray, z: np.ndarray, typical: np.ndarray, n: int = 3) -> list[str]:
    """One customer's features that stand out most, one a family; all (NAMES,)."""
    order = (k for k in np.argsort(-np.abs(z), kind="stable") if abs(z[k]) > 1 and not np.isnan(values[k]))
    chosen = once_a_family(NAMES, values, order)[:n]
    return [in_words(NAMES[place], values[place], PURCHASE, typical[place]) for place in chosen]
