"""lake/events → lake/customer_day: a delivery's events added up by customer and day; windows never re-read them."""

import argparse
import logging
import sys
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from expectations.behaviour import CUSTOMER_DAY
from expectations.errors import DataError
from expectations.events import EVENTS, INGEST_REPORT
from jobs.arguments import add_days, add_engine, add_skip_unchanged, days_of, job_parser
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)
SLICE_DAYS = 92
"""Days aggregated at once: a slice's events must fit in memory while they are sorted by customer."""


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("aggregate", __doc__)
    add_days(parser)
    add_engine(parser)
    add_skip_unchanged(parser)
    return parser


def customer_days(events: "DataFrame") -> "DataFrame":
    """Rows of the customer_day contract from rows of the events contract."""
    from pyspark.sql import functions as F

    def is_(event_type: str):
        return F.col("event_type") == event_type

    def count(event_type: str):
        return F.sum(F.when(is_(event_type), 1).otherwise(0)).cast("bigint")

    def total(column: str, event_type: str):
        exact = F.sum(F.when(is_(event_type), F.col(column)))
        return F.coalesce(exact, F.lit(0)).cast("decimal(18,4)")

    return events.groupBy("customer_key", "event_date", "arrival_date").agg(
        F.count("*").alias("event_count"),
        count("purchase").alias("purchase_count"),
        count("return").alias("return_count"),
        count("coupon_redeem").alias("coupon_count"),
        count("campaign_send").alias("campaign_count"),
        F.sort_array(F.collect_set(F.when(is_("purchase"), F.col("order_id")))).alias("order_ids"),
        total("quantity", "purchase").alias("quantity"),
        total("amount", "purchase").alias("purchase_amount"),
        total("amount", "return").alias("return_amount"),
        total("discount_amount", "purchase").alias("discount_amount"),
    )


@cache
def recipe() -> str:
    """What makes customer_day rows."""
    return recipe_of(CUSTOMER_DAY, sys.modules[__name__])


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day was added up by today's code after its events were written."""
    return LakeTable(home, CUSTOMER_DAY).is_fresh(day, recipe(), [(LakeTable(home, EVENTS), day)])


def main(args: argparse.Namespace) -> None:
    home, days = Home.from_environment(args.home), days_of(args, arg_parser())
    events, target = LakeTable(home, EVENTS), LakeTable(home, CUSTOMER_DAY)
    events.require(days)
    refuse_incomplete(home, days)
    if args.skip_unchanged:
        days = [day for day in days if not is_fresh(home, day)]
    if not days:
        log.info("customer_day is up to date")
        return
    with open_engine(args.engine) as spark:
        for part in slices(days, SLICE_DAYS):
            target.write(customer_days(events.read(spark, part)), part, recipe())
            log.info("aggregated %s … %s", part[0], part[-1])


def refuse_incomplete(home: Home, days: list[date]) -> None:
    """DataError if a file of ``days`` was missing or not read whole: part of a day would pass for the whole."""
    report = LakeTable(home, INGEST_REPORT).read_arrow(days, ["arrival_date", "source_file", "is_complete"]).to_pylist()
    broken = [f"{row['source_file']} of {row['arrival_date']}" for row in report if not row["is_complete"]]
    if broken:
        shown = ", ".join(broken[:5]) + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
        raise DataError(f"not delivered whole: {shown}. Deliver again, then ingest the day again")


def slices(days: list[date], size: int) -> list[list[date]]:
    """``days`` in runs of at most ``size``."""
    return [days[n : n + size] for n in range(0, len(days), size)]
