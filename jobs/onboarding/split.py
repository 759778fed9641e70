"""A whole history → the days it is made of, in pieces: memory does not grow with the file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import DataError
from jobs.onboarding.day_files import ParquetDays, TextDays
from jobs.onboarding.streams import chunks_of, open_stream
from jobs.reading.feed import Feed
from jobs.reading.layout import Parsed
from jobs.reading.map_rows import local_times
from jobs.reading.read_source import read_source
from jobs.reading.rules import EARLIEST

CHUNK_BYTES = 16 << 20
BATCH_ROWS = 1 << 18
_UNKNOWN = np.datetime64("NaT", "D")


def split_lines_of(path: Path, feed: Feed, timezone: str, days: TextDays) -> None:
    """Adds each line of ``path``, byte for byte, to its day: the later of its event's and its arrival's.

    A line whose day cannot be read, or lies before online shops, goes with the line before it, else with the first
    whose day can be read: there ingestion refuses it with its place and reason. ``timezone``: the shop's. DataError if
    no line has a day.
    """
    header, before = b"", _UNKNOWN
    has_header = feed.format == "csv" and feed.header
    with open_stream(path) as stream:
        for n, chunk in enumerate(chunks_of(stream, CHUNK_BYTES)):
            if n == 0 and has_header:
                cut = chunk.find(b"\n") + 1 or len(chunk)
                header, chunk = chunk[:cut], chunk[cut:]
            if chunk:
                before = _split_chunk(chunk, header, path, feed, timezone, days, before)


def split_rows_of(path: Path, feed: Feed, timezone: str, days: ParquetDays) -> None:
    """As ``split_lines_of``, for the rows of a parquet file."""
    before = _UNKNOWN
    try:
        with pq.ParquetFile(path) as source:
            days.note_layout(source)
            for batch in source.iter_batches(BATCH_ROWS):
                rows = pa.Table.from_batches([batch])
                read = days_of(_parsed(rows, path, feed), feed, timezone)
                days.undated += int(np.isnat(read).sum())
                day = _filled_in(read, before, path, feed)
                before = day[-1] if len(day) else before
                for one in np.unique(day):
                    days.append(one.astype(object), rows.filter(pa.array(day == one)))
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is no parquet file that can be read ({error})") from error


def _parsed(rows: pa.Table, path: Path, feed: Feed) -> Parsed:
    """The columns that say the day, read as ingestion reads them."""
    needed = _day_columns(feed)
    buffer = pa.BufferOutputStream()
    pq.write_table(rows.select([name for name in needed if name in rows.column_names]), buffer, compression="none")
    return read_source(buffer.getvalue().to_pybytes(), str(path), feed, needed, needed)


def _split_chunk(
    chunk: bytes, header: bytes, path: Path, feed: Feed, timezone: str, days: TextDays, before: np.datetime64
) -> np.datetime64:
    """Hands the chunk's lines to their days; returns the day of its last line."""
    parsed = read_source(header + chunk, str(path), feed, _day_columns(feed), _day_columns(feed))
    above = int(bool(header))
    start = parsed.lines.start[above:] - len(header)
    row = parsed.line - 1 - above
    read, filled = np.full(len(start), _UNKNOWN), np.zeros(len(start), bool)
    read[row] = days_of(parsed, feed, timezone)
    filled[[*row, *(n - 1 - above for n in parsed.refused)]] = True
    days.undated += int((np.isnat(read) & filled).sum())
    day = _filled_in(read, before, path, feed)
    order = np.argsort(day, kind="stable")
    lines = _lines(chunk, start).take(pa.array(order))
    offset, body = np.frombuffer(lines.buffers()[1], np.int64), memoryview(lines.buffers()[2])
    each, first = np.unique(day[order], return_index=True)
    for one, begin, end in zip(each, first, [*first[1:], len(day)], strict=True):
        rows = int(filled[order[begin:end]].sum())
        days.append(one.astype(object), body[offset[begin] : offset[end]], rows, header, path)
    return day[-1]


def _day_columns(feed: Feed) -> list[str]:
    return [feed.columns[name][0] for name in ("event_time", "arrival_time") if name in feed.columns]


def days_of(parsed: Parsed, feed: Feed, timezone: str) -> np.ndarray:
    """The day of delivery of each row: the later of its event's and its arrival's; NaT where the event has none."""
    event = _days(parsed, feed, "event_time", timezone)
    event[event < np.datetime64(EARLIEST)] = _UNKNOWN
    if "arrival_time" not in feed.columns:
        return event
    return np.where(np.isnat(event), event, np.fmax(event, _days(parsed, feed, "arrival_time", timezone)))


def _days(parsed: Parsed, feed: Feed, name: str, timezone: str) -> np.ndarray:
    local = local_times(parsed.rows[feed.columns[name][0]], feed, timezone)
    return local.to_numpy(zero_copy_only=False).astype("datetime64[D]")


def _filled_in(day: np.ndarray, before: np.datetime64, path: Path, feed: Feed) -> np.ndarray:
    """Each unknown day as the one before it; those before any, as the first that is known."""
    known = np.flatnonzero(~np.isnat(day))
    if np.isnat(before) and not len(known) and len(day):
        formats = ", ".join(feed.time_formats)
        raise DataError(
            f"{path}: not one of its first {len(day):,} lines has a time in column {feed.columns['event_time'][0]} "
            f"that fits time_formats ({formats}); `python -m jobs check_source` shows them"
        )
    if not len(known):
        return np.full(len(day), before)
    nearest = np.searchsorted(known, np.arange(len(day)), side="right") - 1
    before = day[known[0]] if np.isnat(before) else before
    return np.where(nearest < 0, before, day[known[np.maximum(nearest, 0)]])


def _lines(chunk: bytes, start: np.ndarray) -> pa.LargeBinaryArray:
    """The chunk's lines with their line breaks, without a copy."""
    offsets = np.append(start, len(chunk)).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(chunk)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(start), buffers)
