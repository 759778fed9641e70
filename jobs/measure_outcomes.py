"""Who came back, what predictions came true, whether the data were sound → cohort_retention, model_performance,
data_quality.
"""

import argparse
import logging

from expectations.outcomes import COHORT_RETENTION, DATA_QUALITY, MODEL_PERFORMANCE
from jobs.arguments import add_day, add_engine, job_parser
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable

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
        LakeTable(home, COHORT_RETENTION).write(cohorts, [day])
    matured, checks = performance(home, day), quality(home, day)
    LakeTable(home, MODEL_PERFORMANCE).write_arrow(day, matured)
    LakeTable(home, DATA_QUALITY).write_arrow(day, checks)
    windows = ", ".join(f"{days} days" for days in matured["horizon_days"].to_pylist()) or "none"
    log.info("outcomes as of %s: predictions over %s have matured; %d checks and counts", day, windows, len(checks))
