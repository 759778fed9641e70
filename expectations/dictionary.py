"""Contracts → DICTIONARY.md, for those who query: the views of schema marts first, then a glossary, then the lake."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from expectations.check_texts import expected
from expectations.contract import TYPES, Check, Column, Table
from expectations.lifecycle import LIFECYCLE_DESCRIPTIONS, LIFECYCLE_ORDER, LIFECYCLE_PHASES, PHASE_DESCRIPTIONS
from expectations.publication import PUBLICATION
from expectations.segments import CHURN_BAND_DESCRIPTIONS, VALUE_TIER_DESCRIPTIONS
from expectations.tables import LAKE
from expectations.vault import VAULT
from expectations.views import VIEWS, View, bounds, meaning, shown_type

FILE = Path(__file__).with_name("DICTIONARY.md")

TERMS = {
    "as of": "With what was known by the end of `snapshot_date`, in the shop's time zone: events that had happened and "
    "had arrived.",
    "recency": "`recency_days`: days since the last purchase.",
    "frequency": "`frequency_days`: days with a purchase; two orders on one day count once.",
    "monetary value": "`monetary_value`: mean money paid per day with a purchase, before refunds.",
    "before refunds": "What was paid or will be, with nothing taken off for returns; refunds are "
    "`return_amount_30d` and `return_amount_365d`.",
    "tenure": "`tenure_days`: days since the first event of any type.",
    "churn": "No purchase in the `churn_days` after `snapshot_date` (30 unless the shop chose otherwise): "
    "`churn_probability`. `churn_probability_30d` = 1 − `purchase_probability_30d`. One hazard gives all of them, so "
    "that they never contradict one another.",
    "interval": "`…_low` and `…_high`: nine customers in ten spend between them, if the model is right.",
    "silent": "No purchase for longer than the customer's own rhythm allows: `silent_after_gaps` of their mean gaps "
    "between purchase days, at least `silent_least_days` and at most `silent_most_days`; `new_days` for who has bought "
    "on one day only.",
    "currency": "The shop's own currency, never converted.",
}

HEAD = """# Data dictionary

Generated from the contracts in `expectations/`; `python -m expectations` writes it anew. Do not edit.

Analysts query the views of schema `marts` in PostgreSQL, whose comments say the same (`\\d+ marts.customer_segments`).
A column that may be null says so; every other one is always filled. A check that says *fail* held before a day became
visible; one that says *warn* does not stop a day: see `data_quality`; those of the audit are counted in `publish_log`.
Views show money rounded to 2 decimals and shares to 6, as exact numbers;
a sum of rounded ones may be off in its last digits.
"""


def dictionary() -> str:
    """The whole text of DICTIONARY.md."""
    parts = [HEAD, "## Views of schema marts\n", *map(_view, VIEWS.values()), _between(), _glossary(), _vault()]
    return "\n".join([*parts, _LAKE_HEAD, *map(_lake_table, LAKE)])


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
        f"- Grain: {view.grain or view.table.grain}; key: {', '.join(_code(view.table.key))}",
        f"- Rows: {view.rows}",
        *_checks(view.table.checks),
    ]
    columns = f"Columns: those of `marts.{view.like}`.\n" if view.like else _columns(view.table, shown_type)
    return "\n".join(facts) + "\n\n" + columns


def _between() -> str:
    """What the audit asks of all tables of a day together."""
    head = "## Checks between the tables of a day\n\nSettings, section `checks`: `publication.<name>`.\n"
    return "\n".join([head, *_checks(PUBLICATION.checks)]) + "\n"


def _vault() -> str:
    """Where the shop's own ids are."""
    parts = [
        "## Schema vault, for role activation alone\n",
        "`python -m jobs export_audience` reads it; publishers add to it and cannot read it.\n",
    ]
    for table in VAULT:
        parts += [f"### vault.{table.name}\n", f"{table.description} Grain: {table.grain}.\n"]
        parts.append(_columns(table, lambda column: TYPES[column.type][1]))
    return "\n".join(parts)


_LAKE_HEAD = """## Tables of the lake, for data scientists

Parquet under `lake/<table>/<partition>=<day>/` of the home. Types are Spark SQL's; money that the views
round is a double here.
"""


def _lake_table(table: Table) -> str:
    facts = [
        f"### {table.name}\n",
        f"{table.description}\n",
        f"- Grain: {table.grain}; key within a partition: {', '.join(_code(table.key))}",
        f"- Partition: `{table.partition}`",
        *_checks(table.checks),
    ]
    same = table.name in VIEWS
    columns = (
        f"Columns: those of `marts.{table.name}`.\n" if same else _columns(table, lambda c: TYPES[c.type][0].lower())
    )
    return "\n".join(facts) + "\n\n" + columns


def _checks(checks: Iterable[Check]) -> Iterator[str]:
    yield from (f"- Check ({check.severity}) `{check.label}`: {expected(check)} ({check.why})" for check in checks)


def _columns(table: Table, type_of: Callable[[Column], str]) -> str:
    rows = ((f"`{c.name}`", type_of(c), c.unit, meaning(c), _allowed(c)) for c in table.columns)
    return _grid(("column", "type", "unit", "meaning", "allowed"), rows)


def _allowed(column: Column) -> str:
    return ", ".join(_code(column.values)) or bounds(column)


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
            f"{', '.join(_code(LIFECYCLE_ORDER))}. A stage stays empty where a shop's data cannot show it "
            "(prospects take other events than purchases) or nobody meets its bounds.\n",
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
