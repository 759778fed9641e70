"""python -m tests.benchmarks.backfill LANDING: seconds of a backfill of 30 days of Online Retail by Airflow.

LANDING holds the shop's daily files. A home is bootstrapped and trained on the days before; then Airflow, as `make up`
starts it, runs the last 30 calendar days of the files, closed ones among them. The bar is 1,800 s on two cores.
"""

import os
import shutil
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch

LAST = date(2011, 12, 9)
DAYS = 30
LIMIT_S = 7200


def measure(landing: Path, folder: Path) -> dict[str, float]:
    """``landing`` stays as it is; ``folder`` takes the home."""
    first, files = LAST - timedelta(days=DAYS - 1), sorted(landing.glob("*.csv.gz"))
    landed = folder / "landing"
    landed.mkdir(parents=True)
    _link([file for file in files if file.name < str(first)], landed)
    with patch.dict(os.environ, LIFESTAGE_HOME=str(folder / "home")):
        try:
            _jobs("run_shop", "--source", "online_retail", "--landing", str(landed), "--days", "1")
            _link([file for file in files if file.name >= str(first)], landed)
            _jobs("up", "--port", "18091", "--mlflow-port", "15011")
            return {"backfill_30d_s": _backfill(folder / "home", first)}
        finally:
            _jobs("down", "--all")


def _link(files: list[Path], folder: Path) -> None:
    for file in files:
        (folder / file.name).symlink_to(file.resolve())


def _jobs(*argv: str) -> None:
    subprocess.run([sys.executable, "-m", "jobs", *argv], check=True)


def _backfill(folder: Path, first: date) -> float:
    from jobs.home import Home
    from jobs.local.airflow_env import AIRFLOW_BIN, environment
    from tests.faults.airflow_api import call, wait_for

    home, asked = Home(folder), ["--dag-id", "lifestage_daily", "--from-date", str(first), "--to-date", str(LAST)]
    call(home, "/dags/lifestage_daily", {"is_paused": False}, "PATCH")
    began = time.monotonic()
    subprocess.run([AIRFLOW_BIN / "python", "-m", "airflow", "backfill", "create", *asked], env=environment(home),
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip

    def ended() -> list[dict]:
        runs = call(home, f"/dags/lifestage_daily/dagRuns?run_type=backfill&limit={DAYS}")["dag_runs"]
        return runs if len(runs) == DAYS and all(run["end_date"] for run in runs) else []

    wrong = [run["dag_run_id"] for run in wait_for(ended, LIMIT_S) if run["state"] != "success"]
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {DAYS} days failed: {', '.join(wrong)}")
    return time.monotonic() - began


if __name__ == "__main__":
    scratch = Path(mkdtemp(prefix="lifestage backfill "))
    try:
        print(measure(Path(sys.argv[1]), scratch))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
