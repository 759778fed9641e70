"""lake/features, preferences + declared rules → lake/customer_tags: each customer in words, with the evidence."""

import argparse
import logging
from datetime import date, timedelta

from expectations.behaviour import CUSTOMER_PRODUCT, FEATURES, PREFERENCES
from expectations.dimensions import PRODUCTS
from expectations.tags import CUSTOMER_TAGS
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.profiles import gifts, tagging
from jobs.profiles.tag_rules import TagSettings
from jobs.recipes import code_of, days_of
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
    LakeTable(home, CUSTOMER_TAGS).write_arrow(day, rows.select(CUSTOMER_TAGS.column_names), recipe(home))
    told = len(set(rows["customer_key"].to_pylist()))
    log.info("tagged %s: %s tags of %s of %s customers", day, f"{len(rows):,}", f"{told:,}", f"{len(customers):,}")


def recipe(home: Home) -> str:
    """What makes a day's tags, beside the tables they are read from."""
    code = code_of(__name__, "jobs.profiles.tag_rules", "jobs.profiles.tagging", "jobs.profiles.gifts")
    return recipe_of(CUSTOMER_TAGS, code, load_settings(home, "tags", TagSettings))


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day was tagged by today's code and settings, after all that it was read from."""
    inputs = [(LakeTable(home, table), day) for table in (FEATURES, PREFERENCES)]
    inputs += days_of(LakeTable(home, CUSTOMER_PRODUCT), day - timedelta(days=gifts.WINDOW_DAYS - 1), day)
    inputs += days_of(LakeTable(home, PRODUCTS), None, day)
    return LakeTable(home, CUSTOMER_TAGS).is_fresh(day, recipe(home), inputs)
