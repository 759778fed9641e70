"""What Airflow adds to a task of lifestage_daily: from the end of what it waits for to its own start, median.

Airflow as `make up` starts it over a fresh home; jobs are a program that ends at once, so that nothing else takes the
machine. A task that waits for a pool's place or for the day before is Airflow at work too, and counted.
"""

import os
import shutil
import statistics
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

from tests.benchmarks.whole_run import stop

RUNS = 2
ANSWERS = """
import sys
answers = {"resolve": "lifestage_behaviour/1", "open_day": "open:", "list_warnings": "no check"}
print(answers.get(sys.argv[3], ""))
"""


def measure(folder: Path) -> dict[str, float]:
    """Median seconds over all tasks that follow another, of a few runs of the DAG."""
    from jobs.home import Home

    home = folder / "airflow gap"
    stop(home)
    shutil.rmtree(home, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "ends at once"
    (folder / "ends_at_once.py").write_text(ANSWERS)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder / "ends_at_once.py"}" "$@"\n')
    program.chmod(0o755)
    try:
        with patch.dict(os.environ, LIFESTAGE_HOME=str(home), LIFESTAGE_PYTHON=str(program)):
            _jobs("setup", "--source", "complete_journey")
            _jobs("up", "--port", "18090", "--mlflow-port", "15010")
            gaps = [gap for n in range(RUNS) for gap in run(Home(home), f"2017-12-{10 + n}")]
    finally:
        with patch.dict(os.environ, LIFESTAGE_HOME=str(home)):
            _jobs("down", "--all")
    return {"airflow_gap_s": statistics.median(gaps)}


def _jobs(*argv: str) -> None:
    subprocess.run([sys.executable, "-m", "jobs", *argv], check=True, stdout=subprocess.DEVNULL)


def run(home, day: str) -> list[float]:
    """Starts a run for ``day``, waits for it, and measures it."""
    from tests.faults.airflow_api import call, ended, task_instances

    call(home, "/dags/lifestage_daily", {"is_paused": False}, "PATCH")
    body = {"logical_date": None, "conf": {"ds": day}}
    run_id = call(home, "/dags/lifestage_daily/dagRuns", body, "POST")["dag_run_id"]
    assert ended(home, "lifestage_daily", run_id, limit_s=600) == "success"
    tasks = call(home, "/dags/lifestage_daily/tasks")["tasks"]
    return gaps_of(task_instances(home, "lifestage_daily", run_id), tasks)


def gaps_of(instances: dict[str, dict], tasks: list[dict]) -> list[float]:
    """Seconds from the last end of what each task waits for to its start."""
    before: dict[str, list[str]] = {}
    for task in tasks:
        for after in task["downstream_task_ids"]:
            before.setdefault(after, []).append(task["task_id"])
    return [
        (
            _moment(instances[name]["start_date"]) - max(_moment(instances[one]["end_date"]) for one in ones)
        ).total_seconds()
        for name, ones in before.items()
    ]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
