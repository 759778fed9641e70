"""customer_product rows → favourite category and brand."""

from datetime import date
from typing import TYPE_CHECKING

from jobs.behaviour.customers import day_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

WINDOW_DAYS = 180
PURCHASE_WEIGHT = 3
"""A purchase says three times as much of a preference as a cart or a favourite."""


def preferences(products: "DataFrame", snapshot: date) -> "DataFrame":
    """Rows of the preferences contract from customer_product rows that had arrived by ``snapshot``."""
    from pyspark.sql import functions as F

    now = day_of(snapshot)
    known = products.where(F.datediff(now, F.col("last_event_date")) < WINDOW_DAYS)
    weight = (PURCHASE_WEIGHT * F.col("purchase_count") + F.col("intent_count")).alias("weight")
    wanted = known.select("customer_key", "category", "brand", weight)
    both = _favourite(wanted, "category").join(_favourite(wanted, "brand"), "customer_key", "full")
    return both.withColumn("snapshot_date", now)


def _favourite(wanted: "DataFrame", of: str) -> "DataFrame":
    """The ``of`` wanted most, of equals the first by name, and its share."""
    from pyspark.sql import functions as F

    totals = wanted.where(F.col(of).isNotNull()).groupBy("customer_key", of).agg(F.sum("weight").alias("weight"))
    chosen = totals.groupBy("customer_key").agg(
        F.sum("weight").alias("total"),
        F.max("weight").alias("most"),
        F.collect_list(F.struct("weight", of)).alias("all"),
    )
    named = F.array_min(F.transform(F.filter("all", lambda one: one["weight"] == F.col("most")), lambda one: one[of]))
    share: Column = F.col("most") / F.col("total")
    return chosen.select(
        "customer_key", named.alias(f"favourite_{of}"), share.cast("double").alias(f"favourite_{of}_share")
    )
