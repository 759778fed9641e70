"""Row rules of a contract as masks over Arrow columns: which row breaks which rule, in one pass."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.contract import Column, Table

# Online shops are younger. What is dated earlier is a clock that was never set (1970-01-01), a spreadsheet's zero
# (1899-12-30, 1904-01-01), or a year of two digits.
EARLIEST = date(1990, 1, 1)


def broken_rules(columns: dict[str, pa.Array], table: Table) -> dict[str, np.ndarray]:
    """Rule name → mask of the rows that break it, for every rule the contract gives the columns at hand."""
    broken = {}
    for column in table.columns:
        if column.name in columns:
            broken |= _of_column(column, columns[column.name], columns.get("event_type"))
    if {"event_date", "arrival_date"} <= columns.keys():
        # What is dated after its own delivery would show the future to a snapshot.
        broken["event_date_after_arrival"] = _mask(pc.greater(columns["event_date"], columns["arrival_date"]))
        broken["event_date_too_early"] = _mask(pc.less(columns["event_date"], pa.scalar(EARLIEST)))
    return broken


def _of_column(column: Column, values: pa.Array, event_type: pa.Array | None) -> dict[str, np.ndarray]:
    broken = {}
    missing = pc.is_null(values)
    if not column.nullable:
        broken[f"{column.name}_missing"] = _mask(missing)
    elif column.required_for and event_type is not None:
        needed = pc.is_in(event_type, pa.array(column.required_for))
        broken[f"{column.name}_missing"] = _mask(pc.and_(missing, needed))
    if column.values:
        unknown = pc.invert(pc.is_in(values, pa.array(column.values)))
        broken[f"{column.name}_unknown"] = _mask(pc.and_(unknown, pc.invert(missing)))
    if column.minimum is not None:
        broken[f"{column.name}_below_{column.minimum:g}"] = _mask(
            pc.less(values, pa.scalar(column.minimum, pa.float64()))
        )
    if column.maximum is not None:
        broken[f"{column.name}_above_{column.maximum:g}"] = _mask(
            pc.greater(values, pa.scalar(column.maximum, pa.float64()))
        )
    return broken


def _mask(mask: pa.Array) -> np.ndarray:
    return pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
