"""A delivered text file as lines: where each begins and ends, and which of them no parser could take."""

import csv
import re
from dataclasses import dataclass

import numpy as np

from expectations.errors import DataError
from jobs.reading.uncompress import uncompress

BOM = b"\xef\xbb\xbf"
QUOTE, NEWLINE, RETURN = b'"\n\r'
_FILLED = re.compile(rb"\S")
csv.field_size_limit(2**31 - 1)  # a long field is no fault: a line is as long as its file lets it be


@dataclass(frozen=True)
class Lines:
    """A delivered file, uncompressed. Line numbers are a text editor's: the first is 1.

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

    def bytes_of(self, line: int) -> bytes:
        start, end = self.span(line)
        return self.raw[start:end]

    def text_of(self, line: int) -> str | None:
        """The line as text without its carriage return, or None if its bytes are none in the file's encoding."""
        try:
            return self.bytes_of(line).decode(self.encoding).removesuffix("\r")
        except UnicodeDecodeError:
            return None

    def filled(self, after: int = 0) -> np.ndarray:
        """Numbers of the lines behind line ``after`` that hold more than a line break."""
        if not len(self.start):
            return np.array([], np.int64)
        length = self.end - self.start
        first = np.frombuffer(self.raw, np.uint8)[self.start]
        filled = (length > 1) | ((length == 1) & (first != RETURN))
        filled[:after] = False
        return np.flatnonzero(filled) + 1


def split_lines(data: bytes, file: str, encoding: str = "utf-8", may_be_empty: bool = False) -> Lines:
    """The lines of a delivered file's bytes; DataError, which names ``file``, if it holds none and must hold some."""
    raw, damage = uncompress(data)
    if not _FILLED.search(raw, len(BOM) * raw.startswith(BOM)) and (damage or not may_be_empty):
        raise DataError(
            f"{file}: {damage}; no line of it can be read. Deliver it again"
            if damage
            else f"{file} is empty ({len(data)} bytes): a delivery without rows still has a header"
        )
    breaks = np.flatnonzero(np.frombuffer(raw, np.uint8) == NEWLINE)
    start = np.concatenate([[len(BOM) if raw.startswith(BOM) else 0], breaks + 1])
    end = np.concatenate([breaks, [len(raw)]])
    if start[-1] >= len(raw):
        start, end = start[:-1], end[:-1]
    return Lines(raw, start, end, damage, encoding)


def broken_lines(lines: Lines, delimiter: str) -> dict[int, str]:
    """Lines that no parser could take, with the rule each breaks; only lines that hold what can break are looked at.

    ``delimiter``: of a CSV, in which quotes must pair; empty where quotes mean nothing.
    """
    broken = {
        n: "bad_quotes" for n in _doubtful_quotes(lines, delimiter) if not _has_paired_quotes(lines, n, delimiter)
    }
    broken |= dict.fromkeys(_stray_returns(lines), "stray_return")
    try:
        _ = lines.raw.isascii() or lines.raw.decode(lines.encoding)
    except UnicodeDecodeError:
        broken |= {n: "not_text" for n in range(1, len(lines.start) + 1) if lines.text_of(n) is None}
    if lines.is_truncated and not lines.raw.endswith(b"\n"):
        broken[len(lines.start)] = "truncated_line"
    return broken


def _places(lines: Lines, byte: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the byte stands in the file, and in which line."""
    if bytes([byte]) not in lines.raw:
        return np.array([], np.int64), np.array([], np.int64)
    at = np.flatnonzero(np.frombuffer(lines.raw, np.uint8) == byte)
    return at, np.searchsorted(lines.start, at, side="right")


def _stray_returns(lines: Lines) -> list[int]:
    """Lines that hold a carriage return elsewhere than at their end."""
    at, line = _places(lines, RETURN)
    return np.unique(line[at < lines.end[line - 1] - 1]).tolist()


def _doubtful_quotes(lines: Lines, delimiter: str) -> list[int]:
    """Lines whose quotes may not pair. Those surely do that open behind a delimiter and close before one, in turn."""
    at, line = _places(lines, QUOTE)
    if not len(at) or not delimiter:
        return []
    if lines.encoding != "utf-8":  # a byte of the delimiter may be part of another character
        return np.unique(line).tolist()
    raw = np.frombuffer(lines.raw, np.uint8)
    start, end = lines.start[line - 1], lines.end[line - 1]
    closes = (np.arange(len(at)) - np.searchsorted(at, start)) % 2 == 1
    before, after = raw[np.maximum(at - 1, 0)], raw[np.minimum(at + 1, len(raw) - 1)]
    opens_well = (at == start) | (before == ord(delimiter))
    closes_well = (at + 1 == end) | (after == ord(delimiter)) | ((after == RETURN) & (at + 2 == end))
    is_last = np.append(line[1:] != line[:-1], True)
    well = np.where(closes, closes_well, opens_well & ~is_last)
    return np.unique(line[~well]).tolist()


def _has_paired_quotes(lines: Lines, line: int, delimiter: str) -> bool:
    try:
        next(csv.reader([lines.text_of(line) or ""], delimiter=delimiter, strict=True), None)
    except csv.Error:
        return False
    return True
