"""lake/scores + lake/features → lake/customer_segments: tier, stage, band; their thresholds → segment_settings."""

import argparse
import logging
import sys
from datetime import date
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURES
from expectations.errors import DataError
from expectations.segments import CUSTOMER_SEGMENTS, SCORES, SEGMENT_SETTINGS
from jobs import lifecycle
from jobs.arguments import add_day, add_engine, job_parser
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.lifecycle import (
    DayCuts,
    SegmentSettings,
    churn_band,
    day_cuts,
    lifecycle_phase,
    lifecycle_stage,
    settings_rows,
    value_tier,
)
from jobs.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("segment", __doc__)
    add_day(parser)
    add_engine(parser)
    return parser


def join_scores(features: "DataFrame", scores: "DataFrame") -> "DataFrame":
    """Features and scores of the same snapshot, one row a customer; DataError if either has a customer of its own."""
    both = features.join(scores.drop("snapshot_date"), "customer_key")
    counts = {"features": features.count(), "scores": scores.count(), "both": both.count()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {n:,}" for name, n in counts.items())
        raise DataError(f"features and scores are not of the same customers ({told}): score the day again")
    return both


def segments(customers: "DataFrame", settings: SegmentSettings, cuts: DayCuts) -> "DataFrame":
    """Rows of the customer_segments contract from scored customers."""
    from pyspark.sql import functions as F

    staged = customers.withColumn("lifecycle_stage", lifecycle_stage(settings, cuts))
    return staged.select(
        "*",
        value_tier(cuts).alias("value_tier"),
        lifecycle_phase(F.col("lifecycle_stage")).alias("lifecycle_phase"),
        churn_band(settings).alias("churn_band"),
    )


def recipe(settings: SegmentSettings) -> str:
    """What makes a day's segments."""
    return recipe_of(CUSTOMER_SEGMENTS, sys.modules[__name__], lifecycle, settings)


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day was segmented by today's code and settings after its features and scores."""
    made = recipe(load_settings(home, "segment", SegmentSettings))
    inputs = [(LakeTable(home, FEATURES), day), (LakeTable(home, SCORES), day)]
    return LakeTable(home, CUSTOMER_SEGMENTS).is_fresh(day, made, inputs)


def main(args: argparse.Namespace) -> None:
    import pyarrow as pa

    home, day = Home.from_environment(args.home), args.ds
    settings = load_settings(home, "segment", SegmentSettings)
    features, scores = LakeTable(home, FEATURES), LakeTable(home, SCORES)
    features.require([day])
    scores.require([day])
    with open_engine(args.engine) as spark:
        customers = join_scores(features.read(spark, [day]), scores.read(spark, [day]))
        cuts = day_cuts(customers, settings)
        LakeTable(home, CUSTOMER_SEGMENTS).write(segments(customers, settings, cuts), [day], recipe(settings))
    rows = [{"snapshot_date": day, **row} for row in settings_rows(settings, cuts)]
    target = LakeTable(home, SEGMENT_SETTINGS)
    target.write_arrow(day, pa.Table.from_pylist(rows).select(target.table.column_names))
    log.info("segmented %s: tier high from %.2f, medium from %.2f", day, cuts.high_value_from, cuts.medium_value_from)
