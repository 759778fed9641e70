"""Removes what no later day needs: old snapshots, leftovers, results, files of models, logs. ``--dry-run`` shows it.

Ages are counted from the end of ``--ds``, in lake and results from the shop's newest day up to it; how long things are
kept is set in sections ``maintain`` and ``keep_days`` of settings.yaml. Prints a line for each kind of thing, with its
size. Safe to stop and to repeat.
"""

import argparse
import importlib
import logging
from itertools import groupby

from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.maintenance.gone import Gone, MaintainSettings, shown
from jobs.settings import load_settings

log = logging.getLogger(__name__)

PARTS = ("lake", "warehouse", "results", "models", "logs")
"""Modules of jobs/maintenance."""


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("maintain", __doc__)
    add_day(parser)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="these parts (default: all)")
    parser.add_argument(
        "--dry-run", action=argparse.BooleanOptionalAction, default=False, help="show what would go; remove nothing"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    home.sources  # noqa: B018 - a home that was never set up holds nothing of ours
    settings = load_settings(home, "maintain", MaintainSettings)
    for name in args.only:
        part = importlib.import_module(f"jobs.maintenance.{name}")
        gone = list(part.find(home, args.ds, settings))
        for line in summed_up(gone):
            print(f"{name}: {'would remove' if args.dry_run else 'removes'} {line}", flush=True)
        if args.dry_run:
            continue
        for each in gone:
            each.remove()
        if hasattr(part, "afterwards"):
            part.afterwards(home, args.ds)


def summed_up(gone: list[Gone]) -> list[str]:
    """A line for each kind: how many, the first and the last of them, their size."""
    if not gone:
        return ["nothing"]
    lines = []
    for kind, of_kind in groupby(gone, key=lambda each: each.kind):
        some = list(of_kind)
        span = some[0].name if len(some) == 1 else f"{some[0].name} … {some[-1].name}"
        lines.append(f"{len(some)} × {kind} ({span}), {shown(sum(each.size for each in some))}")
    return lines
