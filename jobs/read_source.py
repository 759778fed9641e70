"""Untrusted text files → tables of strings, line by line, so that one bad line never costs the others."""

import csv
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from expectations.errors import DataError


@dataclass(frozen=True)
class Lines:
    """A delivered file, uncompressed. Line numbers are a text editor's: 1 is the header."""

    raw: bytes
    start: np.ndarray
    end: np.ndarray
    is_truncated: bool

    def span(self, line: int) -> tuple[int, int]:
        """First byte of the line and the byte after its last, line break left out."""
        return int(self.start[line - 1]), int(self.end[line - 1])

    def text(self, line: int) -> bytes:
        start, end = self.span(line)
        return self.raw[start:end]


@dataclass(frozen=True)
class Parsed:
    """Rows as strings (empty text is null), the line each came from, and the refused lines with the rule they broke."""

    rows: pa.Table
    line: np.ndarray
    refused: dict[int, str]


def uncompress(data: bytes, file: str) -> tuple[bytes, bool]:
    """The file's content and whether it was cut short; gzip is known by its first bytes, not by the file's name."""
    if data[:2] != b"\x1f\x8b":
        return data, False
    parts = []
    while data:
        stream = zlib.decompressobj(wbits=31)
        try:
            parts.append(stream.decompress(data) + stream.flush())
        except zlib.error as error:
            raise DataError(f"{file}: damaged gzip data after {sum(map(len, parts)):,} bytes ({error})") from error
        if not stream.eof:
            return b"".join(parts), True
        data = stream.unused_data.lstrip(b"\0")
    return b"".join(parts), False


def split_lines(path: Path, file: str, encoding: str = "utf-8") -> Lines:
    """Reads a delivered file; DataError if it is empty."""
    raw, is_truncated = uncompress(path.read_bytes(), file)
    if encoding != "utf-8":
        raw = raw.decode(encoding, errors="replace").encode()
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        raise DataError(f"{file} is empty ({path.stat().st_size} bytes): a delivery without rows still has a header")
    breaks = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord("\n"))
    start = np.concatenate([[0], breaks + 1])
    end = np.concatenate([breaks, [len(raw)]])
    if start[-1] == len(raw):
        start, end = start[:-1], end[:-1]
    return Lines(raw, start, end, is_truncated)


def parse_csv(lines: Lines, file: str, delimiter: str, needed: list[str], keep_all: bool) -> Parsed:
    """Lines → the ``needed`` columns as strings (every column with ``keep_all``).

    Refused are lines that are not UTF-8, leave a quote open or have another number of fields than the header, and the
    last, partial line of a truncated file. DataError if the header lacks a needed column.
    """
    header = _header(lines, file, delimiter, needed)
    refused = _broken_lines(lines)
    good = np.array([n for n in _filled_lines(lines) if n not in refused], dtype=np.int64)
    columns = header if keep_all else needed
    if not len(good):
        return Parsed(pa.table({name: pa.array([], pa.string()) for name in columns}), good, refused)
    wrong_width: list[int] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        wrong_width.append(row.number - 1)
        return "skip"

    body = _body(lines, good)
    rows = pa_csv.read_csv(
        io.BytesIO(body),
        # One thread and one block: only then is the number of a refused row known.
        pa_csv.ReadOptions(use_threads=False, block_size=len(body) + 1, column_names=header),
        pa_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip, ignore_empty_lines=False),
        pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            include_columns=columns,
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    refused |= {int(good[n]): "field_count" for n in wrong_width}
    return Parsed(rows, np.delete(good, wrong_width), dict(sorted(refused.items())))


def _header(lines: Lines, file: str, delimiter: str, needed: list[str]) -> list[str]:
    first = lines.text(1).decode("utf-8", errors="replace").rstrip("\r")
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    if missing := [name for name in needed if name not in header]:
        raise DataError(
            f"{file}, line 1: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"the {len(lines.start) - 1:,} rows below cannot be read. Found: {', '.join(header)}"
        )
    if doubled := {name for name in needed if header.count(name) > 1}:
        raise DataError(f"{file}, line 1: column {', '.join(sorted(doubled))} stands there twice")
    return header


def _filled_lines(lines: Lines) -> np.ndarray:
    """Numbers of the data lines that hold more than a line break."""
    length = lines.end - lines.start
    first = np.frombuffer(lines.raw + b"\n", np.uint8)[lines.start]
    filled = (length > 1) | ((length == 1) & (first != ord("\r")))
    filled[0] = False
    return np.flatnonzero(filled) + 1


def _broken_lines(lines: Lines) -> dict[int, str]:
    """Lines that no parser could take, with the rule each breaks."""
    broken = {}
    if b'"' in lines.raw:
        quotes = np.concatenate([[0], np.cumsum(np.frombuffer(lines.raw, np.uint8) == ord('"'))])
        odd = (quotes[lines.end] - quotes[lines.start]) % 2 == 1
        broken |= {int(n) + 1: "open_quote" for n in np.flatnonzero(odd) if n}
    try:
        lines.raw.decode()
    except UnicodeDecodeError:
        broken |= {n: "not_utf8" for n in range(2, len(lines.start) + 1) if not _is_utf8(lines.text(n))}
    if lines.is_truncated and not lines.raw.endswith(b"\n"):
        broken[len(lines.start)] = "truncated_line"
    broken.pop(1, None)
    return broken


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _body(lines: Lines, good: np.ndarray) -> bytes:
    """The good lines alone; the whole file below its header where all are good, which saves a copy line by line."""
    if len(good) == len(lines.start) - 1:
        return lines.raw[lines.start[1] :]
    return b"\n".join(lines.text(int(n)) for n in good) + b"\n"
