"""What the page tells of, read once: the day's tables of the lake, and what the warehouse says of its publish."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from expectations.clusters import CLUSTERS
from expectations.contract import Table
from expectations.lifecycle import STAGE_TRANSITIONS
from expectations.offers import NEXT_ACTIONS, RECOMMENDATIONS
from expectations.outcomes import COHORT_RETENTION, DATA_QUALITY, MODEL_PERFORMANCE
from expectations.portraits import SEGMENT_PORTRAITS
from expectations.segments import CUSTOMER_SEGMENTS, SEGMENT_SETTINGS
from expectations.watch import CHURN_WATCHLIST, RISK_ALERTS
from jobs.home import Home
from jobs.lake import LakeTable

SEGMENT_COLUMNS = ("value_tier", "lifecycle_stage", "churn_band", "is_eligible", "expected_spend_30d",
                   "purchase_amount_365d", "churn_days", "model_name", "model_version")  # fmt: skip
OFFER_COLUMNS = ("customer_key", "product_id", "reason", "is_repeat", "strategy")
PERFORMANCE_DAYS = 60
"""Snapshots of model_performance that are shown."""


@dataclass(frozen=True)
class Day:
    """Everything that the page shows; frames are empty where a table has no partition of the day."""

    day: date
    shop: str
    is_simulated: bool
    currency: str
    published_at: datetime | None
    value_rule: str
    segments: pd.DataFrame
    transitions: pd.DataFrame
    portraits: pd.DataFrame
    clusters: pd.DataFrame
    cohorts: pd.DataFrame
    watchlist: pd.DataFrame
    alerts: pd.DataFrame
    actions: pd.DataFrame
    offers: pd.DataFrame
    performance: pd.DataFrame
    quality: pd.DataFrame
    maps: tuple[Path, ...]

    def money(self, value: float) -> str:
        return "–" if pd.isna(value) else f"{value:,.0f} {self.currency}".strip()


def read_day(home: Home, day: date) -> Day:
    """DataError if the day has no segments yet."""
    from jobs.reading.mapping import load_mapping

    mappings = [load_mapping(source) for source in home.sources]
    LakeTable(home, CUSTOMER_SEGMENTS).require([day])
    matured = [one for one in LakeTable(home, MODEL_PERFORMANCE).days() if one <= day][-PERFORMANCE_DAYS:]
    return Day(
        day=day,
        shop=", ".join(home.sources),
        is_simulated=any(mapping.simulated for mapping in mappings),
        currency=mappings[0].currency or "",
        published_at=published_at(home, day),
        value_rule=value_rule(home, day),
        segments=_read(home, CUSTOMER_SEGMENTS, [day], SEGMENT_COLUMNS),
        transitions=_read(home, STAGE_TRANSITIONS, [day]),
        portraits=_read(home, SEGMENT_PORTRAITS, [day]),
        clusters=_read(home, CLUSTERS, [day]),
        cohorts=_read(home, COHORT_RETENTION, [day]),
        watchlist=_read(home, CHURN_WATCHLIST, [day]),
        alerts=_read(home, RISK_ALERTS, [day]),
        actions=_read(home, NEXT_ACTIONS, [day], ("action", "channel", "is_due", "is_held_out")),
        offers=_read(home, RECOMMENDATIONS, [day], OFFER_COLUMNS),
        performance=_read(home, MODEL_PERFORMANCE, matured),
        quality=_read(home, DATA_QUALITY, [day]),
        maps=tuple(sorted((home.path / "reports" / "maps" / f"ds={day}").glob("*.png"))),
    )


def _read(home: Home, table: Table, days: list[date], columns: tuple[str, ...] = ()) -> pd.DataFrame:
    lake = LakeTable(home, table)
    return lake.read_arrow([day for day in days if lake.has(day)], list(columns) or None).to_pandas()


def value_rule(home: Home, day: date) -> str:
    """By which the day's tiers were cut; empty where nothing says it."""
    settings = _read(home, SEGMENT_SETTINGS, [day], ("name", "text"))
    return next(iter(settings.loc[settings["name"] == "value_rule", "text"]), "")


def published_at(home: Home, day: date) -> datetime | None:
    """When the day was last published; None if it is not, or there is no warehouse to ask."""
    import psycopg

    from expectations.errors import LifestageError
    from jobs.marts.warehouse import READER, connect

    try:
        with connect(home, READER) as connection:
            query = "select max(published_at) from marts.publish_log where snapshot_date = %s"
            return connection.execute(query, [day]).fetchone()[0]
    except (LifestageError, psycopg.Error):  # a view or a right may be missing as well
        return None
