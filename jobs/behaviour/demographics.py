"""What customers told of themselves, as a snapshot knew it; switched off by a setting."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from expectations.dimensions import CUSTOMERS
from jobs.behaviour.merging import together
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
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    days = delivered(home, snapshot)
    if not days:
        types = {c.name: "string" if c.type == "string" else "double" for c in CUSTOMERS.columns}
        return spark.createDataFrame([], ", ".join(f"{name} {types[name]}" for name in ("customer_key", *COLUMNS)))
    # Not the maximum of a structure: of a million customers Sail takes twelve times as long for it, and 7 GB of memory.
    order = (F.col(name).desc_nulls_last() for name in ("arrival_date", "source", *COLUMNS))
    place = F.row_number().over(Window.partitionBy("customer_key").orderBy(*order))
    rows = together(LakeTable(home, CUSTOMERS).read(spark, days)).withColumn("place", place)
    return rows.where(F.col("place") == 1).select("customer_key", *COLUMNS)
