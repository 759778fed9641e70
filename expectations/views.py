"""The views of schema marts: what each answers, which rows it shows, and how a column of its table is shown."""

from dataclasses import dataclass

from expectations.clusters import CLUSTERS
from expectations.contract import TYPES, Column, Table
from expectations.lifecycle import STAGE_TRANSITIONS
from expectations.offers import NEXT_ACTIONS, RECOMMENDATION_QUALITY, RECOMMENDATIONS
from expectations.outcomes import COHORT_RETENTION, DATA_QUALITY, MODEL_PERFORMANCE
from expectations.portraits import SEGMENT_PORTRAITS
from expectations.segments import CUSTOMER_SEGMENTS, PUBLISH_LOG, SEGMENT_SETTINGS, SEGMENT_SUMMARY
from expectations.tags import CUSTOMER_TAGS
from expectations.watch import CHURN_WATCHLIST, RISK_ALERTS

EVERY_DAY = "Every published day; filter on snapshot_date."
THE_LATEST = "The latest published day alone"


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
             rows=f"{THE_LATEST}, so that one customer is one row."),
        View(name="customer_segments_history", table=CUSTOMER_SEGMENTS, like="customer_segments",
             answers="Who was each customer on a day, and who has moved between two days?", rows=EVERY_DAY),
        View(name="segment_summary", table=SEGMENT_SUMMARY,
             answers="How many customers and how much value does each segment hold, and how does that change?",
             rows=f"{EVERY_DAY} Segments without a customer have no row."),
        View(name="segment_portraits", table=SEGMENT_PORTRAITS, is_current=True,
             grain="one row per segment, fact and rank",
             answers="What is each tier, stage and cluster like, in words and numbers?",
             rows=f"{THE_LATEST}; sizes over time are in segment_summary and clusters."),
        View(name="clusters", table=CLUSTERS,
             answers="Which behaviour clusters are there, how good are they, and has one moved?", rows=EVERY_DAY),
        View(name="stage_transitions", table=STAGE_TRANSITIONS,
             answers="How many customers went from which stage to which?",
             rows=f"{EVERY_DAY} Flows of several days may be added up, those who stayed left out."),
        View(name="customer_tags", table=CUSTOMER_TAGS, is_current=True, grain="one row per customer and tag",
             answers="What describes each customer, in words to filter on?",
             rows=f"{THE_LATEST}, so that a customer carries a tag once."),
        View(name="churn_watchlist", table=CHURN_WATCHLIST, is_current=True, grain="one row per listed customer",
             answers="Who is worth keeping and likely to leave, and why?",
             rows=f"{THE_LATEST}, so that nobody is called twice."),
        View(name="risk_alerts", table=RISK_ALERTS, is_current=True, grain="one row per listed customer and kind",
             answers="Whose behaviour looks fraudulent, abusive or automated, and why?",
             rows=f"{THE_LATEST}; what was said on earlier days is in risk_alerts_history."),
        View(name="risk_alerts_history", table=RISK_ALERTS, like="risk_alerts",
             answers="Who was flagged on a day, for what, and for how long?",
             rows=f"{EVERY_DAY} A customer is in it on every day on which they were listed."),
        View(name="recommendations", table=RECOMMENDATIONS, is_current=True, grain="one row per customer and rank",
             answers="What is to be shown to each customer, and why?",
             rows=f"{THE_LATEST}, so that a product is shown to a customer once."),
        View(name="recommendation_quality", table=RECOMMENDATION_QUALITY,
             answers="How good are the recommendations, beside each customer's own frequency?", rows=EVERY_DAY),
        View(name="next_actions", table=NEXT_ACTIONS, is_current=True, grain="one row per customer",
             answers="What is to be done next about each customer, and who is left alone for comparison?",
             rows=f"{THE_LATEST}, so that one customer is one row."),
        View(name="next_actions_history", table=NEXT_ACTIONS, like="next_actions",
             answers="What was to be done about each customer on a day, to compare with who was held out?",
             rows=EVERY_DAY),
        View(name="cohort_retention", table=COHORT_RETENTION, is_current=True,
             grain="one row per cohort month and month since",
             answers="Of those who first bought in a month, who comes back in each later month?",
             rows=f"{THE_LATEST}, which holds every cohort's whole past."),
        View(name="model_performance", table=MODEL_PERFORMANCE,
             answers="Did what the model foretold come true?",
             rows=f"{EVERY_DAY} A day has rows for the windows that ended on it: none before a scored day is as "
                  "old as its window."),
        View(name="data_quality", table=DATA_QUALITY,
             answers="Were the day's data sound: which checks held, what became of every row?", rows=EVERY_DAY),
        View(name="segment_settings", table=SEGMENT_SETTINGS,
             answers="Which thresholds made the segments of a day?", rows=EVERY_DAY),
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
