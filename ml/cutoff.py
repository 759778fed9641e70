"""Prints the newest cutoff whose labels have matured at the end of a day: what a training on that day learns up to.

So long before the day as labels take by the settings of section `model`: until churn is known, and spend in the
shortest window. Days that are not aggregated yet are not known, so that a later day gives what the last of them gives.
"""

import argparse
from datetime import date, timedelta

from expectations.commands import command_parser


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "cutoff", __doc__)
    parser.add_argument("--ds", type=date.fromisoformat, required=True, metavar="D", help="the last day known")
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.ready import last_known
    from ml.settings import load_model_settings

    print(last_known(args.ds, args.home) - timedelta(days=load_model_settings(args.home).horizons.judged_days))
