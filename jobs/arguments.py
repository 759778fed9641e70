"""Arguments that commands share. Imports nothing heavy: DAG tests parse every command with these parsers."""

import argparse
from datetime import date, timedelta

from expectations.commands import command_parser

ENGINES = "sail (embedded, default), spark (Apache Spark local[*] or spark-submit's master), or sc://host:port"


def job_parser(name: str, doc: str) -> argparse.ArgumentParser:
    """The parser of ``python -m jobs name``."""
    return command_parser("jobs", name, doc)


def add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", help=f"{ENGINES}; default: $LIFESTAGE_ENGINE, else sail")


def add_day(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ds", type=date.fromisoformat, required=True, metavar="D", help="business date, YYYY-MM-DD")


def add_days(parser: argparse.ArgumentParser) -> None:
    """``--ds D`` or ``--from D --to D`` (both ends included); read with ``days_of``."""
    parser.add_argument("--ds", type=date.fromisoformat, metavar="D", help="one business date, YYYY-MM-DD")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, metavar="D", help="first date of a range")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, metavar="D", help="last date of the range")


def add_skip_unchanged(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--skip-unchanged", action="store_true", help="leave days whose input is as it was last time")


def days_of(args: argparse.Namespace, parser: argparse.ArgumentParser) -> list[date]:
    """The days asked for, in order; exits with usage where they make no sense."""
    if args.ds and not (args.first or args.last):
        return [args.ds]
    if args.ds or not (args.first and args.last):
        parser.error("give either --ds D or both --from D and --to D")
    if args.last < args.first:
        parser.error(f"--to {args.last} lies before --from {args.first}")
    return [args.first + timedelta(days=n) for n in range((args.last - args.first).days + 1)]
