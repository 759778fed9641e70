"""Row rules of a contract as masks over Arrow columns: which row breaks which rule, in one pass."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.contract import Column, Table
from jobs.reading.coded import Coded, bools

# Online shops are younger. What is dated earlier is a clock that was never set (1970-01-01), a spreadsheet's zero
# (1899-12-30, 1904-01-01), or a year of two digits.
EARLIEST = date(1990, 1, 1)


def broken_rules(columns: dict[str, pa.Array], table: Table) -> dict[str, np.ndarray]:
    """Rule name → mask of the rows that break it, for every rule of the contract that a row of these columns breaks."""
    broken = {}
    for column in table.columns:
        if column.name in columns:
            broken |= _of_column(column, columns[column.name], columns.get("event_type"))
    if {"event_date", "arrival_date"} <= columns.keys():
        # What is dated after its own delivery would show the future to a snapshot.
        broken["event_date_after_arrival"] = bools(pc.greater(columns["event_date"], columns["arrival_date"]))
        broken["event_date_too_early"] = bools(pc.less(columns["event_date"], pa.scalar(EARLIEST)))
    return {rule: mask for rule, mask in broken.items() if mask.any()}


def _of_column(column: Column, values: pa.Array, event_type: pa.Array | None) -> dict[str, np.ndarray]:
    broken = {}
    if values.null_count and not column.nullable:
        broken[f"{column.name}_missing"] = bools(pc.is_null(values))
    elif values.null_count and column.required_for and event_type is not None:
        needed = _of_texts(event_type, lambda texts: pc.is_in(texts, pa.array(column.required_for)))
        broken[f"{column.name}_missing"] = bools(pc.is_null(values)) & needed
    if values.null_count == len(values):
        return broken
    if column.values:
        allowed = pa.array(column.values)
        broken[f"{column.name}_unknown"] = _of_texts(values, lambda texts: pc.invert(pc.is_in(texts, allowed)))
    if column.minimum is not None:
        below = pc.less(values, _bound(column.minimum, values.type))
        broken[f"{column.name}_below_{column.minimum:g}"] = bools(below)
    if column.maximum is not None:
        above = pc.greater(values, _bound(column.maximum, values.type))
        broken[f"{column.name}_above_{column.maximum:g}"] = bools(above)
    return broken


def _of_texts(values: pa.Array, test: Callable[[pa.Array], pa.Array]) -> np.ndarray:
    """The test of each row's text, asked of the distinct texts where they are coded. Null does not pass."""
    if not pa.types.is_dictionary(values.type):
        return bools(pc.and_(test(values), pc.is_valid(values)))
    coded = Coded.of(values)
    return coded.where(bools(test(coded.values)))


def _bound(number: float, kind: pa.DataType) -> pa.Scalar:
    """A whole bound in the column's own type: no row of it is converted."""
    if float(number).is_integer() and (pa.types.is_decimal(kind) or pa.types.is_integer(kind)):
        return pa.scalar(int(number) if pa.types.is_integer(kind) else Decimal(int(number)), kind)
    return pa.scalar(number, pa.float64())
