"""How a file's bytes are rows, and the rows that were read from it."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from jobs.reading.coded import Coded
from jobs.reading.lines import Lines

WHITESPACE = "whitespace"
FORMATS = ("csv", "jsonl", "parquet")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the bytes of a file are rows. ``column_names`` name the columns of a csv without a header."""

    format: str = "csv"
    header: bool = True
    column_names: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Parsed:
    """What a file holds: its ``rows`` by column, the line each came from, and the refused lines with the rule broken.

    A column is texts (an empty one is null), or times where a parquet file has them typed. ``names``: of all columns of
    the file, as far as it names them. ``lines`` is None where a file has none: its rows are then counted from 1.
    """

    rows: dict[str, Coded | pa.Array]
    line: np.ndarray
    refused: dict[int, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    lines: Lines | None = None

    @property
    def damage(self) -> str:
        """Why rows behind the last are missing, in words; empty for a whole file."""
        return self.lines.damage if self.lines else ""

    def span(self, line: int) -> tuple[int, int]:
        """The line's first byte and the one after its last in the uncompressed file; (0, 0) where it has no lines."""
        return self.lines.span(line) if self.lines else (0, 0)
