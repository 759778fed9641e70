"""One digest of a table's rows: equal digests, equal rows in equal order. From memory, without a row being printed."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def rows_digest(rows: pa.Table) -> str:
    """SHA-256, in hexadecimal, over the columns one after the other.

    Each is its name and a null byte; one byte a row, 1 where there is a value; then the values: numbers and dates
    little-endian in the width of their type, 0 for null; truth values a byte each; of texts first the length of each in
    bytes (int32), 0 for null, then all of them in UTF-8.
    """
    digest = hashlib.sha256()
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        digest.update(name.encode() + b"\0")
        digest.update(_bytes(pc.is_valid(column)))
        if pa.types.is_string(column.type):
            _add_texts(digest, column)
        else:
            digest.update(_bytes(column))
    return digest.hexdigest()


def _add_texts(digest: "hashlib._Hash", column: pa.ChunkedArray) -> None:
    digest.update(_bytes(pc.binary_length(column)))
    for chunk in pc.fill_null(column, "").chunks:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        if data is not None:
            digest.update(memoryview(data)[ends[0] : ends[-1]])


def _bytes(column: pa.ChunkedArray) -> memoryview:
    """Values of a fixed width, 0 for null."""
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    if column.null_count:
        column = pc.fill_null(column, False if pa.types.is_boolean(column.type) else 0)
    values = column.to_numpy()
    return memoryview(np.ascontiguousarray(values, values.dtype.newbyteorder("<"))).cast("B")
