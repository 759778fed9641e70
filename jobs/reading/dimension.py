"""A dimension of a source mapping: files in which the shop tells of its products, customers or campaigns."""

import math
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from expectations.dimensions import DIMENSIONS
from jobs.reading.clean_ids import IdRule, check_ids
from jobs.reading.feed_checks import check_columns, check_files, check_layout, check_named, check_times
from jobs.reading.layout import Layout
from jobs.reading.yaml_lines import Lined, fields_of, is_text

TABLES = {table.name: table for table in DIMENSIONS}
SEVERAL = {"category": "joins"}


@dataclass(frozen=True, kw_only=True)
class Dimension(Layout):
    """One file of a table of expectations.dimensions: whole, as of its day.

    ``files`` without {ds} is one delivery, known from the first day that the source expects. ``values``: target → text
    of the file → what it means, where it does not stand for itself (a band of ages → its middle).
    """

    table: str
    files: str
    columns: dict[str, tuple[str, ...]]
    optional: bool = False
    time_formats: tuple[str, ...] = ()
    ids: dict[str, IdRule] = field(default_factory=dict)
    values: dict[str, dict[str, str | float]] = field(default_factory=dict)

    @property
    def is_daily(self) -> bool:
        return self.files.format(ds=date.min) != self.files

    @property
    def key(self) -> str:
        """The target that says of what a row speaks."""
        return key_of(self.table)

    @property
    def source_columns(self) -> list[str]:
        """Every column the file must have."""
        return list(dict.fromkeys(c for several in self.columns.values() for c in several))


def key_of(table: str) -> str:
    """The id that a mapping fills: of customers the shop's own, which is keyed."""
    return "customer_id" if table == "customers" else TABLES[table].key[-1]


def parse_dimension(raw: Any, owner: Lined) -> Dimension:
    """A dimension from its YAML; SetupError with the line of what is wrong."""
    raw = fields_of(owner, raw, Dimension, "a dimension", at="dimensions")
    if raw["table"] not in TABLES:
        raw.fail(f"no table {raw['table']!r}; known: {', '.join(TABLES)}", "table")
    key = key_of(raw["table"])
    given = {"source", "arrival_date", "customer_key"}
    fillable = (key, *(name for name in TABLES[raw["table"]].column_names if name not in {key, *given}))
    columns = check_columns(raw, fillable, (key,), SEVERAL)
    check_files(raw, must_hold_day=False)
    layout, formats = check_layout(raw), check_times(raw)
    dates = [target for target in columns if _kind(raw["table"], target) == "date"]
    if dates and not formats and raw.get("format") != "parquet":
        raw.fail(f"{', '.join(dates)}: time_formats must say how dates are written", "columns")
    made = Dimension(**{**raw, **layout, "columns": columns, "time_formats": formats,
                        "ids": check_ids(raw, columns, (key,)), "values": _values(raw, columns)})  # fmt: skip
    check_named(raw, made.column_names, made.source_columns)
    return made


def _kind(table: str, target: str) -> str:
    return "string" if target == "customer_id" else TABLES[table].column(target).type


def _values(owner: Lined, columns: dict[str, tuple[str, ...]]) -> dict[str, dict[str, str | float]]:
    raw = owner.get("values", {})
    if "values" in owner and not isinstance(raw, Lined):
        owner.fail(f"values must be target: pairs, found {raw!r}", "values")
    for target, pairs in raw.items():
        if target not in columns or target == key_of(owner["table"]):
            raw.fail(f"values: {target!r} is no target that columns fill, or the key itself", target)
        if not isinstance(pairs, Lined) or not pairs:
            raw.fail(f"values: {target} must be text of the file: meaning pairs, found {pairs!r}", target)
        _check_pairs(pairs, target, _kind(owner["table"], target))
    return {target: dict(pairs) for target, pairs in raw.items()}


def _check_pairs(pairs: Lined, target: str, kind: str) -> None:
    for text, meaning in pairs.items():
        if not is_text(text):
            pairs.fail(f"values: {text!r} must be a text: write it in quotes", text)
        is_number = isinstance(meaning, int | float) and not isinstance(meaning, bool) and math.isfinite(meaning)
        if kind == "date":
            pairs.fail(f"values: {target} is a date, which stands for itself", text)
        if not (is_text(meaning) if kind == "string" else is_number):
            pairs.fail(
                f"values: {target}: {text!r} must mean a {'text' if kind == 'string' else 'number'}, found {meaning!r}",
                text,
            )
