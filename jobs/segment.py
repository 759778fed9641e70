"""lake/scores + features, the clusters of the day and the snapshot before → lake/customer_segments: tier, stage, band;
who moved → stage_transitions; the thresholds → segment_settings. A range is written anew in the order of its days.
"""

import argparse
import logging
import sys
from datetime import date
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURES
from expectations.clusters import CUSTOMER_CLUSTERS
from expectations.errors import DataError
from expectations.lifecycle import GONE, STAGE_TRANSITIONS
from expectations.segments import CUSTOMER_SEGMENTS, SCORES, SEGMENT_SETTINGS
from jobs.arguments import add_days, days_of, job_parser
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.segments.settings import SegmentSettings
from jobs.segments.snapshots import first_stale, line_after, snapshot_before
from jobs.settings import load_settings

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("segment", __doc__)
    add_days(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    asked = days_of(args, arg_parser())
    days = asked if args.ds else scored_days(home, asked)
    if stale := first_stale(home, days[0]):
        log.warning("%s follows from snapshots that are stale from %s on: run the range from there", days[0], stale)
    for day in days:
        segment(home, day)
    if stale := line_after(home, days[-1]):
        log.warning(
            "%d later snapshots follow from %s and are stale now: run `python -m jobs segment --from %s --to %s`, "
            "then publish again what is published of %s to %s",
            len(stale), days[-1], stale[0], stale[-1], days[0], stale[-1],
        )  # fmt: skip


def scored_days(home: Home, days: list[date]) -> list[date]:
    """Those of ``days`` that are scored; DataError if none is."""
    scored = [day for day in days if LakeTable(home, SCORES).has(day)]
    if not scored:
        raise DataError(f"no day from {days[0]} to {days[-1]} is scored: run `python -m jobs score` first")
    if len(scored) < len(days):
        log.info("%d of %d days are not scored and left out", len(days) - len(scored), len(days))
    return scored


def segment(home: Home, day: date) -> None:
    """Writes the three tables of ``day``. DataError if its features and scores are not of the same customers."""
    from jobs.segments import customers as of_customers
    from jobs.segments.shown import shown_settings
    from jobs.segments.transitions import stage_transitions

    settings, previous = load_settings(home, "segment", SegmentSettings), snapshot_before(home, day)
    rows, before = of_customers.scored(home, day), of_customers.before(home, previous)
    rows = of_customers.with_before(of_customers.with_clusters(rows, home, day), before)
    told, cuts = of_customers.segmented(rows, settings, day, previous)
    # The customers last: is_fresh asks for them alone.
    LakeTable(home, SEGMENT_SETTINGS).write_arrow(day, shown_settings(home, settings, cuts, day))
    moves = stage_transitions(told, before, day, previous)
    LakeTable(home, STAGE_TRANSITIONS).write_arrow(day, moves)
    target = LakeTable(home, CUSTOMER_SEGMENTS)
    target.write_arrow(day, told.select(CUSTOMER_SEGMENTS.column_names), recipe(home, day))
    tell(day, previous, moves)


def tell(day: date, previous: date | None, moves: "pa.Table") -> None:
    """Logs how many moved, and each flow that the state machine does not know."""
    from jobs.segments.transitions import unexpected

    counted = moves.to_pylist()
    there = sum(row["customers"] for row in counted if row["to_stage"] != GONE)
    moved = sum(row["customers"] for row in counted if row["from_stage"] != row["to_stage"])
    since = f"since {previous} {moved:,} have changed stage, come or gone" if previous else "no snapshot is before it"
    log.info("segmented %s customers of %s: %s", f"{there:,}", day, since)
    for was, stage, customers in unexpected(moves):
        log.warning(
            "%s customers went from %s to %s between %s and %s, where no way leads in that time: what was known of "
            "their past has changed", f"{customers:,}", was, stage, previous, day,
        )  # fmt: skip


def recipe(home: Home, day: date) -> str:
    """What makes a day's segments: code, settings, and which snapshot is before it."""
    from jobs.segments import customers, settings, shown, stages, tiers, transitions

    modules = (sys.modules[__name__], customers, settings, shown, stages, tiers, transitions)
    chosen = load_settings(home, "segment", SegmentSettings)
    return recipe_of(CUSTOMER_SEGMENTS, *modules, chosen, shown.others(home), snapshot_before(home, day))


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day was segmented by today's code and settings after all it follows from: its features, scores and
    clusters, and the snapshots before, each after the one before it.
    """
    inputs = [(LakeTable(home, table), day) for table in (FEATURES, SCORES, CUSTOMER_CLUSTERS)]
    if previous := snapshot_before(home, day):
        inputs.append((LakeTable(home, CUSTOMER_SEGMENTS), previous))
    in_order = first_stale(home, day) is None
    return in_order and LakeTable(home, CUSTOMER_SEGMENTS).is_fresh(day, recipe(home, day), inputs)
