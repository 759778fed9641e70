"""Print the warehouse's libpq URI, password included: psql "$(python -m jobs warehouse_uri)"."""

import argparse

from jobs.arguments import job_parser
from jobs.home import Home
from jobs.marts.warehouse import READER, WRITER, uri

SHARES_HOME = False  # readers go on, whatever holds the home


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("warehouse_uri", __doc__)
    parser.add_argument("--role", choices=(READER, WRITER), default=READER, help=f"default: {READER}")
    parser.add_argument("--socket", action="store_true", help="through the Unix socket instead of loopback TCP")
    return parser


def main(args: argparse.Namespace) -> None:
    print(uri(Home.from_environment(args.home), args.role, socket=args.socket))
