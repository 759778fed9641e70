"""Whether two sides' tables say the same: integers, texts, dates and sets exactly, decimals exactly, floats to 1e-9."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

RELATIVE = 1e-9
ABSOLUTE = 1e-12
"""For what should be 0."""


def differences(ours: Path | list[Path], theirs: Path | list[Path], columns: list[str], key: list[str]) -> list[str]:
    """One line for each column that differs; empty where all rows are equal."""
    mine, other = (_rows(side, columns, key) for side in (ours, theirs))
    if len(mine) != len(other):
        return [f"{len(mine):,} rows against {len(other):,}"]
    found = (_difference(name, mine[name], other[name]) for name in columns)
    return [line for line in found if line]


def _rows(side: Path | list[Path], columns: list[str], key: list[str]) -> pa.Table:
    files = [f for path in (side if isinstance(side, list) else [side]) for f in _files(path)]
    return ds.dataset(files, format="parquet").to_table(columns=columns).sort_by([(name, "ascending") for name in key])


def _files(path: Path) -> list[str]:
    return [str(path)] if path.is_file() else sorted(map(str, path.rglob("*.parquet")))


def _difference(name: str, mine: pa.ChunkedArray, other: pa.ChunkedArray) -> str | None:
    mine, other = mine.combine_chunks(), other.combine_chunks()
    if pa.types.is_floating(mine.type):
        return _float_difference(name, mine, other)
    if pa.types.is_list(mine.type) or pa.types.is_large_list(other.type):
        kind = pa.list_(mine.type.value_type)
        mine, other = mine.cast(kind), other.cast(kind)
        is_equal = mine.equals(other)
        return None if is_equal else f"{name}: {_first(mine.to_pylist(), other.to_pylist())}"
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
