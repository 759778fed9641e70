"""Window sums, lives and demographics → rows of the features contract."""

from datetime import date
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURES
from expectations.features import (
    LONG_WINDOW_SUMS,
    RATIO_WINDOWS_DAYS,
    RATIOS,
    TOPIC_SUMS,
    VELOCITY_WINDOWS_DAYS,
    WINDOW_SUMS,
    WINDOWS_DAYS,
)
from expectations.measures import SKETCHES
from jobs.behaviour.merging import together
from jobs.behaviour.months import day_literal

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_YEAR = WINDOWS_DAYS[-1]


def life(history: "DataFrame", snapshot: date) -> "DataFrame":
    """customer_history rows up to ``snapshot`` → recency, frequency, monetary value, rhythm and orders by window."""
    from pyspark.sql import functions as F

    now, count = day_literal(snapshot), F.size("bought")
    bought = F.coalesce(F.col("purchase_dates"), F.array().cast("array<date>"))

    def nth(position: int, at_least: int) -> "Column":
        return F.when(count >= at_least, F.element_at("bought", position))

    first, last, before = nth(1, 1), nth(-1, 1), nth(-2, 2)
    mean_before = F.when(count >= 3, F.datediff(before, first) / (count - 2)).cast("double")
    mean = F.when(count >= 2, F.datediff(last, first) / (count - 1)).cast("double")
    variance = _squares() / (count - 1) - mean * mean
    named = {
        "tenure_days": F.datediff(now, F.col("first_event_date")).cast("int"),
        "recency_days": F.datediff(now, last).cast("int"),
        "event_recency_days": F.datediff(now, F.col("last_event_date")).cast("int"),
        "first_purchase_date": first,
        "last_purchase_date": last,
        "frequency_days": count.cast("bigint"),
        "order_count": F.coalesce(F.size("order_ids"), F.lit(0)).cast("bigint"),
        "monetary_value": F.when(count > 0, F.col("purchase_amount").cast("double") / count),
        "gap_mean_days": mean,
        "gap_deviation_days": F.when(count >= 3, F.sqrt(F.greatest(variance, F.lit(0.0)))),
        "gap_trend": F.datediff(last, before) / mean_before,
        "gap_last_days": F.datediff(last, before).cast("int"),
        "gap_mean_before_last_days": mean_before,
        **{f"purchase_days_{days}d": _within(now, days) for days in WINDOWS_DAYS},
    }
    return history.withColumn("bought", bought).select(
        "customer_key", *(column.alias(name) for name, column in named.items())
    )


def _within(now: "Column", days: int) -> "Column":
    from pyspark.sql import functions as F

    return F.size(F.filter("bought", lambda day: F.datediff(now, day) < days)).cast("bigint")


def _squares() -> "Column":
    """Sum of the squared gaps between consecutive purchase days."""
    from pyspark.sql import functions as F

    zero = F.lit(0).cast("bigint")
    gaps = F.transform(
        "bought", lambda day, n: F.coalesce(F.datediff(day, F.get(F.col("bought"), n - 1)).cast("bigint"), zero)
    )
    return F.aggregate(gaps, zero, lambda total, gap: total + gap * gap)


def order_windows(rows: "DataFrame") -> "DataFrame":
    """Rows with customer_key, age and order_ids → distinct orders by window: an order counts where it has a line."""
    from pyspark.sql import functions as F

    lines = rows.where(F.size("order_ids") > 0).select("customer_key", "age", F.explode("order_ids").alias("order_id"))
    orders = together(lines).groupBy("customer_key", "order_id").agg(F.min("age").alias("age"))
    counts = [
        F.count(F.when(F.col("age") <= n, 1)).alias(f"order_count_{days}d") for n, days in enumerate(WINDOWS_DAYS)
    ]
    return orders.groupBy("customer_key").agg(*counts)


def window_features() -> dict[str, "Column"]:
    """Feature → column over the names of ``window_sums`` and ``order_windows``."""
    from pyspark.sql import functions as F

    plain = {
        f"{name}_{days}d": F.coalesce(F.col(f"{name}_{days}d"), F.lit(0))
        for names, windows in (
            ((*WINDOW_SUMS, "order_count"), WINDOWS_DAYS),
            ((*LONG_WINDOW_SUMS, "largest_line_amount"), RATIO_WINDOWS_DAYS),
            (TOPIC_SUMS, RATIO_WINDOWS_DAYS),
        )
        for name in names
        for days in windows
    }
    return {**plain, **_long_windows(), **_velocity()}


def _sum(names: tuple[str, ...], days: int) -> "Column":
    from pyspark.sql import functions as F

    return reduce(add, (F.coalesce(F.col(f"{name}_{days}d"), F.lit(0)).cast("double") for name in names))


def _own_events(days: int) -> "Column":
    """Events but campaign contacts."""
    return _sum(("event_count",), days) - _sum(("campaign_count",), days)


def _over(numerator: "Column", denominator: "Column") -> "Column":
    """Null where there is nothing to divide by."""
    from pyspark.sql import functions as F

    return F.when(denominator > 0, numerator / denominator)


def _long_windows() -> dict[str, "Column"]:
    from pyspark.sql import functions as F

    named = {}
    for days in RATIO_WINDOWS_DAYS:
        for ratio in RATIOS:
            named[f"{ratio.name}_{days}d"] = _over(_sum(ratio.numerator, days), _sum(ratio.denominator, days))
        for what in ("product", "category", "brand"):
            named[f"{what}_diversity_{days}d"] = _distinct(what, days)
        moved = _over(_sum(("sentiment_sum",), days), _sum(("text_count",), days))
        named[f"sentiment_mean_{days}d"] = moved - F.lit(1.0)
        named[f"average_order_amount_{days}d"] = _over(_sum(("purchase_amount",), days), _sum(("order_count",), days))
        named[f"weekend_share_{days}d"] = _over(_sum(("weekend_count",), days), _own_events(days))
    return named


def _velocity() -> dict[str, "Column"]:
    def rate(week: "Column", quarter: "Column") -> "Column":
        """A day of the last 7 against a day of the 83 before."""
        return _over(week / 7, (quarter - week) / 83)

    def before(name: str) -> "Column":
        return _sum((name,), _YEAR) - _sum((name,), 7)

    paid = (_sum(("purchase_amount",), days) for days in (7, 90))

    return {
        **{
            f"{what}_diversity_{days}d": _distinct(what, days)
            for days in VELOCITY_WINDOWS_DAYS
            for what in ("device", "payment_method")
        },
        "amount_velocity_7d": rate(*paid),
        "event_velocity_7d": rate(_own_events(7), _own_events(90)),
        "line_surprise_7d": _over(
            _sum(("largest_line_amount",), 7) * before("purchase_count"), before("purchase_amount")
        ),
        "rating_mean_365d": _over(_sum(("rating_sum",), _YEAR), _sum(("rating_count",), _YEAR)),
    }


def _distinct(what: str, days: int) -> "Column":
    """Linear counting: m bits of which V are zero tell of m ln(m / V) distinct values; V at least 1.

    Rounded to whole ones, as counts are: engines' logarithms differ in their last bit.
    """
    from pyspark.sql import functions as F

    words = SKETCHES[what][1]
    bits, ones = 64 * len(words), F.lit(0)
    for word in words:
        ones = ones + F.bit_count(F.coalesce(F.col(f"{word}_{days}d"), F.lit(0).cast("bigint")))
    zeros = F.greatest(F.lit(bits) - ones, F.lit(1)).cast("double")
    return F.round(F.log(F.lit(float(bits)) / zeros) * F.lit(float(bits)))


def customer_features(
    lives: "DataFrame", sums: "DataFrame", orders: "DataFrame", demographics: "DataFrame", snapshot: date
) -> "DataFrame":
    """Rows of the features contract: every customer with a life, one row each."""
    joined = lives.join(sums, "customer_key", "left").join(orders, "customer_key", "left")
    joined = joined.join(demographics, "customer_key", "left")
    named = {"snapshot_date": day_literal(snapshot), **window_features()}
    types = {c.name: c.type for c in FEATURES.columns}
    casts = {"int64": "bigint", "double": "double", "date": "date"}
    return joined.select(
        *(
            (named[name].cast(casts[types[name]]) if name in named else joined[name]).alias(name)
            for name in FEATURES.column_names
        )
    )
