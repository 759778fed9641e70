"""Lists the checks that warn on a day, from the results that the gates have kept; the last line sums them up.

A warning stops nothing. The DAG sends the last line to whoever is told of alerts, unless it begins with `no check`.
"""

import argparse
import json
from datetime import date

from jobs.arguments import add_day, job_parser
from jobs.checks.outcomes import status
from jobs.home import Home


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("list_warnings", __doc__)
    add_day(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    found = warnings_of(Home.from_environment(args.home), args.ds)
    for place, outcome in found:
        print(f"{place} {outcome['name']}: expected {outcome['expected']}; observed {outcome['observed']}")
    named = ", ".join(f"{place} {outcome['name']}" for place, outcome in found)
    print(f"{len(found)} check(s) warned on {args.ds}: {named}" if found else f"no check warned on {args.ds}")


def warnings_of(home: Home, day: date) -> list[tuple[str, dict]]:
    """(table, kept outcome) of each check that warns; the table's name says where it lay in the warehouse."""
    files = sorted(home.validations.glob(f"*/{day}*.json"))
    kept = {path: json.loads(path.read_text()) for path in files if path.stem in (str(day), f"{day}-warehouse")}
    return [
        (f"{result['table']}{' (warehouse)' if path.stem.endswith('-warehouse') else ''}", outcome)
        for path, result in kept.items()
        for outcome in result["outcomes"]
        if status(outcome) == "warns"
    ]
