"""Holding engine data frames to their contract."""

from typing import TYPE_CHECKING

from expectations.contract import Table
from jobs.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def checked(rows: "DataFrame", table: Table) -> "DataFrame":
    """``rows`` with exactly the contract's columns, in its order; DataError lists every missing column or other type."""
    from pyspark.sql.types import StructType

    from jobs.schemas import spark_ddl

    found = dict(rows.dtypes)
    expected = {f.name: f.dataType.simpleString() for f in StructType.fromDDL(spark_ddl(table)).fields}
    wrong = [
        f"{name}: expected {type_}, found {found.get(name, 'no such column')}"
        for name, type_ in expected.items()
        if found.get(name) != type_
    ]
    if wrong:
        raise DataError(f"rows do not fit table {table.name}: " + "; ".join(wrong))
    return rows.select(*table.column_names)
