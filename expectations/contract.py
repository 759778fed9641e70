"""What a table contract is made of. Standard library only: everything else derives from these objects."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

# A contract type → (Spark SQL type, PostgreSQL type). Arrow types follow in jobs/schemas.py.
TYPES = {
    "string": ("STRING", "text"),
    "int32": ("INT", "integer"),
    "int64": ("BIGINT", "bigint"),
    "double": ("DOUBLE", "double precision"),
    # Money and quantities are exact, so that two engines that add in another order agree to the last digit.
    "decimal": ("DECIMAL(18,4)", "numeric(18,4)"),
    "date": ("DATE", "date"),
    "timestamp": ("TIMESTAMP", "timestamp with time zone"),
    "bool": ("BOOLEAN", "boolean"),
    "strings": ("ARRAY<STRING>", "text[]"),
    "dates": ("ARRAY<DATE>", "date[]"),
    "floats": ("ARRAY<FLOAT>", "real[]"),
}

Severity = Literal["fail", "warn"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. ``values``, ``minimum`` and ``maximum`` bind every row; null is allowed only where ``nullable``.

    ``required_for``: event types of which a row must fill the column although it is nullable.
    ``impute``: what a model that cannot take a missing value is given instead, beside an indicator of the missing:
    zero; worst, the largest value of the training rows (a recency that never was); median, theirs.
    """

    name: str
    type: str
    description: str
    unit: str = ""
    nullable: bool = False
    required_for: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    impute: Literal["", "zero", "worst", "median"] = ""

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"column {self.name}: unknown type {self.type!r}; known: {', '.join(TYPES)}")
        if not self.description:
            raise ValueError(f"column {self.name}: a description is required")


ROW_CHECKS = ("row_count", "value_range", "null_share")
"""Kinds of check that a look at the rows decides; the others judge measured numbers, most against earlier days."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check on the table as a whole. ``fail`` stops the line, ``warn`` reports.

    kind           what must lie between minimum and maximum
    row_count      the number of rows
    value_range    every non-null value of columns[0]
    null_share     the share of nulls in columns[0], at most maximum (0..1)
    is_true        columns[0] of every row, counted as 1 where it is true and 0 where not
    is_blank       columns[0] of every row, counted as 0 where it is an empty text and 1 where not
    share          the sum of columns[0] / the sum of columns[1]
    volume         for each value of columns[1], the sum of columns[0] / its mean over the last four same weekdays
    null_shift     for each of columns, its share of nulls less that of the last four same weekdays, either way
    mix            population stability index of the values of columns[0], those of ``without`` left out, against the
                   last four same weekdays
    drift          for each of columns, its population stability index against the partition ``days`` earlier
    newest_days    days from the newest date in columns[0] to the partition's
    late_share     the share of rows whose date in columns[0] lies more than ``days`` days before the partition's
    unknown_share  the share of values of columns[0], of the rows that have one, which table ``of`` does not hold
    counted        how many there are of what ``of`` says in words, in each table or pair of tables it is asked of
    share_shift    for each value of ``of``, its share of customers less that of the last day published before, either
                   way

    ``name``: as results show it, where columns, kind and severity are not enough or too much.
    """

    kind: Literal[
        "row_count", "value_range", "null_share", "is_true", "is_blank", "share", "volume", "null_shift", "mix",
        "drift", "newest_days", "late_share", "unknown_share", "counted", "share_shift",
    ]  # fmt: skip
    severity: Severity
    why: str
    columns: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    days: int = 0
    of: str = ""
    without: tuple[str, ...] = ()
    name: str = ""

    @property
    def label(self) -> str:
        """As results show it: column, kind, severity."""
        return self.name or "_".join((*self.columns, self.kind, self.severity))


def explained(words: dict[str, str]) -> str:
    """What each value of a column means, as the end of its description."""
    return ". ".join(f"{value}: {meaning}" for value, meaning in words.items()) + "."


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table: ``key`` is unique within a partition, ``partition`` names the column its folders or partitions are by.

    ``version`` is part of the stored name; readers use the unversioned view.
    """

    name: str
    description: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition: str
    checks: tuple[Check, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        names = self.column_names
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"table {self.name}: column declared twice: {', '.join(sorted(doubled))}")
        used = {*self.key, self.partition, *(c for check in self.checks for c in check.columns)}
        if unknown := used - set(names):
            raise ValueError(f"table {self.name}: no such column: {', '.join(sorted(unknown))}")

    def folder(self, day: date) -> str:
        """Where the lake keeps the partition of ``day``, relative to the lake."""
        return f"{self.name}/{self.partition}={day}"

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """The column of that name; ValueError with the known names if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ValueError(f"table {self.name} has no column {name!r}; it has {', '.join(self.column_names)}")
