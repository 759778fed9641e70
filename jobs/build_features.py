"""lake/customer_day → lake/features: recency, frequency, monetary value and activity of every customer as of a date.

Point-in-time: a snapshot of D uses rows that happened by D and had arrived by D, so a late event never changes a past
snapshot, and running D again gives the same bytes.
"""

import argparse
import logging
import sys
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

from expectations.behaviour import CUSTOMER_DAY, FEATURES, WINDOWS_DAYS
from expectations.errors import DataError
from expectations.events import EVENTS
from jobs.arguments import add_engine, add_skip_unchanged, job_parser
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

log = logging.getLogger(__name__)
_COUNTS = ("event_count", "purchase_count", "return_count", "coupon_count", "campaign_count")
_AMOUNTS = ("purchase_amount", "return_amount", "discount_amount")


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("build_features", __doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--ds", type=date.fromisoformat, nargs="+", metavar="D", help="snapshot dates, YYYY-MM-DD")
    what.add_argument(
        "--for-training", type=date.fromisoformat, metavar="D", help="every snapshot that `ml train --cutoff D` reads"
    )
    add_engine(parser)
    add_skip_unchanged(parser)
    return parser


def features_as_of(customer_day: "DataFrame", snapshot: date) -> "DataFrame":
    """Rows of the features contract from customer_day rows; what happened or arrived after ``snapshot`` is left out."""
    from pyspark.sql import functions as F

    now = F.lit(snapshot.isoformat()).cast("date")
    known = customer_day.where((F.col("arrival_date") <= now) & (F.col("event_date") <= now))
    added = known.groupBy("customer_key").agg(
        F.min("event_date").alias("first_event_date"),
        F.sort_array(F.collect_set(F.when(F.col("purchase_count") > 0, F.col("event_date")))).alias("bought"),
        _orders(F.lit(True)).alias("order_count"),
        F.sum("purchase_amount").cast("double").alias("purchase_amount"),
        *(column for days in WINDOWS_DAYS for column in _window(now, days)),
    )
    return added.select("*", *_rhythm(now)).select(
        "customer_key",
        now.alias("snapshot_date"),
        F.datediff(now, F.col("first_event_date")).cast("int").alias("tenure_days"),
        *("recency_days", "first_purchase_date", "last_purchase_date", "frequency_days", "order_count"),
        F.when(F.col("frequency_days") > 0, F.col("purchase_amount") / F.col("frequency_days")).alias("monetary_value"),
        *("gap_mean_days", "gap_last_days", "gap_mean_before_last_days"),
        *(column for days in WINDOWS_DAYS for column in _window_names(now, days)),
    )


def _orders(inside: "Column") -> "Column":
    """Distinct orders of the rows ``inside``: the exact sets of the days, united."""
    from pyspark.sql import functions as F

    sets = F.collect_list(F.when(inside, F.col("order_ids")))
    return F.size(F.array_distinct(F.flatten(sets))).cast("bigint")


def _window(now: "Column", days: int) -> list["Column"]:
    """Sums over the last ``days`` days. Not purchase_days: it counts a set, lest late rows count twice."""
    from pyspark.sql import functions as F

    inside = F.datediff(now, F.col("event_date")) < days

    def total(name: str, kind: str) -> "Column":
        return F.coalesce(F.sum(F.when(inside, F.col(name))), F.lit(0)).cast(kind).alias(f"{name}_{days}d")

    counts = [total(name, "bigint") for name in _COUNTS]
    amounts = [total(name, "double") for name in _AMOUNTS]
    return [*counts, *amounts, _orders(inside).alias(f"order_count_{days}d")]


def _window_names(now: "Column", days: int) -> list["Column"]:
    from pyspark.sql import functions as F

    inside = F.filter("bought", lambda day: F.datediff(now, day) < days)
    names = [
        c.name for c in FEATURES.columns if c.name.endswith(f"_{days}d") and not c.name.startswith("purchase_days")
    ]
    return [F.size(inside).cast("bigint").alias(f"purchase_days_{days}d"), *(F.col(name) for name in names)]


def _rhythm(now: "Column") -> list["Column"]:
    """Recency, frequency and the gaps between purchase days, from the sorted days in ``bought``."""
    from pyspark.sql import functions as F

    count = F.size("bought")

    def bought(position: int, at_least: int) -> "Column":
        return F.when(count >= at_least, F.element_at("bought", position))

    first, last, before = bought(1, 1), bought(-1, 1), bought(-2, 2)
    return [
        F.datediff(now, last).cast("int").alias("recency_days"),
        first.alias("first_purchase_date"),
        last.alias("last_purchase_date"),
        count.cast("bigint").alias("frequency_days"),
        F.when(count >= 2, F.datediff(last, first) / (count - 1)).cast("double").alias("gap_mean_days"),
        F.datediff(last, before).cast("int").alias("gap_last_days"),
        F.when(count >= 3, F.datediff(before, first) / (count - 2)).cast("double").alias("gap_mean_before_last_days"),
    ]


def known_days(home: Home, snapshot: date) -> list[date]:
    """The partitions up to ``snapshot``, without a hole: a missing day would silently age every customer."""
    table, events = LakeTable(home, CUSTOMER_DAY), LakeTable(home, EVENTS)
    ingested = [day for day in events.days() if day <= snapshot]
    if not ingested:
        raise DataError(f"nothing was ingested up to {snapshot}: ingest and aggregate first")
    return table.require(ingested[0] + timedelta(days=n) for n in range((snapshot - ingested[0]).days + 1))


def training_snapshots(home: Home, cutoff: date) -> list[date]:
    """The cutoffs that training as of ``cutoff`` learns from and is tested on."""
    from ml.dataset import training_cutoffs

    return training_cutoffs(cutoff, known_days(home, cutoff)[0])


@cache
def recipe() -> str:
    """What makes feature rows."""
    return recipe_of(FEATURES, sys.modules[__name__])


def is_fresh(home: Home, snapshot: date) -> bool:
    """Whether the snapshot was built by today's code after every partition it is built from."""
    source = LakeTable(home, CUSTOMER_DAY)
    return LakeTable(home, FEATURES).is_fresh(snapshot, recipe(), [(source, day) for day in known_days(home, snapshot)])


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    source, target = LakeTable(home, CUSTOMER_DAY), LakeTable(home, FEATURES)
    snapshots = args.ds or training_snapshots(home, args.for_training)
    due = [day for day in sorted(set(snapshots)) if not (args.skip_unchanged and is_fresh(home, day))]
    plan = {snapshot: known_days(home, snapshot) for snapshot in due}
    if not plan:
        log.info("features are up to date")
        return
    with open_engine(args.engine) as spark:
        for snapshot, days in plan.items():
            target.write(features_as_of(source.read(spark, days), snapshot), [snapshot], recipe())
            log.info("built features as of %s from %d days", snapshot, len(days))
