"""What the rules have found → rows of risk_alerts: band, rank, cap and reasons in plain words."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd
import pyarrow as pa

from expectations.watch import RISK_ALERTS
from jobs.risk.settings import RiskSettings

DECIMALS = 6
LEAST_LISTED = 10
"""A share of a small shop's customers would be nobody."""


@dataclass(frozen=True)
class Found:
    """Of one kind of risk.

    rows   customer_key, score (0 … 1), event_date (a date or None), and what ``words`` tells; several a customer are
           allowed, the highest score counts
    words  the reasons of a row, the strongest first
    """

    kind: str
    rows: pd.DataFrame
    words: Callable[[object], Sequence[str]]


def cap(customers: int, settings: RiskSettings) -> int:
    """How many customers of ``customers`` a kind may list."""
    share = max(LEAST_LISTED, math.ceil(customers * settings.listed_share))
    return min(settings.most_listed, share)


def alerts(found: Found, day: date, customers: int, settings: RiskSettings) -> pa.Table:
    """Rows of the contract, the riskiest first; equal scores in order of customer_key."""
    rows = found.rows.assign(score=found.rows["score"].round(DECIMALS))
    rows = rows[rows["score"] >= settings.medium_from]
    rows = rows.sort_values(["score", "customer_key", "event_date"], ascending=[False, True, True], kind="stable")
    rows = rows.drop_duplicates("customer_key").head(cap(customers, settings))
    told = [(*found.words(row)[:3], None, None, None)[:3] for row in rows.itertuples()]
    high = rows["score"] >= settings.high_from
    columns = {
        "snapshot_date": [day] * len(rows),
        "customer_key": rows["customer_key"].tolist(),
        "kind": [found.kind] * len(rows),
        "rank": range(1, len(rows) + 1),
        "score": rows["score"].tolist(),
        "risk_band": high.map({True: "high", False: "medium"}).tolist(),
        "event_date": [None if pd.isna(when) else when for when in rows["event_date"]],
        **{f"reason_{n + 1}": [words[n] for words in told] for n in range(3)},
    }
    return table_of(columns)


def table_of(columns: dict[str, Sequence]) -> pa.Table:
    """``columns`` in the contract's types."""
    from jobs.schemas import arrow_schema

    schema = arrow_schema(RISK_ALERTS)
    return pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema)


def count(number: float, thing: str) -> str:
    """1 order, 14 orders."""
    plural = {"country": "countries", "category": "categories"}.get(thing, f"{thing}s")
    return f"{number:,.0f} {thing if number == 1 else plural}"


def money(amount: float) -> str:
    return f"{amount:,.0f}" if abs(amount) >= 20 else f"{amount:,.2f}"
