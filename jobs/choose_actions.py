"""Segments and risk + the table of strategies → lake/next_actions: what to do next about each customer.

``--preview`` shows what every rule would reach, and writes nothing.
"""

import argparse
import logging
from datetime import date
from typing import TYPE_CHECKING

from expectations.offers import NEXT_ACTIONS
from expectations.segments import CUSTOMER_SEGMENTS
from expectations.watch import CHURN_WATCHLIST, RISK_ALERTS, RISK_BANDS
from jobs.actions import choose
from jobs.actions.strategies import Strategies, load_strategies
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.recipes import code_of, days_of

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

SEGMENT_COLUMNS = ["customer_key", "value_tier", "lifecycle_stage", "churn_band"]


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("choose_actions", __doc__)
    add_day(parser)
    parser.add_argument("--preview", action="store_true", help="show what every rule would reach; write nothing")
    return parser


def main(args: argparse.Namespace) -> None:
    home, day = Home.from_environment(args.home), args.ds
    strategies = load_strategies(home)
    customers = read_customers(home, day)
    if args.preview:
        print(shown_reach(choose.reach(customers, strategies)))
        return
    rows = choose.next_actions(customers, strategies, read_last_due(home, strategies, day), day)
    write(home, day, rows, recipe(strategies))
    log.info("actions of %s: %s of %s customers are due one", day, f"{rows['is_due'].sum():,}", f"{len(rows):,}")


def recipe(strategies: Strategies) -> str:
    """What makes a day's actions, beside the tables they are read from."""
    return recipe_of(NEXT_ACTIONS, code_of(__name__, "jobs.actions.choose"), strategies)


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day's actions were chosen by today's code and strategies, after all that they were read from."""
    strategies, actions = load_strategies(home), LakeTable(home, NEXT_ACTIONS)
    inputs = [(LakeTable(home, table), day) for table in (CUSTOMER_SEGMENTS, RISK_ALERTS, CHURN_WATCHLIST)]
    inputs += days_of(actions, *choose.looked_back(strategies, day))
    return actions.is_fresh(day, recipe(strategies), inputs)


def read_customers(home: Home, day: date) -> "pd.DataFrame":
    """One row a customer: key, tier, stage, churn band, the highest band of risk, whether on the watch list."""
    customers = LakeTable(home, CUSTOMER_SEGMENTS).read_arrow([day], SEGMENT_COLUMNS).to_pandas()
    alerts = LakeTable(home, RISK_ALERTS).read_arrow([day], ["customer_key", "risk_band"]).to_pandas()
    bands = dict.fromkeys(customers["customer_key"], "none")
    for band in RISK_BANDS:  # from the lowest: the highest holds
        bands |= dict.fromkeys(alerts.loc[alerts["risk_band"] == band, "customer_key"], band)
    watched = LakeTable(home, CHURN_WATCHLIST).read_arrow([day], ["customer_key"])["customer_key"].to_pylist()
    watch = customers["customer_key"].isin(watched).map({True: "listed", False: "none"})
    return customers.assign(risk_band=customers["customer_key"].map(bands), churn_watch=watch)


def read_last_due(home: Home, strategies: Strategies, day: date) -> "pd.DataFrame":
    """When each action was last due for each customer, of the days that matter for cooling down."""
    import pyarrow as pa

    first, last = choose.looked_back(strategies, day)
    actions = LakeTable(home, NEXT_ACTIONS)
    names = ["customer_key", "action", "due_on", "is_due"]
    # A day at a time: few are due on each, and all rows of a quarter would not fit in memory.
    parts = (actions.read_arrow([one], names) for one in actions.days() if first <= one <= last)
    due = [actions.read_arrow([], names), *(part.filter(part["is_due"]) for part in parts)]
    return choose.newest_due(pa.concat_tables(due).drop_columns("is_due").to_pandas())


def write(home: Home, day: date, rows: "pd.DataFrame", recipe: str) -> None:
    import pyarrow as pa

    from jobs.schemas import arrow_schema

    table = pa.Table.from_pandas(rows[NEXT_ACTIONS.column_names], arrow_schema(NEXT_ACTIONS), preserve_index=False)
    LakeTable(home, NEXT_ACTIONS).write_arrow(day, table.replace_schema_metadata(None), recipe)


def shown_reach(found: "pd.DataFrame") -> str:
    """A table for people; rules that reach nobody because others stand before them are pointed at."""
    shown = found.assign(
        share=found["share"].map("{:.1%}".format),
        budget_share=found["budget_share"].map("{:.1%}".format),
        note=[
            "" if n else ("never: earlier rules take everybody" if hidden else "nobody today")
            for n, hidden in zip(found["customers"], found["hidden"], strict=True)
        ],
    )
    return shown.to_string(index=False)
