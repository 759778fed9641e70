"""Whether two sides' tables say the same: integers, texts, dates and sets exactly, decimals exactly, floats to 1e-9."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import dataset

RELATIVE = 1e-9
ABSOLUTE = 1e-12
"""For what should be 0."""


def differences(ours: list[Path], theirs: list[Path], columns: list[str], key: list[str]) -> list[str]:
    """One line for each column that differs; empty where all rows are equal. A column of each side at a time in memory.

    ``ours``, ``theirs``: Parquet files, and folders of them.
    """
    sides = [dataset.dataset(_files(paths), format="parquet") for paths in (ours, theirs)]
    orders = [_order(side, key) for side in sides]
    if len(orders[0]) != len(orders[1]):
        return [f"{len(orders[0]):,} rows against {len(orders[1]):,}"]
    found = []
    for name in columns:
        mine, other = (_column(side, name, order) for side, order in zip(sides, orders, strict=True))
        found.append(_difference(name, mine, other))
    return [line for line in found if line]


def _order(side: dataset.Dataset, key: list[str]) -> pa.Array:
    return pc.sort_indices(side.to_table(columns=key), [(name, "ascending") for name in key])


def _column(side: dataset.Dataset, name: str, order: pa.Array) -> pa.Array:
    return side.to_table(columns=[name])[name].combine_chunks().take(order)


def _files(paths: list[Path]) -> list[str]:
    return [str(file) for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.parquet")))]


def _difference(name: str, mine: pa.Array, other: pa.Array) -> str | None:
    if pa.types.is_floating(mine.type):
        return _float_difference(name, mine, other)
    if pa.types.is_list(mine.type):
        kind = pa.list_(mine.type.value_type)  # whatever its items are called
        mine, other = mine.cast(kind), other.cast(kind)
        return None if mine.equals(other) else f"{name}: {_first(mine.to_pylist(), other.to_pylist())}"
    other = other.cast(mine.type)
    if mine.equals(other):
        return None
    is_wrong = pc.invert(pc.fill_null(pc.equal(mine, other), pa.scalar(False)))
    is_wrong = pc.and_(is_wrong, pc.invert(pc.and_(pc.is_null(mine), pc.is_null(other))))
    at = pc.index(is_wrong, True).as_py()
    return f"{name}: {pc.sum(is_wrong).as_py():,} rows differ; the first: {mine[at]} against {other[at]}"


def _float_difference(name: str, mine: pa.Array, other: pa.Array) -> str | None:
    if not pc.is_null(mine).equals(pc.is_null(other)):
        return f"{name}: other rows are null"
    a, b = (pc.fill_null(x.cast(pa.float64()), 0.0).to_numpy() for x in (mine, other))
    off = np.flatnonzero(~np.isclose(a, b, rtol=RELATIVE, atol=ABSOLUTE))
    return f"{name}: {len(off):,} rows differ; the first: {a[off[0]]!r} against {b[off[0]]!r}" if len(off) else None


def _first(mine: list, other: list) -> str:
    wrong = [(a, b) for a, b in zip(mine, other, strict=True) if a != b]
    return f"{len(wrong):,} rows differ; the first: {wrong[0][0]} against {wrong[0][1]}"
