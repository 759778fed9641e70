"""Dimension files of landing → lake/products, customers and campaigns, by the day they were delivered."""

import logging
from datetime import date
from pathlib import Path

import pyarrow as pa

from expectations.contract import Table
from expectations.dimensions import CUSTOMERS, DIMENSIONS
from expectations.errors import DataError
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.reading import dimension_rows as rows_module
from jobs.reading.deliveries import digest_of, read_delivered
from jobs.reading.dimension import Dimension
from jobs.reading.dimension_rows import dimension_rows, ids_of
from jobs.reading.keys import CustomerKeys
from jobs.reading.layout import Parsed
from jobs.reading.mapping import Mapping
from jobs.reading.read_source import read_source
from jobs.schemas import arrow_schema

log = logging.getLogger(__name__)


def ingest_dimensions(
    home: Home, mappings: list[Mapping], days: list[date], keys: CustomerKeys, problems: list[str]
) -> None:
    """Writes what was delivered on ``days``, and what is known from a source's first day, where it is not yet so.

    What is wrong with a file goes to ``problems``; the others are written.
    """
    firsts = {m.expected.first for m in mappings for d in m.dimensions if not d.is_daily}
    for day in sorted({*days, *firsts}):
        for table in DIMENSIONS:
            due = [(m, d) for m in mappings for d in m.dimensions if d.table == table.name and _is_due(home, m, d, day)]
            if due:
                _ingest(home, table, due, day, keys, problems)


def _is_due(home: Home, mapping: Mapping, dimension: Dimension, day: date) -> bool:
    """Whether the file lies there for the day, or should."""
    due = mapping.expected.is_open(day) if dimension.is_daily else day == mapping.expected.first
    if not dimension.is_daily and not due:
        return False
    return _path(home, mapping, dimension, day).is_file() or (due and not dimension.optional)


def _path(home: Home, mapping: Mapping, dimension: Dimension, day: date) -> Path:
    return home.landing_of(mapping.source) / dimension.files.format(ds=day)


def _ingest(
    home: Home, table: Table, due: list[tuple[Mapping, Dimension]], day: date, keys: CustomerKeys, problems: list[str]
) -> None:
    lake = LakeTable(home, table)
    paths = [_path(home, mapping, dimension, day) for mapping, dimension in due]
    digests = [
        (str(m.digest), digest_of(path) if path.is_file() else "") for (m, _), path in zip(due, paths, strict=True)
    ]
    recipe = recipe_of(table, rows_module, keys.key_id if table is CUSTOMERS else "", digests)
    if lake.is_fresh(day, recipe, []):
        return
    parts = [arrow_schema(table).empty_table()]
    for (mapping, dimension), path in zip(due, paths, strict=True):
        try:
            parts.append(_read(path, mapping, dimension, day, keys))
        except DataError as error:
            problems.append(str(error))
    if len(parts) > len(due):  # nothing of the day is replaced by half of it
        lake.write_arrow(day, rows := pa.concat_tables(parts), recipe)
        log.info("%s of %s: %s rows", table.name, day, f"{len(rows):,}")


def delivered_ids(home: Home, mapping: Mapping, dimension: Dimension, day: date) -> list[str]:
    """The cleaned ids that the day's file, if there is one, tells of; DataError where it cannot be read."""
    path = _path(home, mapping, dimension, day)
    if not path.is_file():
        return []
    return ids_of(_parsed(path, mapping, dimension, day), dimension).values.drop_null().to_pylist()


def _read(path: Path, mapping: Mapping, dimension: Dimension, day: date, keys: CustomerKeys) -> pa.Table:
    return dimension_rows(_parsed(path, mapping, dimension, day), dimension, mapping, keys, day, str(path))


def _parsed(path: Path, mapping: Mapping, dimension: Dimension, day: date) -> Parsed:
    data = read_delivered(path, mapping, day)
    needed = dimension.source_columns
    parsed = read_source(data, str(path), dimension, [dimension.columns[dimension.key][0]], needed)
    if parsed.damage:
        raise DataError(f"{path}: {parsed.damage}. Deliver it again")
    return parsed
