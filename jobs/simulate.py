"""Make a simulated shop with the full funnel and known truth, as files for landing or straight as events in the lake.

The truth, each customer's latent rates, lifetime and segment, the frauds and what texts mean, goes to <home>/truth.
"""

import argparse
import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from expectations.errors import SetupError
from expectations.events import EVENTS
from jobs.arguments import job_parser
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.reading.keys import CustomerKeys, ensure_key
from jobs.reading.mapping import Mapping, load_mapping
from jobs.simulation.plan import SOURCE, Plan
from jobs.simulation.run import Write, run_days
from jobs.simulation.world import World, make_world

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("simulate", __doc__)
    parser.add_argument("--customers", type=int, required=True, metavar="N", help="number of customers")
    parser.add_argument("--days", type=int, default=365, metavar="D", help="number of days (default: 365)")
    parser.add_argument("--seed", type=int, required=True, metavar="S", help="equal seeds make equal shops")
    parser.add_argument("--start", type=date.fromisoformat, default=Plan.start, metavar="DATE", help="the first day")
    parser.add_argument("--events-per-customer-year", type=float, default=Plan.events_per_customer_year, metavar="X",
                        help="expected events of a customer in 365 days (default: 100)")  # fmt: skip
    parser.add_argument("--to", choices=("landing", "lake"), default="landing", help="files to ingest, or lake/events")
    parser.add_argument("--broken-share", type=float, default=Plan.broken_share, metavar="P",
                        help="landing only: broken rows per row of orders (default: 0.002)")  # fmt: skip
    parser.add_argument("--processes", type=int, default=2, metavar="P", help="processes at work (default: 2)")
    return parser


@dataclass(frozen=True)
class ToLake:
    """Makes the writer of a process that fills the lake."""

    home: Home
    mapping_digest: str

    def __call__(self, world: World) -> Write:
        from jobs.simulation.lake_day import LakeWriter

        return LakeWriter(world, LakeTable(self.home, EVENTS), CustomerKeys.of(self.home), self.mapping_digest).write


@dataclass(frozen=True)
class ToLanding:
    """Makes the writer of a process that fills the landing folder."""

    landing: Path

    def __call__(self, world: World) -> Write:
        from jobs.simulation.landing_day import LandingWriter

        return LandingWriter(world, self.landing).write


def main(args: argparse.Namespace) -> None:
    plan = plan_of(args)
    home, mapping = Home.from_environment(args.home), load_mapping(SOURCE)
    if plan.start < mapping.expected.first:
        raise SetupError(f"--start {plan.start}: {SOURCE} delivers from {mapping.expected.first} on")
    home.adopt(mapping.shop, SOURCE, simulated=True)
    ensure_key(home)
    written = simulate(plan, home, args.to, mapping, args.processes)
    print(f"simulated {plan.customers:,} customers over {plan.days} days: {written:,} events")
    print(f"truth: {home.path / 'truth'}")


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan that the arguments name; SetupError if there is no such shop."""
    for name, least in (("customers", 100), ("days", 10), ("seed", 0), ("processes", 1)):
        if getattr(args, name) < least:
            raise SetupError(f"--{name} must be {least} or more, found {getattr(args, name)}")
    for name, most in (("events_per_customer_year", 10_000), ("broken_share", 1)):
        if not 0 <= getattr(args, name) <= most:
            raise SetupError(f"--{name.replace('_', '-')} must be 0 … {most}, found {getattr(args, name)}")
    return Plan(customers=args.customers, days=args.days, seed=args.seed, start=args.start,
                events_per_customer_year=args.events_per_customer_year, broken_share=args.broken_share)  # fmt: skip


def simulate(plan: Plan, home: Home, to: str, mapping: Mapping, processes: int = 2) -> int:
    """Makes the shop in the home, which has adopted the source; returns the number of events."""
    import pyarrow as pa

    from jobs.simulation.dimensions import in_the_lake
    from jobs.simulation.landing_day import write_dimensions
    from jobs.simulation.truth import refuse_other_plan, write_broken, write_truth

    refuse_other_plan(plan, home.path / "truth")
    world, keys, landing = make_world(plan), CustomerKeys.of(home), home.landing_of(SOURCE)
    keyed = pa.array(map(keys.key, world.customers.ids()), pa.string())
    write_truth(world, keyed, home.path / "truth")
    if to == "landing":
        write_dimensions(world, landing)
    else:
        for table, rows in in_the_lake(world, keyed, mapping.expected.first):
            LakeTable(home, table).write_arrow(mapping.expected.first, rows)
    written = list(run_days(plan, ToLanding(landing) if to == "landing" else ToLake(home, mapping.digest), processes))
    write_broken(world, [row for day in written for row in day.broken], home.path / "truth")
    return sum(day.events for day in written)
