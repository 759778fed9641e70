"""The simulated shop that the scale benchmark reads, and homes that share its files."""

import os
import shutil
from datetime import date, timedelta
from pathlib import Path

from expectations.events import EVENTS
from expectations.texts import TEXT_SCORES
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.simulation.plan import Plan
from tests.benchmarks.scale_runs import run_module

FIRST = Plan.start
SHARED = ("events", "ingest_report", "customers", "text_scores")
"""What both sides read."""


def shop(folder: Path, customers: int, days: int) -> Path:
    """A home with events and scored texts of ``days`` days; made once, kept for the next time."""
    path = folder / f"shop of {customers} customers, {days} days"
    wanted = [FIRST + timedelta(days=n) for n in range(days)]
    if [LakeTable(Home(path), table).days() for table in (EVENTS, TEXT_SCORES)] != [wanted, wanted]:
        shutil.rmtree(path, ignore_errors=True)
        size = ("--customers", customers, "--days", days, "--seed", 1)
        run_module("jobs", "simulate", "--home", path, "--to", "lake", *size)
        run_module("jobs", "encode_text", "--home", path, "--from", wanted[0], "--to", wanted[-1])
    return path


def copy_of(shop: Path, target: Path, last: date | None = None) -> Path:
    """A fresh home with the shop's deliveries up to ``last``, by hard links: nothing is computed in it yet."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(shop / "shop.json", target)
    shutil.copytree(shop / "secrets", target / "secrets")
    for table in SHARED:
        for partition in sorted((shop / "lake" / table).glob("*=*")):
            if last is None or date.fromisoformat(partition.name.partition("=")[2]) <= last:
                shutil.copytree(partition, target / "lake" / table / partition.name, copy_function=os.link)
    return target


def events_of(home: Path, *days: date) -> int:
    """Events of the deliveries of ``days``; of all without one."""
    table = LakeTable(Home(home), EVENTS)
    return sum(table.row_count(day) for day in days or table.days())
