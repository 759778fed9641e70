"""Customers of a made-up snapshot, and homes that hold them, for the tests of segments."""

from datetime import date, timedelta

import pandas as pd
import pyarrow as pa

from expectations.behaviour import FEATURES
from expectations.contract import Table
from expectations.segments import SCORES
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from jobs.segments.customers import RULES_READ
from tests.jobs.rows import filled

DAY = date(2024, 3, 4)

NEVER = {"recency_days": None, "frequency_days": 0, "gap_mean_days": None, "gap_last_days": None, "is_eligible": False,
         "gap_mean_before_last_days": None, "first": None}  # fmt: skip
ONCE = {"frequency_days": 1, "gap_mean_days": None, "gap_last_days": None, "gap_mean_before_last_days": None}


def customer(**changed) -> dict:
    """A regular in rhythm: buys every ten days, last five days ago. ``first``: days since the first purchase."""
    row = {
        "customer_key": "a", "snapshot_date": DAY, "tenure_days": 100, "recency_days": 5, "frequency_days": 9,
        "gap_mean_days": 10.0, "gap_last_days": 10, "gap_mean_before_last_days": 10.0, "purchase_days_365d": 9,
        "purchase_amount_365d": 90.0, "is_eligible": True, "purchase_probability_30d": 0.9, "expected_spend_30d": 30.0,
        "churn_probability": 0.1, "first": 100, "stage_before": None, "since_before": None, "previous_before": None,
    } | changed  # fmt: skip
    day, first = row["snapshot_date"], row.pop("first")
    if "first_purchase_date" not in row:
        row["first_purchase_date"] = None if first is None else day - timedelta(days=first)
    return row


def frame(*rows: dict) -> pd.DataFrame:
    """As the rules see customers: missing numbers NaN, missing dates NaT."""
    made = pd.DataFrame(list(rows))[list(RULES_READ)]
    numbers = [name for name in made if name.endswith("_days") or name in ("recency_days", "purchase_days_365d")]
    dates = [name for name in made if name.endswith(("_date", "since_before"))]
    made = made.astype(dict.fromkeys(numbers, float))
    return made.assign(**{name: pd.to_datetime(made[name]) for name in dates})


def write_day(home: Home, day: date, *rows: dict) -> None:
    """Features and scores of ``day`` into the lake."""
    for table in (FEATURES, SCORES):
        LakeTable(home, table).write_arrow(day, table_of(table, [{**row, "snapshot_date": day} for row in rows]))


def table_of(table: Table, rows: list[dict]) -> pa.Table:
    """Rows of ``table`` from what is known of them."""
    return pa.Table.from_pylist([filled(table, **row) for row in rows], arrow_schema(table))
