"""The views of schema marts: what each answers, which rows it shows, and how a column of its table is shown."""

from dataclasses import dataclass

from expectations.contract import TYPES, Column, Table
from expectations.segments import CUSTOMER_SEGMENTS, PUBLISH_LOG, SEGMENT_SETTINGS, SEGMENT_SUMMARY


@dataclass(frozen=True, kw_only=True)
class View:
    """A view of schema marts over the stored ``table``.

    ``grain``: if it is not the table's. ``is_current``: shows the latest published day alone. ``like``: the view above
    that has the same columns.
    """

    name: str
    table: Table
    answers: str
    rows: str
    grain: str = ""
    is_current: bool = False
    like: str = ""

    @property
    def summary(self) -> str:
        """What it answers, from what, which rows and their grain: the view's comment in the database."""
        return f"{self.answers} {self.table.description} Rows: {self.rows} Grain: {self.grain or self.table.grain}."


VIEWS = {
    view.name: view
    for view in (
        View(name="customer_segments", table=CUSTOMER_SEGMENTS, is_current=True, grain="one row per customer",
             answers="Who is each customer now: worth what, at which stage, how likely to leave?",
             rows="The latest published day, so that one customer is one row."),
        View(name="customer_segments_history", table=CUSTOMER_SEGMENTS, like="customer_segments",
             answers="Who was each customer on a day, and who has moved between two days?",
             rows="Every published day; filter on snapshot_date."),
        View(name="segment_summary", table=SEGMENT_SUMMARY,
             answers="How many customers and how much value does each segment hold, and how does that change?",
             rows="Every published day; filter on snapshot_date. Segments without a customer have no row."),
        View(name="segment_settings", table=SEGMENT_SETTINGS,
             answers="Which thresholds made the segments of a day?",
             rows="Every published day; filter on snapshot_date."),
        View(name="publish_log", table=PUBLISH_LOG,
             answers="How fresh are the marts, which model scored them, and did a re-run change anything?",
             rows="Every publish; of a day published again the row with the highest publish_id holds."),
    )
}  # fmt: skip

DECIMALS = {"currency": 2, "share": 6}
"""Unit → decimals that the views show of a double; exact numbers, so that sums agree whatever their order."""


def rounded(column: Column, value: str) -> str:
    """The SQL expression ``value`` of that column as the views show it."""
    return f"round({value}::numeric, {DECIMALS[column.unit]})" if _is_rounded(column) else value


def shown_type(column: Column) -> str:
    """PostgreSQL type of the column in a view."""
    return "numeric" if _is_rounded(column) else TYPES[column.type][1]


def _is_rounded(column: Column) -> bool:
    return column.type == "double" and column.unit in DECIMALS


def meaning(column: Column) -> str:
    """Its description, and whether it may be null."""
    if not column.nullable or "null" in column.description:
        return column.description
    if column.required_for:
        return f"{column.description} May be null, but not for {' or '.join(column.required_for)}."
    return f"{column.description} May be null."


def bounds(column: Column) -> str:
    """Its least and greatest value in short; empty if it has neither."""
    low, high = column.minimum, column.maximum
    if low is not None and high is not None:
        return f"{low:g} … {high:g}"
    return f"≥ {low:g}" if low is not None else f"≤ {high:g}" if high is not None else ""
