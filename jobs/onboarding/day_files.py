"""Day files in the making: rows are appended in pieces, each day in a file of its own, until all are put in place."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import DataError
from jobs.onboarding.streams import compress, have_equal_content


@dataclass
class TextDays:
    """Days of text files, uncompressed below ``folder``.

    ``rows``: data lines by day. ``undated``: lines whose day could not be read, kept with the line before them.
    """

    folder: Path
    rows: dict[date, int] = field(default_factory=dict)
    undated: int = 0
    _headers: dict[date, tuple[bytes, Path]] = field(default_factory=dict)
    _open_ended: set[date] = field(default_factory=set)

    def append(self, day: date, lines: memoryview, rows: int, header: bytes, origin: Path) -> None:
        """Adds lines of ``origin`` to the day; its header stands first. DataError if the day has another header."""
        known, first = self._headers.setdefault(day, (header, origin))
        if known.rstrip(b"\r\n") != header.rstrip(b"\r\n"):
            raise DataError(f"{origin} and {first} both have rows of {day} but not the same columns in their headers")
        with open(self._part(day), "ab") as part:
            if day not in self.rows:
                part.write(header)
            if day in self._open_ended:  # a file that ended without a line break, and more comes behind it
                part.write(b"\n")
                self._open_ended.discard(day)
            part.write(lines)
        if lines[-1:] != b"\n":
            self._open_ended.add(day)
        self.rows[day] = self.rows.get(day, 0) + rows

    def equals(self, day: date, target: Path) -> bool:
        """Whether ``target`` holds what the day holds, however it is compressed."""
        return have_equal_content(self._part(day), target)

    def write(self, day: date, path: Path, name: str) -> None:
        """Writes the day to ``path``, compressed as ``name`` says, and forgets it."""
        compress(self._part(day), path, like=name)
        self._part(day).unlink()

    def _part(self, day: date) -> Path:
        return self.folder / f"{day}.part"


@dataclass
class ParquetDays:
    """Days of parquet files, in pieces below ``folder``; see TextDays."""

    folder: Path
    rows: dict[date, int] = field(default_factory=dict)
    undated: int = 0
    _pieces: dict[date, list[Path]] = field(default_factory=dict)
    _compression: str = "snappy"

    def note_layout(self, source: pq.ParquetFile) -> None:
        """Takes over how the history is compressed."""
        if source.metadata.num_row_groups and source.metadata.num_columns:
            self._compression = (
                source.metadata.row_group(0).column(0).compression.lower().replace("uncompressed", "none")
            )

    def append(self, day: date, rows: pa.Table) -> None:
        pieces = self._pieces.setdefault(day, [])
        pieces.append(self.folder / f"{day}.{len(pieces)}")
        pq.write_table(rows, pieces[-1], compression="zstd")
        self.rows[day] = self.rows.get(day, 0) + len(rows)

    def equals(self, day: date, target: Path) -> bool:
        try:
            return pq.read_table(target, partitioning=None).equals(self._table(day))
        except (pa.ArrowInvalid, OSError):
            return False

    def write(self, day: date, path: Path, name: str) -> None:
        pq.write_table(self._table(day), path, compression=self._compression)
        for piece in self._pieces.pop(day):
            piece.unlink()

    def _table(self, day: date) -> pa.Table:
        parts = [pq.read_table(piece, partitioning=None) for piece in self._pieces[day]]
        try:
            return pa.concat_tables(parts)
        except pa.ArrowInvalid as error:
            raise DataError(f"the files of {day} do not have the same columns: {error}") from error
