"""lake/customer_day → lake/features, preferences: what is known of every customer as of a date.

Point-in-time: a snapshot of D uses rows that happened by D and had arrived by D, so a late event never changes a past
snapshot, and running D again gives the same bytes. Months that have closed are rolled up first, once.
"""

import argparse
import logging
import sys
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

from expectations import features
from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_MONTH, CUSTOMER_PRODUCT, FEATURES, PREFERENCES
from expectations.dimensions import CUSTOMERS
from expectations.errors import DataError
from expectations.events import EVENTS
from jobs.arguments import add_engine, add_skip_unchanged, job_parser
from jobs.behaviour import customers, demographics, merging, months, plan, preferences, rollup, windows
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger(__name__)


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


def known_days(home: Home, snapshot: date) -> list[date]:
    """The partitions up to ``snapshot``, without a hole: a missing day would silently age every customer."""
    ingested = [day for day in LakeTable(home, EVENTS).days() if day <= snapshot]
    if not ingested:
        raise DataError(f"nothing was ingested up to {snapshot}: ingest and aggregate first")
    wanted = (ingested[0] + timedelta(days=n) for n in range((snapshot - ingested[0]).days + 1))
    return LakeTable(home, CUSTOMER_DAY).require(wanted)


def training_snapshots(home: Home, cutoff: date) -> list[date]:
    """The cutoffs that training as of ``cutoff`` learns from and is tested on."""
    from ml.settings import training_cutoffs

    return training_cutoffs(cutoff, known_days(home, cutoff)[0], home.path)


@cache
def _code() -> str:
    own = sys.modules[__name__]
    return recipe_of(
        FEATURES,
        PREFERENCES,
        customers,
        demographics,
        features,
        merging,
        months,
        own,
        plan,
        preferences,
        rollup,
        windows,
    )


def recipe(home: Home) -> str:
    """What makes feature rows: the code, and the settings of the home."""
    return recipe_of(FEATURES, _code(), demographics.settings(home))


def is_fresh(home: Home, snapshot: date) -> bool:
    """Whether the snapshot was built by today's code and settings after every partition it is built from."""
    days, told = known_days(home, snapshot), demographics.delivered(home, snapshot)
    inputs = [(LakeTable(home, table), day) for table in (CUSTOMER_DAY, CUSTOMER_PRODUCT) for day in days]
    inputs += [(LakeTable(home, CUSTOMERS), day) for day in told]
    return all(LakeTable(home, table).is_fresh(snapshot, recipe(home), inputs) for table in (PREFERENCES, FEATURES))


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    snapshots = sorted(set(args.ds or training_snapshots(home, args.for_training)))
    due = [day for day in snapshots if not (args.skip_unchanged and is_fresh(home, day))]
    if not due:
        log.info("features are up to date")
        return
    known = {snapshot: known_days(home, snapshot) for snapshot in due}
    with open_engine(args.engine) as spark:
        for snapshot, days in known.items():
            build(spark, home, snapshot, days)
            log.info("built features as of %s", snapshot)


def build(spark: "SparkSession", home: Home, snapshot: date, days: list[date]) -> None:
    """Writes preferences and features of ``snapshot`` from ``days``, all that it knows, and the roll-ups they need."""
    reading, made_by = plan.plan_of(snapshot, days[0]), recipe(home)
    rollup.renew(spark, home, reading)
    LakeTable(home, PREFERENCES).write(_preferences(spark, home, snapshot, days), [snapshot], made_by, files=4)
    LakeTable(home, FEATURES).write(_features(spark, home, snapshot, reading), [snapshot], made_by, files=4)


def _preferences(spark: "SparkSession", home: Home, snapshot: date, days: list[date]) -> "DataFrame":
    earliest = snapshot - timedelta(days=preferences.WINDOW_DAYS - 1)
    recent = [day for day in days if day >= earliest]
    return preferences.preferences(LakeTable(home, CUSTOMER_PRODUCT).read(spark, recent), snapshot)


def _features(spark: "SparkSession", home: Home, snapshot: date, reading: plan.Plan) -> "DataFrame":
    rows = _rows(spark, home, snapshot, reading)
    lives = customers.life(rollup.lives(spark, home, reading, snapshot), snapshot)
    told = demographics.known(spark, home, snapshot)
    sums = windows.window_sums(windows.by_age(rows))
    return customers.customer_features(lives, sums, customers.order_windows(rows), told, snapshot)


def _rows(spark: "SparkSession", home: Home, snapshot: date, reading: plan.Plan) -> "DataFrame":
    """Rows of days and months with their age; what lies before every window is left out."""
    from pyspark.sql import functions as F

    days = LakeTable(home, CUSTOMER_DAY).read(spark, reading.days).withColumn("period_start_date", F.col("event_date"))
    wanted = ["customer_key", "period_start_date", *windows.needed(), "order_ids"]
    rows = days.select(wanted)
    if reading.months:
        rows = rows.unionByName(LakeTable(home, CUSTOMER_MONTH).read(spark, reading.months).select(wanted))
    back = F.datediff(months.day_literal(snapshot), F.col("period_start_date"))
    return rows.withColumn("age", windows.age(back)).where(F.col("age") < len(windows.WINDOWS_DAYS))
