"""customer_product rows → favourite category and brand."""

from datetime import date
from typing import TYPE_CHECKING

from expectations.behaviour import PURCHASE_WEIGHT
from jobs.behaviour.months import day_literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WINDOW_DAYS = 180
_PLACE_BITS = 31


def preferences(products: "DataFrame", snapshot: date) -> "DataFrame":
    """Rows of the preferences contract from customer_product rows that had arrived by ``snapshot``."""
    from pyspark.sql import functions as F

    now = day_literal(snapshot)
    weight = (F.lit(PURCHASE_WEIGHT) * F.col("purchase_count") + F.col("intent_count")).cast("bigint")
    wanted = products.where(F.datediff(now, F.col("last_event_date")) < WINDOW_DAYS).withColumn("weight", weight)
    both = _favourite(wanted, "category").join(_favourite(wanted, "brand"), "customer_key", "full")
    return both.withColumn("snapshot_date", now)


def _favourite(wanted: "DataFrame", of: str) -> "DataFrame":
    """The ``of`` wanted most, of equals the first by name, and its share.

    Weight and place by name are one integer, whose maximum engines take far faster than that of a structure.
    """
    from pyspark.sql import functions as F

    names, last = _places(wanted, of), F.lit(2**_PLACE_BITS - 1)
    rank = F.shiftleft("weight", _PLACE_BITS) + last - F.col("place")
    chosen = (
        wanted.join(F.broadcast(names), of)
        .groupBy("customer_key", "place")
        .agg(F.sum("weight").alias("weight"))
        .groupBy("customer_key")
        .agg(F.sum("weight").alias("total"), F.max(rank).alias("rank"))
        .withColumn("place", last - F.col("rank").bitwiseAND(last))
    )
    share = F.shiftright("rank", _PLACE_BITS) / F.col("total")
    return chosen.join(F.broadcast(names), "place").select(
        "customer_key", F.col(of).alias(f"favourite_{of}"), share.cast("double").alias(f"favourite_{of}_share")
    )


def _places(wanted: "DataFrame", of: str) -> "DataFrame":
    """Every distinct ``of`` with its place by name, from 0."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    names = wanted.where(F.col(of).isNotNull()).select(of).distinct()
    return names.withColumn("place", (F.row_number().over(Window.partitionBy(F.lit(0)).orderBy(of)) - 1).cast("bigint"))
