"""How fast the simulated shop fills the lake, and whether ten times the customers cost ten times the time."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

DAYS = 60
FEW, MANY = 30_000, 300_000


def measure(folder: Path) -> dict[str, float]:
    """Events per second of a shop of MANY customers over DAYS days, two processes; its time / that of FEW customers.

    The time is the whole command's: start, customers, truth and all.
    """
    few, _ = run(folder / "simulated few", FEW)
    many, events = run(folder / "simulated many", MANY)
    return {"simulate_events_per_s": events / many, "simulate_10x": many / few}


def run(home: Path, customers: int) -> tuple[float, int]:
    """Seconds and events of one shop, which is removed again."""
    shutil.rmtree(home, ignore_errors=True)
    command = [sys.executable, "-m", "jobs", "simulate", "--home", str(home), "--to", "lake", "--seed", "1",
               "--customers", str(customers), "--days", str(DAYS)]  # fmt: skip
    began = time.perf_counter()
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return time.perf_counter() - began, _events(done.stdout)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _events(told: str) -> int:
    """The number before the word events in what the command says."""
    words = told.replace(",", "").split()
    return int(words[words.index("events") - 1])
