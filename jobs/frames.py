"""Holding engine data frames to their contract."""

from typing import TYPE_CHECKING

from expectations.contract import TYPES, Table
from expectations.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def checked(rows: "DataFrame", table: Table) -> "DataFrame":
    """``rows`` with exactly the contract's columns, in its order; DataError lists every column that is not."""
    found = dict(rows.dtypes)
    expected = {c.name: TYPES[c.type][0].lower() for c in table.columns}
    wrong = [
        f"{name}: expected {type_}, found {found.get(name, 'no such column')}"
        for name, type_ in expected.items()
        if found.get(name) != type_
    ]
    if wrong:
        raise DataError(f"rows do not fit table {table.name}: " + "; ".join(wrong))
    return rows.select(*table.column_names)
