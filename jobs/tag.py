"""lake/features, preferences + declared rules → lake/customer_tags: each customer in words, with the evidence."""

import argparse
import logging
import sys

from expectations.behaviour import FEATURES, PREFERENCES
from expectations.tags import CUSTOMER_TAGS
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.profiles import gifts, tag_rules, tagging
from jobs.profiles.tag_rules import TagSettings
from jobs.settings import load_settings

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("tag", __doc__)
    add_day(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    import pyarrow as pa

    home, day = Home.from_environment(args.home), args.ds
    settings = load_settings(home, "tags", TagSettings)
    customers = LakeTable(home, FEATURES).read_arrow([day], tagging.FEATURE_COLUMNS).to_pandas()
    wanted = LakeTable(home, PREFERENCES).read_arrow([day], tagging.PREFERENCE_COLUMNS).to_pandas()
    customers = customers.merge(wanted, on="customer_key", how="left")
    customers = tagging.with_derived(customers, gifts.gift_lines(home, day, settings.gift_words))
    rows = tagging.tags(customers, settings)
    rows = rows.add_column(0, "snapshot_date", pa.repeat(pa.scalar(day), len(rows)))
    recipe = recipe_of(CUSTOMER_TAGS, sys.modules[__name__], tag_rules, tagging, gifts, settings)
    LakeTable(home, CUSTOMER_TAGS).write_arrow(day, rows.select(CUSTOMER_TAGS.column_names), recipe)
    told = len(set(rows["customer_key"].to_pylist()))
    log.info("tagged %s: %s tags of %s of %s customers", day, f"{len(rows):,}", f"{told:,}", f"{len(customers):,}")
