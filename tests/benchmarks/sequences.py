"""How long ten million events take to become sequences, and in how much memory, on a simulated shop."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from expectations.events import EVENTS
from jobs.home import Home
from jobs.lake import LakeTable

CUSTOMERS, DAYS = 100_000, 365


def measure(folder: Path) -> dict[str, float]:
    """Seconds of the whole command as of the shop's last day, and its largest resident memory (MB)."""
    home = Home(folder / "simulated sequences")
    shutil.rmtree(home.path, ignore_errors=True)
    jobs = [sys.executable, "-m", "jobs"]
    shop = ["--home", str(home.path), "--to", "lake", "--customers", str(CUSTOMERS), "--days", str(DAYS), "--seed", "1"]
    try:
        subprocess.run([*jobs, "simulate", *shop], check=True, stdout=subprocess.DEVNULL)
        # Encoding is another job, and takes longer than the year's sequences.
        (home.path / "settings.yaml").write_text("sequences:\n  texts: false\n")
        events = LakeTable(home, EVENTS)
        began = time.perf_counter()
        command = [*jobs, "build_sequences", "--home", str(home.path), "--ds", str(events.days()[-1])]
        with subprocess.Popen(command) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return {"sequences_s": time.perf_counter() - began, "sequences_peak_mb": used.ru_maxrss / 1024}
    finally:
        shutil.rmtree(home.path, ignore_errors=True)
