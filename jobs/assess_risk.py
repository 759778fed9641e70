"""lake/events of a window + lake/features → lake/risk_alerts: whose behaviour looks fraudulent or automated, and why.

Signals for a person to look at, no verdicts. Kinds of risk and their reasons: docs/segments/watch_and_risk.md.
"""

import argparse
import logging
from datetime import date
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURES
from expectations.events import EVENTS
from expectations.watch import RISK_ALERTS
from jobs.arguments import add_day, add_engine, job_parser
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.recipes import code_of, days_of
from jobs.risk.settings import RiskSettings
from jobs.settings import load_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.risk.listing import Found
    from jobs.risk.reading import Behaviour

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("assess_risk", __doc__)
    add_day(parser)
    add_engine(parser)
    return parser


def find_all(
    home: Home, day: date, behaviour: "Behaviour", features: "pa.Table", settings: RiskSettings
) -> "list[Found]":
    """What every kind of risk has found; the kind ``labelled`` only where the shop has marked cases."""
    from jobs.risk import bursts, reviewers, robots, takeovers, unusual
    from jobs.risk.reading import sorted_orders, window_of
    from jobs.risk.returns import NEEDED, find_returns

    first, orders = window_of(day, settings).first, sorted_orders(behaviour.orders)
    return [
        bursts.find_bursts(orders, first, settings),
        takeovers.find_takeovers(orders, first, settings),
        find_returns(features.select(["customer_key", *NEEDED]).to_pandas(), settings),
        reviewers.find_reviewers(behaviour.reviews.to_pandas(), settings),
        robots.find_robots(behaviour.visits.to_pandas(), settings),
        unusual.find_unusual(features, settings),
        *unusual.find_labelled(home, day, features, settings),
    ]


def columns_needed(home: Home) -> list[str]:
    """Of features: those that rules and anomalies read, and all that models read where the shop has marked cases."""
    from expectations.behaviour import FEATURE_NAMES
    from jobs.risk import returns, unusual
    from ml.risk.labels import labels_file

    marked = FEATURE_NAMES if labels_file(home.path).is_file() else ()
    return list(dict.fromkeys(("customer_key", *returns.NEEDED, *unusual.NEEDED, *marked)))


def recipe(home: Home) -> str:
    """What makes a day's alerts: code of the rules, settings and the cases that the shop has marked."""
    from ml.risk.labels import labels_file

    labels = labels_file(home.path)
    code = code_of(__name__, "jobs.risk", "ml.risk", "ml.reasons.facts", "ml.reasons.words", "ml.reasons.tabular")
    settings = load_settings(home, "risk", RiskSettings)
    return recipe_of(RISK_ALERTS, code, settings, labels.read_bytes() if labels.is_file() else b"")


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day was assessed by today's code, settings and marked cases, after all that it was read from."""
    from jobs.risk.reading import window_of
    from ml.risk.labels import labels_file

    features, events = LakeTable(home, FEATURES), LakeTable(home, EVENTS)
    before = window_of(day, load_settings(home, "risk", RiskSettings)).before
    inputs = [(features, day), *days_of(events, before, day)]
    inputs += days_of(features, None, day) if labels_file(home.path).is_file() else []
    return LakeTable(home, RISK_ALERTS).is_fresh(day, recipe(home), inputs)


def main(args: argparse.Namespace) -> None:
    import pyarrow as pa

    from jobs.risk.listing import alerts
    from jobs.risk.reading import read_behaviour, window_of

    home, day = Home.from_environment(args.home), args.ds
    settings = load_settings(home, "risk", RiskSettings)
    features = LakeTable(home, FEATURES).read_arrow([day], columns_needed(home))
    with open_engine(args.engine) as spark:
        behaviour = read_behaviour(spark, home, window_of(day, settings), settings)
    found = find_all(home, day, behaviour, features, settings)
    listed = [alerts(one, day, len(features), settings) for one in found]
    LakeTable(home, RISK_ALERTS).write_arrow(day, pa.concat_tables(listed), recipe(home))
    told = ", ".join(f"{one.kind} {len(rows)}" for one, rows in zip(found, listed, strict=True))
    log.info("risk alerts of %s: %s", day, told)
