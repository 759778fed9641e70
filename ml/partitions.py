"""Partitions of the lake as Arrow tables, a file at a time or whole."""

from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.contract import Table
from expectations.errors import DataError
from ml.home import HomePath, partition_folder

CODED = pa.dictionary(pa.int32(), pa.string())
"""Type of texts that repeat: each kept once."""


def files_of(
    table: Table, days: list[date], columns: list[str], home: HomePath, coded: tuple[str, ...] = ()
) -> Iterator[pa.Table]:
    """``columns`` of each file of the partitions of ``days``, in order; DataError that names file and missing columns.

    coded  columns of texts that are read as dictionaries
    """
    for day in days:
        for file in sorted(partition_folder(table, day, home).glob("*.parquet")):
            with pq.ParquetFile(file, read_dictionary=list(coded)) as opened:
                if lacking := set(columns) - set(opened.schema_arrow.names):
                    raise DataError(
                        f"{file} lacks columns {', '.join(sorted(lacking))}: rebuild it with the job that writes it"
                    )
                yield opened.read(columns).select(columns)


def read_rows(table: Table, days: list[date], columns: list[str], home: HomePath) -> pa.Table:
    """``columns`` of the partitions of ``days``; DataError as of ``files_of``."""
    return pa.concat_tables(files_of(table, days, columns, home), promote_options="permissive")


def read_as(table: Table, days: list[date], types: dict[str, pa.DataType], home: HomePath) -> pa.Table:
    """Columns as the ``types`` say, CODED ones with one dictionary each; no rows where no day holds any."""
    schema = pa.schema(list(types.items()))
    coded = tuple(name for name, kind in types.items() if kind == CODED)
    parts = (part.cast(schema) for part in files_of(table, days, schema.names, home, coded))
    return pa.concat_tables([schema.empty_table(), *parts]).unify_dictionaries()
