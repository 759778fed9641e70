"""Which files a trial reads, under which feed, and the pieces of them that it reads."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import DataError, SetupError
from jobs.onboarding.streams import chunks_of, files_below, open_stream
from jobs.reading.feed import Feed
from jobs.reading.layout import Layout
from jobs.reading.lines import split_lines
from jobs.reading.mapping import Mapping
from jobs.reading.read_csv import header_of
from jobs.reading.read_json_lines import parse_json_lines

PIECE_BYTES = 32 << 20


@dataclass(frozen=True)
class Input:
    """A file to try under a feed. ``day``: of its delivery, where its path says so; None for a history."""

    feed: Feed
    path: Path
    day: date | None


def inputs_of(mapping: Mapping, path: Path, feed: str | None) -> list[Input]:
    """The files at ``path`` and their feeds: by the feeds' ``files`` patterns, else all of the feed named, or the only.

    SetupError where it cannot be told which feed a file belongs to.
    """
    feeds = [each for each in mapping.feeds if feed in (None, each.name)]
    if not feeds:
        raise SetupError(
            f"{mapping.source} has no feed {feed!r}; it has {', '.join(each.name for each in mapping.feeds)}"
        )
    files = files_below(path)
    matched = [
        Input(each, file, day) for file in files for each in feeds if (day := day_in(file, each.files)) is not None
    ]
    if matched:
        return matched
    if len(feeds) > 1:
        names = ", ".join(f"{each.name} ({each.files})" for each in feeds)
        raise SetupError(f"{path} fits the files of no feed of {mapping.source}: say by --feed which it is: {names}")
    return [Input(feeds[0], file, None) for file in files]


def day_in(path: Path, pattern: str) -> date | None:
    """The day for which ``path`` is the feed's file; None if it is not named so."""
    day = r"(?P<ds>\d{4}-\d{2}-\d{2})"
    parts = re.escape(pattern).replace(re.escape("{ds}"), day, 1).replace(re.escape("{ds}"), "(?P=ds)")
    found = re.search(f"(^|/){parts}$", path.absolute().as_posix())
    try:
        return date.fromisoformat(found["ds"]) if found else None
    except ValueError:
        return None


def pieces_of(path: Path, layout: Layout, rows: int | None) -> Iterator[tuple[bytes, int]]:
    """The file in pieces that each read as a file, and how many lines stand before each piece's first data line's own.

    ``rows``: at most so many data lines; None for all.
    """
    if layout.format == "parquet":
        yield from _parquet_pieces(path, rows)
        return
    header, before, left = b"", 0, rows
    with open_stream(path) as stream:
        for n, chunk in enumerate(chunks_of(stream, PIECE_BYTES if rows is None else 1 << 20)):
            if n == 0 and layout.format == "csv" and layout.header:
                cut = chunk.find(b"\n") + 1 or len(chunk)
                header, chunk = chunk[:cut], chunk[cut:]
            if left is not None:
                chunk = b"".join(io.BytesIO(chunk).readlines()[:left])
            lines = chunk.count(b"\n") + (not chunk.endswith(b"\n") and chunk != b"")
            yield header + chunk, before
            before, left = before + lines, None if left is None else left - lines
            if left == 0:
                return


def _parquet_pieces(path: Path, rows: int | None) -> Iterator[tuple[bytes, int]]:
    before = 0
    try:
        with pq.ParquetFile(path) as source:
            for batch in source.iter_batches(min(rows or 1 << 20, 1 << 20)):
                taken = batch.slice(0, None if rows is None else rows - before)
                buffer = pa.BufferOutputStream()
                pq.write_table(pa.Table.from_batches([taken]), buffer)
                yield buffer.getvalue().to_pybytes(), before
                before += len(taken)
                if rows is not None and before >= rows:
                    return
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no parquet file that can be read ({error})") from error


def names_in(data: bytes, path: Path, layout: Layout) -> list[str]:
    """Names of the columns that the piece itself tells; those of the mapping where a csv has no header."""
    if layout.format == "parquet":
        return pq.read_schema(pa.BufferReader(data)).names
    if layout.format == "csv" and not layout.header:
        return list(layout.column_names)
    lines = split_lines(data, str(path), layout.encoding)
    if layout.format == "jsonl":
        return list(parse_json_lines(lines, str(path), [], []).names)
    return header_of(lines, str(path), layout, [])
