"""Rows of measures → sums over look-back windows, one row a customer.

Rows are first added up by age (how many windows back they lie), then windows are added up from ages: a window holds the
next smaller one, so that each row is added once and not once a window.
"""

from typing import TYPE_CHECKING

from expectations.features import (
    LONG_WINDOW_SUMS,
    RATIO_WINDOWS_DAYS,
    RATIOS,
    TOPIC_SUMS,
    VELOCITY_WINDOWS_DAYS,
    WINDOW_SUMS,
    WINDOWS_DAYS,
)
from expectations.measures import MEASURE, SKETCHES
from jobs.behaviour.merging import merged, together

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_YEAR = WINDOWS_DAYS[-1]


def needed() -> dict[str, tuple[int, ...]]:
    """Measure → windows, in days, over which some feature needs it."""
    windows: dict[str, set[int]] = {}

    def need(names: tuple[str, ...], days: tuple[int, ...]) -> None:
        for name in names:
            windows.setdefault(name, set()).update(days)

    need(WINDOW_SUMS, WINDOWS_DAYS)
    need((*LONG_WINDOW_SUMS, "largest_line_amount", "sentiment_sum", "weekend_count"), RATIO_WINDOWS_DAYS)
    for ratio in RATIOS:
        need((*ratio.numerator, *ratio.denominator), RATIO_WINDOWS_DAYS)
    for what in ("product", "category", "brand"):
        need(SKETCHES[what][1], RATIO_WINDOWS_DAYS)
    for what in ("device", "payment_method"):
        need(SKETCHES[what][1], VELOCITY_WINDOWS_DAYS)
    need(TOPIC_SUMS, RATIO_WINDOWS_DAYS)
    need(("rating_count", "rating_sum"), (_YEAR,))
    need(("largest_line_amount",), (7,))
    return {name: tuple(sorted(days)) for name, days in windows.items()}


def age(days_back: "Column") -> "Column":
    """0 for the smallest window, 1 for the next …; len(WINDOWS_DAYS) beyond all of them."""
    from pyspark.sql import functions as F

    chosen = F.lit(len(WINDOWS_DAYS))
    for n, days in reversed(list(enumerate(WINDOWS_DAYS))):
        chosen = F.when(days_back < days, n).otherwise(chosen)
    return chosen.cast("int")


def by_age(rows: "DataFrame") -> "DataFrame":
    """Rows with customer_key, age and measures → one row per customer and age."""
    return together(rows).groupBy("customer_key", "age").agg(*(merged(MEASURE[name]) for name in needed()))


def window_sums(aged: "DataFrame") -> "DataFrame":
    """``by_age`` rows → one row per customer: <measure>_<days>d for every window that needs it, exact types."""
    from pyspark.sql import functions as F

    columns = []
    for name, windows in needed().items():
        for days in windows:
            inside = F.col("age") <= WINDOWS_DAYS.index(days)
            columns.append(merged(MEASURE[name], inside).alias(f"{name}_{days}d"))
    return aged.groupBy("customer_key").agg(*columns)
