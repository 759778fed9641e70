"""`make run` on the sample shop, after installation: first in a fresh home, then again over the same one."""

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path


def measure(folder: Path) -> dict[str, float]:
    """Seconds of the first and the second run, and the largest process's resident memory in MB."""
    home = folder / "whole run"
    stop(home)
    shutil.rmtree(home, ignore_errors=True)
    try:
        first, again = run(home), run(home)
    finally:
        stop(home)
    # ru_maxrss of the children: the largest of all processes that ended under this one, in KiB.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"run_first_s": first, "run_again_s": again, "run_peak_mb": peak}


def run(home: Path) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "jobs", "run_shop", "--home", str(home)]
    subprocess.run(command, check=True, env={**os.environ, "LIFESTAGE_HOME": str(home)})
    return time.perf_counter() - began


def stop(home: Path) -> None:
    """Stops the home's database server, if it has one."""
    from jobs.home import Home
    from jobs.local import postgres

    if home.exists():
        postgres.stop(Home(home))
