"""lake/scores + lake/features → lake/customer_segments: tier, stage, band; their thresholds → segment_settings."""

import argparse
import logging
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURES
from expectations.segments import CUSTOMER_SEGMENTS, SCORES, SEGMENT_SETTINGS
from jobs.arguments import add_day, add_engine, job_parser
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable
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
    """Features and scores of the same snapshot, one row a customer."""
    return features.join(scores.drop("snapshot_date"), "customer_key")


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
        LakeTable(home, CUSTOMER_SEGMENTS).write(segments(customers, settings, cuts), [day])
    rows = [{"snapshot_date": day, **row} for row in settings_rows(settings, cuts)]
    target = LakeTable(home, SEGMENT_SETTINGS)
    target.write_arrow(day, pa.Table.from_pylist(rows).select(target.table.column_names))
    log.info("segmented %s: tier high from %.2f, medium from %.2f", day, cuts.high_value_from, cuts.medium_value_from)
