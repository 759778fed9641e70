"""lake/events, text_scores → lake/customer_day, customer_product: a delivery added up by customer, once and for all."""

import argparse
import logging
from datetime import date
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from expectations import measures
from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_PRODUCT
from expectations.errors import DataError
from expectations.events import EVENTS, INGEST_REPORT
from expectations.profiles import PRICE_BOUNDS
from expectations.texts import TEXT_SCORES
from jobs.arguments import add_days, add_engine, add_skip_unchanged, days_of, job_parser
from jobs.behaviour import days as behaviour
from jobs.behaviour import merging, outliers, prices
from jobs.behaviour.months import month_of
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.text import scores

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger(__name__)

EVENTS_AT_ONCE = 2_000_000
"""Measured: whole months of eight million take a fifth more processor time and twice the memory, for the kernel clears
pages that a smaller sum finds again; fewer than a million wait for the engine's own steps."""


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("aggregate", __doc__)
    add_days(parser)
    add_engine(parser)
    add_skip_unchanged(parser)
    return parser


@cache
def recipe() -> str:
    """What makes customer_day and customer_product rows."""
    return recipe_of(CUSTOMER_DAY, CUSTOMER_PRODUCT, behaviour, measures, merging, outliers, prices, scores)


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day was added up by today's code from its events, their texts' scores and its month's bounds."""
    return prices.bounds_hold(home, month_of(day)) and _is_younger(home, day)


def _is_younger(home: Home, day: date) -> bool:
    """Whether the day was added up by today's code after what it is added up from was written."""
    inputs = [(LakeTable(home, EVENTS), day), (LakeTable(home, PRICE_BOUNDS), month_of(day))]
    if scores.has_text(home, day):
        if not _is_scored(home, day):
            return False
        inputs.append((LakeTable(home, TEXT_SCORES), day))
    return all(LakeTable(home, table).is_fresh(day, recipe(), inputs) for table in (CUSTOMER_PRODUCT, CUSTOMER_DAY))


def _is_scored(home: Home, day: date) -> bool:
    return LakeTable(home, TEXT_SCORES).written_at(day) > LakeTable(home, EVENTS).written_at(day)


def due(home: Home, days: list[date]) -> list[date]:
    """Those of ``days`` that are not fresh; bounds are made once a month."""
    hold = {month: prices.bounds_hold(home, month) for month in {month_of(day) for day in days}}
    return [day for day in days if not (hold[month_of(day)] and _is_younger(home, day))]


def main(args: argparse.Namespace) -> None:
    home, days = Home.from_environment(args.home), days_of(args, arg_parser())
    LakeTable(home, EVENTS).require(days)
    refuse_incomplete(home, days)
    if args.skip_unchanged:
        days = due(home, days)
    if not days:
        log.info("customer_day is up to date")
        return
    with open_engine(args.engine) as spark:
        # A month at a time, since its bounds need the days before it.
        for month, part in groupby(days, month_of):
            for few in _portions(home, list(part)):
                aggregate(spark, home, few)
            log.info("aggregated the days asked for of %s", f"{month:%Y-%m}")


def _portions(home: Home, days: list[date]) -> list[list[date]]:
    """``days`` in runs of some EVENTS_AT_ONCE."""
    table, portions, events = LakeTable(home, EVENTS), [[]], 0
    for day in days:
        if events >= EVENTS_AT_ONCE:
            portions, events = [*portions, []], 0
        portions[-1].append(day)
        events += table.row_count(day)
    return portions


def aggregate(spark: "SparkSession", home: Home, days: list[date]) -> None:
    """Writes customer_product and customer_day of ``days``, which lie in one month."""
    events = LakeTable(home, EVENTS).read(spark, days)
    products = behaviour.customer_products(events)
    marked = prices.mark_events(home, events, days)
    if len(days) > 1:
        # A delivery stays in one piece from here to its file. Measured: a fifth less time.
        marked = marked.repartition(min(len(days), 8), "arrival_date")
    LakeTable(home, CUSTOMER_PRODUCT).write(products, days, recipe())
    LakeTable(home, CUSTOMER_DAY).write(behaviour.customer_days(marked, texts(spark, home, days)), days, recipe())


def texts(spark: "SparkSession", home: Home, days: list[date]) -> "DataFrame | None":
    """The text measures of ``days``; None where nobody wrote anything. DataError if texts were not scored."""
    scored, written = LakeTable(home, TEXT_SCORES), [day for day in days if scores.has_text(home, day)]
    scored.require(written)
    if old := [day for day in written if not _is_scored(home, day)]:
        raise DataError(
            f"text_scores of {old[0]} is older than its events: run `python -m jobs encode_text` for the day"
        )
    return scores.text_sums(scored.read(spark, written)) if written else None


def refuse_incomplete(home: Home, days: list[date]) -> None:
    """DataError if a file of ``days`` was missing or not read whole: part of a day would pass for the whole."""
    report = LakeTable(home, INGEST_REPORT).read_arrow(days, ["arrival_date", "source_file", "is_complete"]).to_pylist()
    broken = [f"{row['source_file']} of {row['arrival_date']}" for row in report if not row["is_complete"]]
    if broken:
        shown = ", ".join(broken[:5]) + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
        raise DataError(f"not delivered whole: {shown}. Deliver again, then ingest the day again")
