"""Untrusted CSV → columns of texts, line by line, so that one bad line never costs the others."""

import csv
import re

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from expectations.errors import DataError
from jobs.reading.coded import Coded
from jobs.reading.layout import WHITESPACE, Layout, Parsed
from jobs.reading.lines import BOM, Lines, broken_lines
from jobs.reading.threads import each

BLOCK_BYTES = 16 << 20
"""What one thread parses at once."""


def parse_csv(lines: Lines, file: str, layout: Layout, needed: list[str], keep_all: bool = False) -> Parsed:
    """Lines → the ``needed`` columns (every column with ``keep_all``).

    Refused are lines that are not text in the file's encoding, whose quotes do not pair, that hold a carriage return of
    their own or another number of fields than the header, and the last, partial line of a truncated file. DataError if
    the header lacks a needed column.
    """
    names = header_of(lines, file, layout, needed) if layout.header else list(layout.column_names)
    header = _told_apart(names, needed)
    refused = broken_lines(lines, "" if layout.delimiter == WHITESPACE else layout.delimiter)
    good = lines.filled(after=int(layout.header))
    refused = {n: rule for n, rule in refused.items() if n > int(layout.header)}
    good = good[~np.isin(good, list(refused))] if refused else good
    columns = header if keep_all else needed
    parts = _parsed_blocks(lines, _blocks(lines, good), layout, header, columns)
    wrong_width = np.concatenate([np.array([], np.int64), *(wrong for _, wrong in parts)])
    rows = pa.concat_tables([_no_rows(columns), *(table for table, _ in parts)])
    if len(rows) + len(wrong_width) != len(good):
        raise DataError(
            f"{file}: {len(good):,} lines were read as {len(rows):,} rows: the text is no CSV that can be told apart"
        )
    refused |= {int(n): "field_count" for n in wrong_width}
    line = good[~np.isin(good, wrong_width)] if len(wrong_width) else good
    coded = dict(zip(columns, each(lambda name: Coded.of(rows[name]), columns, len(rows)), strict=True))
    return Parsed(coded, line, dict(sorted(refused.items())), tuple(names) if layout.header else (), lines)


def header_of(lines: Lines, file: str, layout: Layout, needed: list[str]) -> list[str]:
    """Names of the columns, by the first line; DataError if they cannot be read or one that is needed is not there."""
    first = lines.bytes_of(1).decode(lines.encoding, errors="replace").rstrip("\r")
    try:
        if layout.delimiter == WHITESPACE:
            header = first.split()
        else:
            (names,) = csv.reader([first], delimiter=layout.delimiter, strict=True)
            header = [name.strip() for name in names]
    except csv.Error as error:
        reason = (
            "no line breaks that end in \\n: save it with those" if "\r" in first else f"its header is no CSV ({error})"
        )
        raise DataError(f"{file}, line 1: {reason}") from error
    if missing := [name for name in needed if name not in header]:
        # A file without a header has a customer's row here: only names of the mapping may be told.
        known = [name for name in needed if name in header]
        others = len(header) - len(known)
        raise DataError(
            f"{file}, line 1: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"the {len(lines.start) - 1:,} rows below cannot be read. Found {len(known)} of {len(needed)}: "
            f"{', '.join(known) or 'none'}, and {others} others the mapping does not name; has the file a header?"
        )
    if doubled := {name for name in needed if header.count(name) > 1}:
        raise DataError(f"{file}, line 1: column {', '.join(sorted(doubled))} stands there twice")
    return header


def _told_apart(header: list[str], needed: list[str]) -> list[str]:
    """Names that nobody asks for may repeat, or be empty."""
    return [name if name in needed else f"\0{n}" for n, name in enumerate(header)]


def _blocks(lines: Lines, good: np.ndarray) -> list[np.ndarray]:
    """The good lines in runs of about BLOCK_BYTES."""
    if not len(good):
        return []
    at = lines.start[good - 1]
    cuts = np.searchsorted(at, np.arange(at[0] + BLOCK_BYTES, at[-1], BLOCK_BYTES))
    return [block for block in np.split(good, cuts) if len(block)]


def _parsed_blocks(
    lines: Lines, blocks: list[np.ndarray], layout: Layout, header: list[str], columns: list[str]
) -> list[tuple[pa.Table, np.ndarray]]:
    """Each block's rows and the lines of it that have another number of fields; Arrow parses without Python's lock."""
    rows = sum(len(block) for block in blocks)
    return each(lambda block: _parse_block(lines, block, layout, header, columns), blocks, rows)


def _parse_block(
    lines: Lines, good: np.ndarray, layout: Layout, header: list[str], columns: list[str]
) -> tuple[pa.Table, np.ndarray]:
    wrong_width: list[int] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        wrong_width.append(row.number - 1)
        return "skip"

    body, is_blank_parted = _body(lines, good), layout.delimiter == WHITESPACE
    if is_blank_parted:
        body = re.sub(rb"(?m)^\t|\t(?=\r?$)", b"", re.sub(rb"[ \t]+", b"\t", body))
    rows = pa_csv.read_csv(
        # A mark that the parser takes off: one that begins the first line's value stays.
        pa.BufferReader(b"".join([BOM, body, b"\n"])),
        # One thread and one block: only then is the number of a refused row known.
        pa_csv.ReadOptions(use_threads=False, block_size=len(body) + 4, column_names=header),
        pa_csv.ParseOptions(
            delimiter="\t" if is_blank_parted else layout.delimiter,
            quote_char=False if is_blank_parted else '"',
            invalid_row_handler=skip,
            ignore_empty_lines=False,
        ),
        pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.dictionary(pa.int32(), pa.string())),
            include_columns=columns,
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    return rows, good[wrong_width]


def _body(lines: Lines, good: np.ndarray) -> bytes | memoryview:
    """The good lines alone, in UTF-8; one slice of the file where all between the first and the last are good."""
    first, last = int(good[0]), int(good[-1])
    if len(good) == last - first + 1:
        body = memoryview(lines.raw)[lines.start[first - 1] : lines.end[last - 1]]
    else:
        body = b"\n".join(lines.bytes_of(int(n)) for n in good)
    return body if lines.encoding == "utf-8" else str(body, lines.encoding).encode()


def _no_rows(columns: list[str]) -> pa.Table:
    return pa.table({name: pa.array([], pa.dictionary(pa.int32(), pa.string())) for name in columns})
