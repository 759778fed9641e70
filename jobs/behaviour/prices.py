"""Price ranks and outliers of events: lines are judged by the months before, flagged, held to bounds, never deleted."""

import math
from collections.abc import Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from expectations.profiles import EVENT_PROFILE, PRICE_BOUNDS
from jobs.behaviour.outliers import STEP, UNRANKED, WHOLE_SHOP, OutlierSettings, price_bounds, price_marks
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

EDGE = 1e-9
"""Moves every bucket's edge off the prices of four decimals, so that no engine's last bit decides: up to 10 million,
the nearest price lies 60 times farther from an edge than the error of the logarithm."""

_MARKS = "mark_key bigint, " + ", ".join(
    f"{name} decimal(18,4)" for name in ("price_rank", "lower_amount", "upper_amount")
)
"""What ``price_marks`` makes, said, since an empty table tells an engine nothing."""


def mark_events(home: Home, events: "DataFrame", days: Iterable[date]) -> "DataFrame":
    """``with_price_marks`` of the events of ``days``.

    Writes the days' event_profile first, then the price_bounds of their months where history or settings changed them.
    """
    days = sorted(days)
    profile = LakeTable(home, EVENT_PROFILE)
    profile.write(price_profile(events), days)
    months = sorted({day.replace(day=1) for day in days})
    bounds = pa.concat_tables([ensure_bounds(home, month) for month in months])
    return with_price_marks(events, price_marks(profile.read_arrow(days), bounds))


def ensure_bounds(home: Home, month: date) -> pa.Table:
    """The bounds of ``month`` as history and settings make them; the partition is replaced only if it is another."""
    settings = load_settings(home, "outliers", OutlierSettings)
    profile, target = LakeTable(home, EVENT_PROFILE), LakeTable(home, PRICE_BOUNDS)
    earliest = month - timedelta(days=settings.history_days)
    made = price_bounds(profile.read_arrow(day for day in profile.days() if earliest <= day < month), month, settings)
    if not target.has(month) or not target.read_arrow([month]).equals(made):
        target.write_arrow(month, made)
    return made


def price_profile(events: "DataFrame") -> "DataFrame":
    """Rows of EVENT_PROFILE from rows of events."""
    from pyspark.sql import functions as F

    # Exploded and not a union: the events are read once.
    amount = F.when(F.col("event_type") == "purchase", _bucket("amount"))
    spread = F.explode(
        F.array(
            F.struct(F.lit("price").alias("measured"), _price_bucket().alias("bucket")),
            F.struct(F.lit("amount").alias("measured"), amount.alias("bucket")),
        )
    )
    lines = events.where(F.col("event_type").isin("purchase", "return")).select(
        "arrival_date", _category().alias("category_hash"), spread.alias("spread")
    )
    return (
        lines.select("arrival_date", "category_hash", "spread.measured", "spread.bucket")
        .where(F.col("bucket").isNotNull())
        .groupBy("arrival_date", "measured", "category_hash", "bucket")
        .agg(F.count("*").alias("line_count"))
        .select(EVENT_PROFILE.column_names)
    )


def with_price_marks(events: "DataFrame", marks: pa.Table) -> "DataFrame":
    """``events`` with three columns more. ``marks``: what ``price_marks`` makes of the same events' profile.

    price_rank         decimal(18,4), 0 (cheapest of the category) … 1; null for all but purchase lines, and unknown
    is_outlier         whether a purchase or return line's amount lies beyond the bounds
    winsorised_amount  decimal(18,4), a purchase line's amount held to the bounds; null for other events
    """
    from pyspark.sql import functions as F

    keyed = events.withColumn("mark_key", F.when(F.col("event_type").isin("purchase", "return"), _mark_key()))
    small = F.broadcast(events.sparkSession.createDataFrame(marks, _MARKS))
    joined = keyed.join(small, "mark_key", "left")
    amount, lower, upper = F.col("amount"), F.col("lower_amount"), F.col("upper_amount")
    judged = F.col("lower_amount").isNotNull() & (amount > 0)
    held = F.when(judged & (amount < lower), lower).when(judged & (amount > upper), upper).otherwise(amount)
    is_purchase = F.col("event_type") == "purchase"
    return joined.select(
        *events.columns,
        F.when(is_purchase, F.col("price_rank")).alias("price_rank"),
        F.coalesce(judged & ((amount < lower) | (amount > upper)), F.lit(False)).alias("is_outlier"),
        F.when(is_purchase, held).alias("winsorised_amount"),
    )


def _bucket(column: str) -> "Column":
    from pyspark.sql import functions as F

    value = F.col(column).cast("double")
    position = F.log(value) / F.lit(math.log(STEP)) + F.lit(EDGE)
    return F.when(value > 0, F.floor(position).cast("int")).otherwise(F.lit(UNRANKED))


def _price_bucket() -> "Column":
    from pyspark.sql import functions as F

    return F.when(F.col("event_type") == "purchase", _bucket("price")).otherwise(F.lit(UNRANKED))


def _category() -> "Column":
    from pyspark.sql import functions as F

    return F.coalesce(F.col("category_hash"), F.lit(WHOLE_SHOP))


def _mark_key() -> "Column":
    """Month, category and bucket in one integer, so that the join compares one number; as ``mark_key`` does."""
    from pyspark.sql import functions as F

    month = (F.year("arrival_date") * 12 + F.month("arrival_date")).cast("bigint")
    category, bucket = _category().cast("bigint"), _price_bucket().cast("bigint")
    return (month * F.lit(2**32) + category) * F.lit(2**12) + bucket
