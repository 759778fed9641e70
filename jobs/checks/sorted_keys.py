"""Whether a partition's keys are unique, seen from their order: rows are written sorted by key, so neighbours tell."""

from datetime import date
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.checks.history import only_value
from jobs.lake import LakeTable


def counts_if_unique(table: LakeTable, days: list[date]) -> dict[date, int] | None:
    """Rows of each partition, if in each every row's key is above the key before it; None if that cannot be seen.

    Cheaper than counting distinct keys: constant columns are not even read, and nothing is sorted or hashed.
    """
    found = {}
    for day in table.require(days):
        files = sorted(table.folder(day).glob("*.parquet"))
        if len(files) != 1 or not set(table.table.key) <= set(pq.read_schema(files[0]).names):
            return None
        # A column of one value does not part neighbours.
        key = [name for name in table.table.key if not only_value(files[0], name)]
        rows = pq.read_table(files[0], columns=key, partitioning=None)
        found[day] = pq.read_metadata(files[0]).num_rows
        if found[day] > 1 and not _is_rising([rows[name].combine_chunks() for name in key]):
            return None
    return found


def _is_rising(columns: list[pa.Array]) -> bool:
    """Whether each row, read column by column from the left, is above the one before; False also if one is null."""
    if not columns or any(column.null_count for column in columns):
        return False

    def rising(rest: pa.Array | None, column: pa.Array) -> pa.Array:
        before, after = column[:-1], column[1:]
        less = pc.less(before, after)
        return less if rest is None else pc.or_(less, pc.and_(pc.equal(before, after), rest))

    return pc.all(reduce(rising, reversed(columns), None)).as_py()
