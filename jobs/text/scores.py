"""What aggregation asks of texts: whether a day has any, and what a customer's texts of a day add up to."""

from datetime import date
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from expectations.events import EVENTS
from expectations.measures import TOPICS
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.text.sentiment import NEGATIVE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

TEXT_MEASURES = ("text_count", "negative_text_count", "sentiment_sum", *(f"{topic}_text_count" for topic in TOPICS))
"""The measures of customer_day that come from texts."""


def has_text(home: Home, day: date) -> bool:
    """Whether an event of the delivery holds a text, by what its files say of themselves: no row is read."""
    return any(_may_hold_text(pq.read_metadata(file)) for file in LakeTable(home, EVENTS).folder(day).glob("*.parquet"))


def _may_hold_text(file: pq.FileMetaData) -> bool:
    names = file.schema.names
    if "text" not in names:  # written before the contract had it; reading says so
        return True
    groups = (file.row_group(n).column(names.index("text")) for n in range(file.num_row_groups))
    return any(
        group.num_values > 0
        and (
            group.statistics is None
            or not group.statistics.has_null_count
            or group.statistics.null_count < group.num_values
        )
        for group in groups
    )


def text_sums(scores: "DataFrame") -> "DataFrame":
    """Rows of text_scores → customer_key, event_date, arrival_date and TEXT_MEASURES, to join to customer-days.

    A sum of sentiments is one of decimals: exact in whatever order it is added up.
    """
    from pyspark.sql import functions as F

    def count(condition: "Column") -> "Column":
        return F.count(F.when(condition, F.lit(1))).cast("bigint")

    scored, sentiment = F.col("sentiment").isNotNull(), F.col("sentiment")
    moved = sentiment.cast("decimal(18,4)") + F.lit(1).cast("decimal(18,4)")
    # Search words name things, and a name is no mood: of neutral searches a quarter would count as negative.
    written = scores.where(F.col("event_type") != "search")
    return written.groupBy("customer_key", "event_date", "arrival_date").agg(
        count(scored).alias("text_count"),
        count(sentiment < NEGATIVE).alias("negative_text_count"),
        F.coalesce(F.sum(moved), F.lit(0)).cast("decimal(18,4)").alias("sentiment_sum"),
        *(count(F.col("topic") == topic).alias(f"{topic}_text_count") for topic in TOPICS),
    )
