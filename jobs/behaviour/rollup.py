"""Closed months in the lake: rolled up once, and again where one of their days was written again."""

from datetime import date
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_HISTORY, CUSTOMER_MONTH
from jobs.behaviour import merging, months
from jobs.behaviour.months import customer_months, day_literal, history_rows, merged_history, month_of
from jobs.behaviour.plan import Plan
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@cache
def recipe() -> str:
    """What makes the rows of months and histories."""
    return recipe_of(CUSTOMER_MONTH, CUSTOMER_HISTORY, merging, months)


def renew(spark: "SparkSession", home: Home, reading: Plan) -> None:
    """Writes every closed month that is missing or older than its days, and the history that ``reading`` needs."""
    if reading.closed is None:
        return
    source, target = LakeTable(home, CUSTOMER_DAY), LakeTable(home, CUSTOMER_MONTH)
    days = {month: list(of_month) for month, of_month in groupby(source.days(), month_of) if month <= reading.closed}
    for month, of_month in days.items():
        if not target.is_fresh(month, recipe(), [(source, day) for day in of_month]):
            rows = customer_months(source.read(spark, of_month), month)
            target.write(rows, [month], recipe(), files=4)
    _renew_history(spark, home, list(days))


def lives(spark: "SparkSession", home: Home, reading: Plan, snapshot: date) -> "DataFrame":
    """One row a customer from the shop's first day to ``snapshot``: the columns of customer_history."""
    days = LakeTable(home, CUSTOMER_DAY)
    since = [day for day in reading.days if day >= month_of(snapshot)]
    rows = history_rows(days.read(spark, since))
    if reading.closed:
        history = LakeTable(home, CUSTOMER_HISTORY).read(spark, [reading.closed])
        rows = rows.unionByName(history.drop("arrival_month"))
    return merged_history(rows)


def _renew_history(spark: "SparkSession", home: Home, closed: list[date]) -> None:
    """The history up to the last of ``closed``, from the newest history that still holds and the months since."""
    history, table = LakeTable(home, CUSTOMER_HISTORY), LakeTable(home, CUSTOMER_MONTH)
    known = _newest_history(home, closed)
    if known == closed[-1]:
        return
    since = [month for month in closed if known is None or month > known]
    rows = history_rows(table.read(spark, since))
    if known:
        rows = rows.unionByName(history.read(spark, [known]).drop("arrival_month"))
    made = merged_history(rows).withColumn("arrival_month", day_literal(closed[-1]))
    history.write(made, [closed[-1]], recipe(), files=4)


def _newest_history(home: Home, closed: list[date]) -> date | None:
    """The last of ``closed`` whose history is younger than all months up to it."""
    history, table = LakeTable(home, CUSTOMER_HISTORY), LakeTable(home, CUSTOMER_MONTH)
    for n in range(len(closed), 0, -1):
        if history.is_fresh(closed[n - 1], recipe(), [(table, month) for month in closed[:n]]):
            return closed[n - 1]
    return None
