"""lake/features + a registered model version → lake/scores: what every customer will do in the next 30 days."""

import argparse
import logging

from expectations.behaviour import FEATURES
from expectations.commands import model_version
from expectations.segments import SCORES
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("score", __doc__)
    add_day(parser)
    parser.add_argument(
        "--model", type=model_version, required=True, metavar="NAME/VERSION", help="a registered version"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    import pyarrow as pa

    from ml.predict import load_predictor

    home, day = Home.from_environment(args.home), args.ds
    name, version = args.model
    rows = LakeTable(home, FEATURES).read_arrow([day])
    predictor = load_predictor(name, version, home.path)
    predicted = predictor.predict(rows)
    probability, spend = predicted["purchase_probability_30d"], predicted["spend_if_purchase_30d"]
    scored = {
        "customer_key": rows["customer_key"],
        "snapshot_date": rows["snapshot_date"],
        "purchase_probability_30d": probability,
        # Rounded like the probability, so that the two add up to 1 as printed.
        "churn_probability_30d": (1 - probability).round(6),
        "spend_if_purchase_30d": spend,
        "expected_spend_30d": (probability * spend).round(6),
        "model_name": pa.repeat(name, len(rows)),
        "model_version": pa.repeat(pa.scalar(version, pa.int32()), len(rows)),
    }
    LakeTable(home, SCORES).write_arrow(day, pa.table(scored))
    log.info("scored %s customers as of %s with %s/%d", f"{len(rows):,}", day, name, version)
