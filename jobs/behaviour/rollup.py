"""Closed months in the lake: rolled up once, and again where one of their days was written again."""

from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_HISTORY, CUSTOMER_MONTH
from jobs.behaviour import merging, months
from jobs.behaviour.months import customer_months, days_of_month, history_rows, merged_history, month_of, months_between
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
    first = LakeTable(home, CUSTOMER_DAY).days()[0]
    for month in months_between(first, reading.closed):
        if not _month_is_fresh(home, month):
            _roll_up(spark, home, month)
    _renew_history(spark, home, months_between(first, reading.closed))


def lives(spark: "SparkSession", home: Home, reading: Plan, snapshot: date) -> "DataFrame":
    """One row a customer from the shop's first day to ``snapshot``: the columns of customer_history."""
    days = LakeTable(home, CUSTOMER_DAY)
    since = [day for day in reading.days if day >= month_of(snapshot)]
    rows = history_rows(days.read(spark, since))
    if reading.closed:
        history = LakeTable(home, CUSTOMER_HISTORY).read(spark, [reading.closed])
        rows = rows.unionByName(history.drop("arrival_month"))
    return merged_history(rows)


def _days(home: Home, month: date) -> list[date]:
    wanted = set(days_of_month(month))
    return [day for day in LakeTable(home, CUSTOMER_DAY).days() if day in wanted]


def _month_is_fresh(home: Home, month: date) -> bool:
    inputs = [(LakeTable(home, CUSTOMER_DAY), day) for day in _days(home, month)]
    return LakeTable(home, CUSTOMER_MONTH).is_fresh(month, recipe(), inputs)


def _roll_up(spark: "SparkSession", home: Home, month: date) -> None:
    days = LakeTable(home, CUSTOMER_DAY).read(spark, _days(home, month))
    LakeTable(home, CUSTOMER_MONTH).write(customer_months(days, month), [month], recipe(), files=4)


def _renew_history(spark: "SparkSession", home: Home, closed: list[date]) -> None:
    """The history up to the last of ``closed``, from the newest history that still holds and the months since."""
    from pyspark.sql import functions as F

    history, table = LakeTable(home, CUSTOMER_HISTORY), LakeTable(home, CUSTOMER_MONTH)
    known = _newest_history(home, closed)
    if known == closed[-1]:
        return
    since = [month for month in closed if known is None or month > known]
    rows = history_rows(table.read(spark, since))
    if known:
        rows = rows.unionByName(history.read(spark, [known]).drop("arrival_month"))
    last = F.lit(closed[-1].isoformat()).cast("date")
    history.write(merged_history(rows).withColumn("arrival_month", last), [closed[-1]], recipe(), files=4)


def _newest_history(home: Home, closed: list[date]) -> date | None:
    """The last of ``closed`` whose history is younger than all months up to it."""
    history, table = LakeTable(home, CUSTOMER_HISTORY), LakeTable(home, CUSTOMER_MONTH)
    for n in range(len(closed), 0, -1):
        if history.is_fresh(closed[n - 1], recipe(), [(table, month) for month in closed[:n]]):
            return closed[n - 1]
    return None
