"""Customer-days of an arrival month → one row a customer; months → what is known of a customer since the first day."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from jobs.behaviour.merging import DECIMAL, all_merged, set_union, sorted_set, together

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def month_of(day: date) -> date:
    """The first day of the month."""
    return day.replace(day=1)


def day_literal(day: date) -> "Column":
    from pyspark.sql import functions as F

    return F.lit(day.isoformat()).cast("date")


def months_between(first: date, last: date) -> list[date]:
    """The months from that of ``first`` to that of ``last``, both included, by their first days."""
    months = [month_of(first)]
    while months[-1] < month_of(last):
        months.append(month_of(months[-1] + timedelta(days=31)))
    return [month for month in months if month <= month_of(last)]


def days_of_month(month: date) -> list[date]:
    following = month_of(month + timedelta(days=31))
    return [month + timedelta(days=n) for n in range((following - month).days)]


def customer_months(days: "DataFrame", month: date) -> "DataFrame":
    """Rows of customer_month from the customer_day rows that arrived in ``month``."""
    from pyspark.sql import functions as F

    first = day_literal(month)
    bought = F.when(F.col("purchase_count") > 0, F.col("event_date"))
    return (
        together(days)
        .withColumn("period_start_date", F.when(F.col("event_date") < first, F.col("event_date")).otherwise(first))
        .groupBy("customer_key", "period_start_date")
        .agg(
            F.min("event_date").alias("first_event_date"),
            F.max(_own_date()).alias("last_event_date"),
            *all_merged(),
            set_union("order_ids"),
            sorted_set(F.collect_list(bought)).alias("purchase_dates"),
        )
        .withColumn("arrival_month", first)
    )


def history_rows(days: "DataFrame") -> "DataFrame":
    """customer_day or customer_month rows as rows that ``merged_history`` takes."""
    from pyspark.sql import functions as F

    if "purchase_dates" in days.columns:
        first, last, dates = F.col("first_event_date"), F.col("last_event_date"), F.col("purchase_dates")
    else:
        first, last = F.col("event_date"), _own_date()
        dates = F.when(F.col("purchase_count") > 0, F.array("event_date"))
    return days.select(
        "customer_key",
        first.alias("first_event_date"),
        last.alias("last_event_date"),
        "purchase_amount",
        "order_ids",
        dates.alias("purchase_dates"),
    )


def merged_history(rows: "DataFrame") -> "DataFrame":
    """One row a customer from history rows: the columns of customer_history but its month."""
    from pyspark.sql import functions as F

    return (
        together(rows)
        .groupBy("customer_key")
        .agg(
            F.min("first_event_date").alias("first_event_date"),
            F.max("last_event_date").alias("last_event_date"),
            F.sum("purchase_amount").cast(DECIMAL).alias("purchase_amount"),
            set_union("order_ids"),
            set_union("purchase_dates"),
        )
    )


def _own_date() -> "Column":
    """The event date of a customer_day row that holds more than campaign contacts."""
    from pyspark.sql import functions as F

    return F.when(F.col("event_count") > F.col("campaign_count"), F.col("event_date"))
