"""Parquet → columns of texts, and of times where the file has them typed. Rows are counted from 1."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import DataError
from jobs.reading.coded import Coded
from jobs.reading.layout import Parsed


def parse_parquet(data: bytes, file: str, needed: list[str], keep_all: bool = False) -> Parsed:
    """The ``needed`` columns (every column with ``keep_all``); DataError if one is not there or cannot be text or time.

    A parquet file is whole or cannot be read at all: its end says where everything stands.
    """
    try:
        source = pq.ParquetFile(pa.BufferReader(data))
        names = source.schema_arrow.names
        if missing := [name for name in needed if name not in names]:
            raise DataError(
                f"{file}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; its "
                f"{source.metadata.num_rows:,} rows cannot be read. Found: {', '.join(names)}"
            )
        if doubled := [name for name in needed if names.count(name) > 1]:
            raise DataError(f"{file}: column {', '.join(doubled)} stands there twice")
        rows = source.read(columns=names if keep_all else needed)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is no parquet file that can be read ({error}). Deliver it again") from error
    columns = {name: _column(rows[name], name, file, name in needed) for name in rows.column_names}
    return Parsed(columns, np.arange(1, len(rows) + 1), names=tuple(names))


def _column(column: pa.ChunkedArray, name: str, file: str, is_needed: bool) -> Coded | pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.combine_chunks()
    if not is_needed and pa.types.is_nested(kind):  # compared with other rows alone
        return Coded.of(pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string()))
    try:
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        return Coded.of(column.cast(pa.string()))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"{file}: column {name}: expected texts, numbers or times, found {kind}") from error
