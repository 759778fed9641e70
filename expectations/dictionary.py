"""Contracts → DICTIONARY.md, for those who query: the views of schema marts first, then a glossary, then the lake."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from expectations.contract import TYPES, Check, Column, Table
from expectations.segments import (
    CHURN_BAND_DESCRIPTIONS,
    CUSTOMER_SEGMENTS,
    LIFECYCLE_DESCRIPTIONS,
    LIFECYCLE_ORDER,
    LIFECYCLE_PHASES,
    PHASE_DESCRIPTIONS,
    PUBLISH_LOG,
    SEGMENT_SETTINGS,
    SEGMENT_SUMMARY,
    VALUE_TIER_DESCRIPTIONS,
)
from expectations.tables import LAKE

FILE = Path(__file__).with_name("DICTIONARY.md")
SPARK, POSTGRES = 0, 1


@dataclass(frozen=True)
class View:
    """A view of schema marts: the contract behind it, what it answers and which rows it shows.

    ``like``: the view above that has the same columns.
    """

    name: str
    table: Table
    answers: str
    rows: str
    like: str = ""


VIEWS = (
    View("customer_segments", CUSTOMER_SEGMENTS,
         "Who is each customer now: worth what, at which stage, how likely to leave?",
         "The latest published day, so that one customer is one row."),
    View("customer_segments_history", CUSTOMER_SEGMENTS,
         "Who was each customer on a day, and who has moved between two days?",
         "Every published day; filter on `snapshot_date`.", like="customer_segments"),
    View("segment_summary", SEGMENT_SUMMARY,
         "How many customers and how much value does each segment hold, and how does that change over time?",
         "Every published day; segments without a customer have no row."),
    View("segment_settings", SEGMENT_SETTINGS,
         "Which thresholds made the segments of a day?",
         "Every published day."),
    View("publish_log", PUBLISH_LOG,
         "How fresh are the marts, which model scored them, and did a re-run change anything?",
         "Every publish; of a day published again the row with the highest `publish_id` holds."),
)  # fmt: skip

TERMS = {
    "as of": "With what was known by the end of `snapshot_date`, in the shop's time zone: events that had happened and "
    "had arrived.",
    "recency": "`recency_days`: days since the last purchase.",
    "frequency": "`frequency_days`: days with a purchase; two orders on one day count once.",
    "monetary value": "`monetary_value`: mean money paid per day with a purchase.",
    "tenure": "`tenure_days`: days since the first event of any type.",
    "churn": "No purchase in the 30 days after `snapshot_date`; `churn_probability_30d` = 1 − "
    "`purchase_probability_30d`.",
    "silent": "No purchase for longer than the customer's own rhythm allows: `silent_after_gaps` of their mean gaps "
    "between purchase days, at least `silent_least_days`; `new_days` for who has bought on one day only.",
    "currency": "The shop's own currency, never converted.",
}

HEAD = """# Data dictionary

Generated from the contracts in `expectations/`; `python -m expectations` writes it anew. Do not edit.

Analysts query the views of schema `marts` in PostgreSQL, whose comments say the same (`\\d+ marts.customer_segments`).
A column that may be null says so; every other one is always filled. A check that says *fail* held before a day became
visible; one that says *warn* is counted in `publish_log`.
"""


def dictionary() -> str:
    """The whole text of DICTIONARY.md."""
    parts = [HEAD, "## Views of schema marts\n", *map(_view, VIEWS), _glossary(), "## Tables of the lake\n", _LAKE_HEAD]
    return "\n".join([*parts, *map(_lake_table, LAKE)])


def differences(committed: str) -> list[str]:
    """Lines in which ``committed`` differs from what the contracts say now, marked - (stale) and + (now)."""
    return list(
        difflib.unified_diff(
            committed.splitlines(), dictionary().splitlines(), "DICTIONARY.md", "contracts", "", "", 0, ""
        )
    )


def _view(view: View) -> str:
    facts = [
        f"### marts.{view.name}\n",
        f"**{view.answers}** {view.table.description}\n",
        f"- Grain: {view.table.grain}; key: {', '.join(_code(view.table.key))}",
        f"- Rows: {view.rows}",
        *_checks(view.table.checks),
    ]
    columns = f"Columns: those of `marts.{view.like}`.\n" if view.like else _columns(view.table, POSTGRES)
    return "\n".join(facts) + "\n\n" + columns


_LAKE_HEAD = """Parquet under `lake/<table>/<partition>=<day>/` of the home, for data scientists. Types are Spark SQL's.
"""


def _lake_table(table: Table) -> str:
    facts = [
        f"### {table.name}\n",
        f"{table.description}\n",
        f"- Grain: {table.grain}; key within a partition: {', '.join(_code(table.key))}",
        f"- Partition: `{table.partition}`",
        *_checks(table.checks),
    ]
    return "\n".join(facts) + "\n\n" + _columns(table, SPARK)


def _checks(checks: Iterable[Check]) -> Iterator[str]:
    for check in checks:
        low = "" if check.minimum is None else f" at least {check.minimum:,g}"
        high = "" if check.maximum is None else f" at most {check.maximum:,g}"
        what = " ".join((check.kind.replace("_", " "), *(f"of `{name}`" for name in check.columns)))
        yield f"- Check ({check.severity}): {what}{low}{' and' if low and high else ''}{high}: {check.why}"


def _columns(table: Table, dialect: int) -> str:
    rows = ((f"`{c.name}`", TYPES[c.type][dialect].lower(), c.unit, _meaning(c), _allowed(c)) for c in table.columns)
    return _grid(("column", "type", "unit", "meaning", "allowed"), rows)


def _meaning(column: Column) -> str:
    if not column.nullable or "null" in column.description:
        return column.description
    filled = (
        f" May be null, but not for {' or '.join(column.required_for)}." if column.required_for else " May be null."
    )
    return column.description + filled


def _allowed(column: Column) -> str:
    if column.values:
        return ", ".join(_code(column.values))
    low, high = column.minimum, column.maximum
    if low is not None and high is not None:
        return f"{low:g} … {high:g}"
    return f"≥ {low:g}" if low is not None else f"≤ {high:g}" if high is not None else ""


def _glossary() -> str:
    stages = (
        (f"`{stage}`", text, f"`{LIFECYCLE_PHASES[stage]}`: {PHASE_DESCRIPTIONS[LIFECYCLE_PHASES[stage]]}")
        for stage, text in LIFECYCLE_DESCRIPTIONS.items()
    )
    return "\n".join(
        [
            "## Glossary\n",
            "Thresholds are columns or names in `marts.segment_settings`, with the values that made each day.\n",
            "### Value tiers\n",
            _grid(("tier", "meaning"), _words(VALUE_TIER_DESCRIPTIONS)),
            "### Lifecycle stages\n",
            "A customer has exactly one: the first that holds in the order "
            f"{', '.join(_code(LIFECYCLE_ORDER))}. A stage that a shop's data cannot show (no prospects without "
            "events before the first purchase) stays empty.\n",
            _grid(("stage", "meaning", "phase: the management task"), stages),
            "### Churn bands\n",
            _grid(("band", "meaning"), _words(CHURN_BAND_DESCRIPTIONS)),
            "### Terms\n",
            _grid(("term", "meaning"), TERMS.items()),
        ]
    )


def _words(meanings: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((f"`{word}`", text) for word, text in meanings.items())


def _code(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def _grid(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; a bar inside a cell would end it."""
    lines = [head, ("-",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
