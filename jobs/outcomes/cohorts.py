"""Of those who first bought in a month, who buys again in each later month."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_MONTH
from expectations.errors import DataError
from jobs.behaviour.merging import DECIMAL
from jobs.behaviour.months import day_literal, days_of_month, month_of, months_between
from jobs.home import Home
from jobs.lake import LakeTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def cohort_retention(monthly: "DataFrame", day: date) -> "DataFrame":
    """Rows of the cohort_retention contract as of ``day`` from ``monthly_purchases``.

    Every cohort has a row for each calendar month from its own to that of ``day``, also where nobody bought.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    first = F.min("month").over(Window.partitionBy("customer_key"))
    bought = monthly.withColumn("cohort_month", first)
    sizes = bought.where("month = cohort_month").groupBy("cohort_month").agg(F.count("*").alias("customers"))
    counted = bought.groupBy("cohort_month", "month").agg(
        F.count("*").alias("buyers"), F.sum("purchase_amount").alias("purchase_amount")
    )
    first_open = day_literal(month_of(day + timedelta(days=1)))
    months = sizes.select(
        "cohort_month", "customers", F.explode(F.expr(_MONTHS_TO.format(month_of(day)))).alias("month")
    )
    rows = months.join(counted, ["cohort_month", "month"], "left").fillna(0, ["buyers"])
    return rows.select(
        day_literal(day).alias("snapshot_date"),
        "cohort_month",
        F.months_between("month", "cohort_month").cast("int").alias("months_since"),
        (F.col("month") < first_open).alias("is_complete"),
        "customers",
        "buyers",
        (F.col("buyers") / F.col("customers")).alias("retention"),
        F.coalesce("purchase_amount", F.lit(0)).cast("double").alias("purchase_amount"),
    )


_MONTHS_TO = "sequence(cohort_month, date'{}', interval 1 month)"


def monthly_purchases(spark: "SparkSession", home: Home, day: date) -> "DataFrame":
    """customer_key, month (its first day), purchase_amount: one row per customer and calendar month with a purchase.

    Of all that had arrived by ``day``: closed arrival months by their roll-up where there is one, else by days.
    """
    from functools import reduce

    from pyspark.sql import DataFrame
    from pyspark.sql import functions as F

    months, days = LakeTable(home, CUSTOMER_MONTH), LakeTable(home, CUSTOMER_DAY)
    rolled, single = arrivals(months.days(), days.days(), day)
    parts = [months.read(spark, rolled).withColumn("on", F.col("period_start_date"))] if rolled else []
    parts += [days.read(spark, single).withColumn("on", F.col("event_date"))] if single else []
    if not parts:
        raise DataError(f"lake/customer_day holds nothing up to {day}: run `python -m jobs aggregate` first")
    names = ("customer_key", "on", "purchase_amount")
    rows = reduce(DataFrame.unionByName, [part.where("purchase_count > 0").select(*names) for part in parts])
    month = F.trunc("on", "month").alias("month")
    return rows.groupBy("customer_key", month).agg(F.sum("purchase_amount").cast(DECIMAL).alias("purchase_amount"))


def arrivals(rolled: list[date], days: list[date], day: date) -> tuple[list[date], list[date]]:
    """(months, days): partitions of customer_month and customer_day that hold each arrival up to ``day`` once."""
    if not days or days[0] > day:
        return [], []
    closed = [month for month in months_between(days[0], day) if month < month_of(day) and month in set(rolled)]
    within = {one for month in closed for one in days_of_month(month)}
    return closed, [one for one in days if one <= day and one not in within]
