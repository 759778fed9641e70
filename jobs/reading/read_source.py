"""Untrusted text files → tables of strings, line by line, so that one bad line never costs the others."""

import csv
import io
import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from expectations.errors import DataError

BOM = b"\xef\xbb\xbf"
csv.field_size_limit(2**31 - 1)  # a long field is no fault: a line is as long as its file lets it be


@dataclass(frozen=True)
class Lines:
    """A delivered file, uncompressed. Line numbers are a text editor's: 1 is the header.

    ``damage`` says in words why what follows the last line is missing; it is empty for a whole file.
    ``encoding`` must write a line break as the byte 10, as UTF-8, Latin-1 and the Windows code pages do.
    """

    raw: bytes
    start: np.ndarray
    end: np.ndarray
    damage: str = ""
    encoding: str = "utf-8"

    @property
    def is_truncated(self) -> bool:
        return bool(self.damage)

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


def uncompress(data: bytes) -> tuple[bytes, str]:
    """What can be read of the file and, in words, what stopped that; gzip is known by its first bytes, not by its name.

    All members of a gzip file count; zeros after the last are padding.
    """
    if data[:2] != b"\x1f\x8b":
        return data, ""
    content, damage = bytearray(), ""
    while data and not damage:
        more, data, damage = _member(data)
        content += more
        data = data.lstrip(b"\0")
    return bytes(content), damage.format(read=len(content))


def _member(data: bytes) -> tuple[bytes, bytes, str]:
    """The first gzip member's content, the bytes behind it, and its damage ({read} for the bytes so far).

    What one call reads is lost where it fails; the call is then made again in smaller steps, down to the bad byte.
    """
    stream, at, step, parts = zlib.decompressobj(wbits=31), 0, 1 << 20, []
    while at < len(data) and not stream.eof:
        ahead = stream.copy()
        try:
            parts.append(ahead.decompress(data[at : at + step]))
        except zlib.error as error:
            if step == 1:
                return b"".join(parts), b"", f"damaged after {{read:,}} bytes ({error})"
            step >>= 5
            continue
        stream, at = ahead, at + step
    behind = stream.unused_data + data[at:]
    return b"".join(parts), behind, "" if stream.eof else "truncated, the compressed data ends early"


def split_lines(data: bytes, file: str, encoding: str = "utf-8") -> Lines:
    """The lines of a delivered file's bytes; DataError, which names ``file``, if it holds none."""
    raw, damage = uncompress(data)
    if not raw.removeprefix(BOM).strip():
        raise DataError(
            f"{file}: {damage}; no line of it can be read. Deliver it again"
            if damage
            else f"{file} is empty ({len(data)} bytes): a delivery without rows still has a header"
        )
    breaks = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord("\n"))
    start = np.concatenate([[len(BOM) if raw.startswith(BOM) else 0], breaks + 1])
    end = np.concatenate([breaks, [len(raw)]])
    if start[-1] == len(raw):
        start, end = start[:-1], end[:-1]
    return Lines(raw, start, end, damage, encoding)


def parse_csv(lines: Lines, file: str, delimiter: str, needed: list[str], keep_all: bool) -> Parsed:
    """Lines → the ``needed`` columns as strings (every column with ``keep_all``).

    Refused are lines that are not text in the file's encoding, whose quotes do not pair, that hold a carriage return of
    their own or another number of fields than the header, and the last, partial line of a truncated file. DataError if
    the header lacks a needed column.
    """
    header = _header(lines, file, delimiter, needed)
    refused = _broken_lines(lines, delimiter)
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
    if len(rows) + len(wrong_width) != len(good):
        raise DataError(
            f"{file}: {len(good):,} lines were read as {len(rows):,} rows: the text is no CSV that can be told apart"
        )
    refused |= {int(good[n]): "field_count" for n in wrong_width}
    return Parsed(rows, np.delete(good, wrong_width), dict(sorted(refused.items())))


def _header(lines: Lines, file: str, delimiter: str, needed: list[str]) -> list[str]:
    first = lines.text(1).decode(lines.encoding, errors="replace").rstrip("\r")
    try:
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter, strict=True))]
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
    # Names that nobody asks for may repeat.
    return [name if name in needed else f"\0{n}" for n, name in enumerate(header)]


def _filled_lines(lines: Lines) -> np.ndarray:
    """Numbers of the data lines that hold more than a line break."""
    length = lines.end - lines.start
    first = np.frombuffer(lines.raw + b"\n", np.uint8)[lines.start]
    filled = (length > 1) | ((length == 1) & (first != ord("\r")))
    filled[0] = False
    return np.flatnonzero(filled) + 1


def _broken_lines(lines: Lines, delimiter: str) -> dict[int, str]:
    """Lines that no parser could take, with the rule each breaks; only lines that hold what can break are looked at."""
    broken = {int(n): "bad_quotes" for n in _with(lines, b'"') if not _has_paired_quotes(lines, int(n), delimiter)}
    broken |= {int(n): "stray_return" for n in _with(lines, b"\r") if b"\r" in lines.text(int(n)).removesuffix(b"\r")}
    try:
        lines.raw.decode(lines.encoding)
    except UnicodeDecodeError:
        broken |= {n: "not_text" for n in range(2, len(lines.start) + 1) if _text(lines, n) is None}
    if lines.is_truncated and not lines.raw.endswith(b"\n"):
        broken[len(lines.start)] = "truncated_line"
    broken.pop(1, None)
    return broken


def _with(lines: Lines, character: bytes) -> np.ndarray:
    """Numbers of the lines that hold the character elsewhere than at their end."""
    at = np.flatnonzero(np.frombuffer(lines.raw, np.uint8) == ord(character))
    line = np.searchsorted(lines.start, at, side="right")
    return np.unique(line[at < lines.end[line - 1] - 1] if character == b"\r" else line)


def _has_paired_quotes(lines: Lines, line: int, delimiter: str) -> bool:
    try:
        next(csv.reader([_text(lines, line) or ""], delimiter=delimiter, strict=True), None)
    except csv.Error:
        return False
    return True


def _text(lines: Lines, line: int) -> str | None:
    """The line as text, or None if its bytes are none in the file's encoding."""
    try:
        return lines.text(line).decode(lines.encoding).removesuffix("\r")
    except UnicodeDecodeError:
        return None


def _body(lines: Lines, good: np.ndarray) -> bytes:
    """The good lines alone, in UTF-8; the whole file below its header where all are good: no copy line by line.

    It begins with a mark, which the parser takes off: one that begins the first line's value stays.
    """
    if len(good) == len(lines.start) - 1:
        body = memoryview(lines.raw)[lines.start[1] :]
    else:
        body = b"\n".join(lines.text(int(n)) for n in good) + b"\n"
    return BOM + (body if lines.encoding == "utf-8" else str(body, lines.encoding).encode())
