"""What customers told of themselves, as a snapshot knew it; switched off by a setting."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from expectations.dimensions import CUSTOMERS
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = ("age", "gender", "income", "household_size")


@dataclass(frozen=True)
class FeatureSettings:
    """use_demographics  whether age, gender, income and household size are features; if not, they are null."""

    use_demographics: bool = True


def settings(home: Home) -> FeatureSettings:
    return load_settings(home, "features", FeatureSettings)


def delivered(home: Home, snapshot: date) -> list[date]:
    """Deliveries of customers that had arrived by ``snapshot`` and may be read."""
    if not settings(home).use_demographics:
        return []
    return [day for day in LakeTable(home, CUSTOMERS).days() if day <= snapshot]


def known(spark: "SparkSession", home: Home, snapshot: date) -> "DataFrame":
    """customer_key and COLUMNS as last told by ``snapshot``; no rows where nothing may be read."""
    from pyspark.sql import functions as F

    days = delivered(home, snapshot)
    if not days:
        types = {c.name: "string" if c.type == "string" else "double" for c in CUSTOMERS.columns}
        return spark.createDataFrame([], ", ".join(f"{name} {types[name]}" for name in ("customer_key", *COLUMNS)))
    rows = LakeTable(home, CUSTOMERS).read(spark, days)
    newest = rows.groupBy("customer_key").agg(F.max(F.struct("arrival_date", "source", *COLUMNS)).alias("told"))
    return newest.select("customer_key", *(F.col("told")[name].alias(name) for name in COLUMNS))
