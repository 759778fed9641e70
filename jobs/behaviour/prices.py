"""Price ranks and outliers of events: lines are judged by the months before, flagged, held to bounds, never deleted."""

import math
import sys
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from expectations.events import EVENTS
from expectations.profiles import EVENT_PROFILE, PRICE_BOUNDS
from jobs.behaviour.months import month_of
from jobs.behaviour.outliers import STEP, UNRANKED, WHOLE_SHOP, OutlierSettings, price_bounds, price_marks
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

EDGE = 1e-9
"""Moves every bucket's edge off the prices of four decimals, so that no engine's last bit decides: up to 10 million,
the nearest price lies 60 times farther from an edge than the error of the logarithm."""

_MARKS = "mark_key bigint, " + ", ".join(
    f"{name} decimal(18,4)" for name in ("price_rank", "lower_amount", "upper_amount")
)
"""What ``price_marks`` makes, said, since an empty table tells an engine nothing."""


def mark_events(home: Home, events: "DataFrame", days: Iterable[date]) -> "DataFrame":
    """``with_price_marks`` of the events of ``days``.

    Writes their event_profile first, that of earlier days where it is missing or older than the events, and the
    price_bounds of their months where history or settings changed them.
    """
    days, profile = sorted(days), LakeTable(home, EVENT_PROFILE)
    months = sorted({month_of(day) for day in days})
    ensure_profiles(home, events.sparkSession, [day for month in months for day in _history(home, month)])
    profile.write(price_profile(events), days, recipe())
    bounds = pa.concat_tables([ensure_bounds(home, month) for month in months])
    return with_price_marks(events, price_marks(profile.read_arrow(days), bounds))


@cache
def recipe() -> str:
    """What makes event_profile rows."""
    return recipe_of(EVENT_PROFILE, sys.modules[__name__])


def ensure_profiles(home: Home, spark: "SparkSession", days: Iterable[date]) -> None:
    """Writes event_profile of ``days`` from their events where it is not fresh, so that no order of days matters."""
    if stale := sorted({day for day in days if not _is_profiled(home, day)}):
        rows = price_profile(LakeTable(home, EVENTS).read(spark, stale))
        LakeTable(home, EVENT_PROFILE).write(rows, stale, recipe())


def ensure_bounds(home: Home, month: date) -> pa.Table:
    """The bounds of ``month`` as history and settings make them; the partition is replaced only if it is another."""
    target, made = LakeTable(home, PRICE_BOUNDS), _bounds_now(home, month, _history(home, month))
    if not target.has(month) or not target.read_arrow([month]).equals(made):
        target.write_arrow(month, made)
    return made


def bounds_hold(home: Home, month: date) -> bool:
    """Whether the stored bounds of ``month`` are those that events and settings make now."""
    target, history = LakeTable(home, PRICE_BOUNDS), _history(home, month)
    if not target.has(month) or not all(_is_profiled(home, day) for day in history):
        return False
    return target.read_arrow([month]).equals(_bounds_now(home, month, history))


def _bounds_now(home: Home, month: date, history: list[date]) -> pa.Table:
    return price_bounds(LakeTable(home, EVENT_PROFILE).read_arrow(history), month, _settings(home))


def _history(home: Home, month: date) -> list[date]:
    """The ingested days that the bounds of ``month`` are made from."""
    earliest = month - timedelta(days=_settings(home).history_days)
    return [day for day in LakeTable(home, EVENTS).days() if earliest <= day < month]


def _is_profiled(home: Home, day: date) -> bool:
    return LakeTable(home, EVENT_PROFILE).is_fresh(day, recipe(), [(LakeTable(home, EVENTS), day)])


def _settings(home: Home) -> OutlierSettings:
    return load_settings(home, "outliers", OutlierSettings)


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
