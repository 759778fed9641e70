"""Who came back, what predictions came true, whether the data were sound → cohort_retention, model_performance,
data_quality.
"""

import argparse
import logging
from datetime import date, timedelta

from expectations.behaviour import CUSTOMER_DAY
from expectations.events import INGEST_REPORT
from expectations.outcomes import COHORT_RETENTION, DATA_QUALITY, MODEL_PERFORMANCE
from expectations.segments import PROBABILITY_DAYS, SCORES
from jobs.arguments import add_day, add_engine, job_parser
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.recipes import code_of, days_of

log = logging.getLogger(__name__)

WRITES = (COHORT_RETENTION, MODEL_PERFORMANCE, DATA_QUALITY)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("measure_outcomes", __doc__)
    add_day(parser)
    add_engine(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from jobs.outcomes.cohorts import cohort_retention, monthly_purchases
    from jobs.outcomes.performance import performance
    from jobs.outcomes.quality import quality

    home, day = Home.from_environment(args.home), args.ds
    with open_engine(args.engine) as spark:
        cohorts = cohort_retention(monthly_purchases(spark, home, day), day)
        made = recipe(home, day)
        LakeTable(home, COHORT_RETENTION).write(cohorts, [day], made)
    matured, checks = performance(home, day), quality(home, day)
    LakeTable(home, MODEL_PERFORMANCE).write_arrow(day, matured, made)
    LakeTable(home, DATA_QUALITY).write_arrow(day, checks, made)
    windows = ", ".join(f"{days} days" for days in matured["horizon_days"].to_pylist()) or "none"
    log.info("outcomes as of %s: predictions over %s have matured; %d checks and counts", day, windows, len(checks))


def recipe(home: Home, day: date) -> str:
    """What makes a day's outcomes, beside the tables they are read from: code, and what the day's gates have found."""
    from jobs.outcomes.quality import quality

    code = code_of(__name__, "jobs.outcomes", "ml.realised", "ml.scoring_rules")
    return recipe_of(DATA_QUALITY, COHORT_RETENTION, MODEL_PERFORMANCE, code, quality(home, day).to_pylist())


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day's outcomes were measured by today's code, after all that they were read from."""
    scores = LakeTable(home, SCORES)
    inputs = [*days_of(LakeTable(home, CUSTOMER_DAY), None, day), (LakeTable(home, INGEST_REPORT), day)]
    inputs += [(scores, day - timedelta(days=days)) for days in PROBABILITY_DAYS]
    return all(LakeTable(home, table).is_fresh(day, recipe(home, day), inputs) for table in WRITES)
