"""Says whether the shop delivers on a day: a line `open: …` or `closed: …`, for a DAG to branch on.

A day is closed if no source of the home expects a file on it (`expected` of its mapping) and none has come.
"""

import argparse
from datetime import date

from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.reading.deliveries import deliveries
from jobs.reading.mapping import load_mapping


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("open_day", __doc__)
    add_day(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    if is_closed(home, args.ds):
        print(f"closed: no file of {args.ds} is expected of {', '.join(home.sources)}, and none has come")
    else:
        print(f"open: files of {args.ds} are there or expected")


def is_closed(home: Home, day: date) -> bool:
    """Whether nothing was expected and nothing came. DataError for a day beyond those that a source expects."""
    return not any(deliveries(home, load_mapping(source), day) for source in home.sources)
