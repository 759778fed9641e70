"""A dimension's file tried on its mapping: what its rows become, or why they cannot; nothing is written."""

import secrets
from collections.abc import Iterator
from pathlib import Path

from expectations.errors import DataError
from jobs.onboarding.advice import refuse_missing_columns
from jobs.onboarding.inputs import day_in, names_in
from jobs.onboarding.origins import value
from jobs.reading.dimension import TABLES, Dimension
from jobs.reading.dimension_rows import dimension_rows
from jobs.reading.keys import CustomerKeys
from jobs.reading.mapping import Mapping
from jobs.reading.read_source import read_source

GIVEN = ("source", "arrival_date")
"""Columns that say nothing of the mapping."""


def dimensions_at(mapping: Mapping, path: Path) -> list[tuple[Dimension, Path]]:
    """The dimensions whose file ``path`` is, or holds where the mapping says; of daily ones the first file."""
    found = []
    for dimension in mapping.dimensions:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        if fitting := [file for file in files if _is_file_of(file, dimension)]:
            found.append((dimension, fitting[0]))
    return found


def _is_file_of(file: Path, dimension: Dimension) -> bool:
    if dimension.is_daily:
        return day_in(file, dimension.files) is not None
    return f"/{file.absolute().as_posix()}".endswith(f"/{dimension.files}")


def try_dimension(mapping: Mapping, dimension: Dimension, path: Path) -> Iterator[str]:
    """What the file becomes, in words. SetupError for a column it lacks, DataError where it would be refused."""
    data, table = path.read_bytes(), TABLES[dimension.table]
    refuse_missing_columns(names_in(data, path, dimension), dimension, str(path))
    parsed = read_source(data, str(path), dimension, [dimension.columns[dimension.key][0]], dimension.source_columns)
    if parsed.damage:
        raise DataError(f"{path}: {parsed.damage}")
    keys = CustomerKeys(secrets.token_bytes(32))
    day = day_in(path, dimension.files) if dimension.is_daily else mapping.expected.first
    rows = dimension_rows(parsed, dimension, mapping, keys, day, str(path))
    read = len(parsed.line) + len(parsed.refused)
    yield f"dimension {table.name}: {path}: {read:,} rows read, {len(rows):,} {table.name} known"
    example = (rows.slice(0, 1).to_pylist() or [{}])[0]
    for column in table.columns:
        if column.name in GIVEN or not rows[column.name].null_count < len(rows):
            continue
        origin = " . ".join(dimension.columns["customer_id" if column.name == "customer_key" else column.name])
        share = 1 - rows[column.name].null_count / len(rows)
        yield f"  {column.name:<16}  {origin:<40}  {value(example[column.name]):<32}  {share:.0%}"
