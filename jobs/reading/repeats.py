"""Lines that say again what an earlier line of the file says."""

import numpy as np
import pyarrow as pa

from jobs.reading.coded import Coded

_MIX = np.uint64(0x9E3779B97F4A7C15)  # an odd number near 2^64 / golden ratio spreads neighbouring codes


def repeats(rows: dict[str, Coded | pa.Array], size: int) -> np.ndarray:
    """True for every row that repeats an earlier one in all columns of the file."""
    codes = [_codes(column) for column in rows.values()]
    mixed = np.zeros(size, np.uint64)
    for column in codes:
        mixed = (mixed ^ column.astype(np.uint64)) * _MIX
        mixed ^= mixed >> np.uint64(29)
    ordered = np.sort(mixed)
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    out = np.zeros(size, bool)
    if len(shared):  # few rows as a rule; equal mixtures are compared column by column
        at = np.flatnonzero(np.isin(mixed, shared))
        table = pa.table({"row": at, **{str(n): column[at] for n, column in enumerate(codes)}})
        keys = [str(n) for n in range(len(codes))]
        first = table.group_by(keys, use_threads=False).aggregate([("row", "min")])["row_min"]
        out[at] = True
        out[first.to_numpy()] = False
    return out


def _codes(column: Coded | pa.Array) -> np.ndarray:
    return (column if isinstance(column, Coded) else Coded.of(column.cast(pa.string()))).codes
