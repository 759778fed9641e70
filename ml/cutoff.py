"""Prints the newest cutoff whose labels have matured at the end of a day: what a training on that day learns up to.

So long before the day as labels take by the settings of section `model`: until churn is known, and spend in the
shortest window.
"""

import argparse
from datetime import date, timedelta

from expectations.commands import command_parser


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "cutoff", __doc__)
    parser.add_argument("--ds", type=date.fromisoformat, required=True, metavar="D", help="the last day known")
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.settings import load_model_settings

    print(args.ds - timedelta(days=load_model_settings(args.home).horizons.judged_days))
