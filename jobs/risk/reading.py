"""lake/events of a bounded window → orders, visits and reviews, added up by the engine."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from expectations.events import EVENTS, SESSION_TYPES
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.risk.settings import RiskSettings

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Window:
    """first: the first event date of which there may be alerts; before: the first that tells what is usual."""

    before: date
    first: date
    day: date


def window_of(day: date, settings: RiskSettings) -> Window:
    first = day - timedelta(days=settings.window_days - 1)
    return Window(first - timedelta(days=settings.history_days), first, day)


def deliveries(home: Home, window: Window) -> list[date]:
    """Partitions of events that can hold what happened in the window, up to its day."""
    events = LakeTable(home, EVENTS)
    events.require([window.day])
    return [day for day in events.days() if window.before <= day <= window.day]


@dataclass(frozen=True)
class Behaviour:
    """orders: one row an order, from ``before`` on; visits, reviews: one row each, of the window."""

    orders: pa.Table
    visits: pa.Table
    reviews: pa.Table


def read_behaviour(spark: "SparkSession", home: Home, window: Window, settings: RiskSettings) -> Behaviour:
    from pyspark.sql import functions as F

    events = LakeTable(home, EVENTS).read(spark, deliveries(home, window))
    events = events.where(F.col("event_date").between(F.lit(window.before), F.lit(window.day)))
    recent = events.where(F.col("event_date") >= F.lit(window.first))
    found = orders(events), visits(recent, settings.bot_least_events), reviews(recent)
    return Behaviour(*(rows.toArrow() for rows in found))


def orders(events: "DataFrame") -> "DataFrame":
    """One row an order: when, by what device, from where, how paid, how much. Where lines disagree, the first name.

    device_since, country_since: when the customer was first seen with them; seen_since: first seen at all.
    """
    from pyspark.sql import functions as F

    bought = events.where((F.col("event_type") == "purchase") & F.col("order_id").isNotNull())
    rows = bought.groupBy("customer_key", "order_id").agg(
        F.min("event_time").alias("at"),
        F.min("event_date").alias("event_date"),
        F.min("event_hour").alias("hour"),
        F.min("device").alias("device"),
        F.min("country").alias("country"),
        F.min("payment_hash").alias("payment"),
        F.sum("amount").cast("double").alias("amount"),
    )
    for name in ("device", "country"):
        rows = rows.join(first_seen(events, name), ["customer_key", name], "left")
    seen = events.groupBy("customer_key").agg(F.min("event_date").alias("seen_since"))
    return rows.join(seen, "customer_key").drop("order_id")


def first_seen(events: "DataFrame", name: str) -> "DataFrame":
    """customer_key, ``name``, ``name``_since: the date of the customer's first event with that device or country."""
    from pyspark.sql import functions as F

    known = events.where(F.col(name).isNotNull())
    return known.groupBy("customer_key", name).agg(F.min("event_date").alias(f"{name}_since"))


def visits(events: "DataFrame", least_events: int) -> "DataFrame":
    """Visits of at least so many events other than purchases: events, seconds, views and purchase lines of each."""
    from pyspark.sql import functions as F

    def how_many(of: "F.Column") -> "F.Column":
        return F.sum(F.when(of, 1).otherwise(0)).cast("bigint")

    kind = F.col("event_type")
    of_visit = events.where(F.col("session_id").isNotNull() & kind.isin(*SESSION_TYPES))
    found = of_visit.groupBy("customer_key", "session_id").agg(
        F.min("event_date").alias("event_date"),
        how_many(kind != "purchase").alias("events"),
        how_many(kind == "view").alias("views"),
        how_many(kind == "purchase").alias("purchases"),
        F.sum("session_step_seconds").cast("bigint").alias("seconds"),
    )
    return found.where(F.col("events") >= least_events)


def reviews(events: "DataFrame") -> "DataFrame":
    from pyspark.sql import functions as F

    return events.where(F.col("event_type") == "review").select("customer_key", "event_date", "text")


def sorted_orders(orders: pa.Table) -> "pd.DataFrame":
    """By customer_key and time, ties by what they hold; texts as categories, which a million customers' orders need."""
    by = [(name, "ascending") for name in ("customer_key", "at", "amount", "payment", "device", "country")]
    return orders.sort_by(by).to_pandas(strings_to_categorical=True)
