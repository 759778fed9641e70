"""Segments, features, preferences, tags → lake/segment_portraits: tiers, stages, clusters in words and numbers."""

import argparse
import logging
from datetime import date
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURE_NAMES, FEATURES, PREFERENCES
from expectations.clusters import CLUSTERS
from expectations.portraits import SEGMENT_PORTRAITS
from expectations.segments import CUSTOMER_SEGMENTS
from expectations.tags import CUSTOMER_TAGS
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.recipes import code_of

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("portray", __doc__)
    add_day(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    import pyarrow as pa

    from jobs.profiles import portraits
    from jobs.schemas import arrow_schema

    home, day = Home.from_environment(args.home), args.ds
    tags = LakeTable(home, CUSTOMER_TAGS).read_arrow([day], ["customer_key", "tag"]).to_pandas()
    rows = portraits.portraits(read_customers(home, day), tags, list(FEATURE_NAMES), day, cluster_names(home, day))
    table = pa.Table.from_pylist(rows, arrow_schema(SEGMENT_PORTRAITS))
    LakeTable(home, SEGMENT_PORTRAITS).write_arrow(day, table, recipe())
    summaries = sum(row["fact"] == "summary" for row in rows)
    log.info("portrayed %d segments of %s in %s facts", summaries, day, f"{len(rows):,}")


def recipe() -> str:
    """What makes a day's portraits, beside the tables they are read from."""
    words = ("ml.reasons.facts", "ml.reasons.words")
    return recipe_of(SEGMENT_PORTRAITS, code_of(__name__, "jobs.profiles.portraits", "jobs.profiles.apart", *words))


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day was portrayed by today's code, after all that it was read from."""
    read = (CUSTOMER_SEGMENTS, FEATURES, PREFERENCES, CUSTOMER_TAGS, CLUSTERS)
    return LakeTable(home, SEGMENT_PORTRAITS).is_fresh(day, recipe(), [(LakeTable(home, one), day) for one in read])


def cluster_names(home: Home, day: date) -> dict[str, str]:
    """cluster_id, as text → name; none on a day without clusters."""
    made = LakeTable(home, CLUSTERS)
    rows = made.read_arrow([day] if made.has(day) else [], ["cluster_id", "cluster_name"]).to_pylist()
    return {str(row["cluster_id"]): row["cluster_name"] for row in rows}


def read_customers(home: Home, day: date) -> "pd.DataFrame":
    """One row a customer: segments, features, favourite category; ordered by key."""
    from jobs.profiles import portraits

    segments = LakeTable(home, CUSTOMER_SEGMENTS).read_arrow([day], list(portraits.CUSTOMER_COLUMNS)).to_pandas()
    more = (portraits.REVENUE, portraits.TEXTS, portraits.MOOD, *(f"{step}_count_90d" for step in portraits.STEPS))
    names = ["customer_key", *dict.fromkeys((*FEATURE_NAMES, *more))]
    features = LakeTable(home, FEATURES).read_arrow([day], names).to_pandas()
    wanted = LakeTable(home, PREFERENCES).read_arrow([day], ["customer_key", "favourite_category"]).to_pandas()
    both = segments.merge(features, on="customer_key").merge(wanted, on="customer_key", how="left")
    return both.sort_values("customer_key", ignore_index=True)
