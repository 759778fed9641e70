"""A scheduler runs real jobs while something of a task is killed with SIGKILL: every run ends right after its retry.

KILLS=10 kills in ten runs (2 by default). What is killed, in which task and when, follows from a seed.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import psutil
import pytest

from expectations.version import REPOSITORY
from jobs import land_sample, setup, up
from jobs.home import Home
from jobs.local import postgres, services
from jobs.marts.warehouse import connect
from tests.faults.airflow_api import call, ended, task_instances
from tests.jobs import published

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("KILLS", "2"))
DAY = date(2017, 1, 3)
VICTIMS = ("job", "keeper", "task", "worker")
"""The job's process, its keeper, the task process, and the executor's worker with the supervisor in it."""
PATIENCE = {
    # The default of five minutes is for workers that are slow to answer, not for tests.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
}
LIMIT_S = 900
LINE = ("ingest", "validate", "aggregate", "build_features", "publish")
# The project's own DAG factory and operators over a few real jobs, and less patience between two tries.
DAG = f"""
from datetime import timedelta
from lifestage_airflow.dag import DS, day_param, lifestage_dag
from lifestage_airflow.operators import JobOperator

with lifestage_dag("kills", __doc__, tags=["test"], params={{"ds": day_param("The day.")}}):
    before = None
    for job in {LINE}:
        table = ["--table", "events"] if job == "validate" else []
        task = JobOperator(
            task_id=job, arguments=["jobs", job, *table, "--ds", DS], uses_engine=job not in ("ingest", "publish"),
            retry_delay=timedelta(seconds=1), retry_exponential_backoff=0,
        )
        if before:
            before >> task
        before = task
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """The sample shop's first days, a day of segments to publish, and Airflow with the DAG above."""
    folder = tmp_path_factory.mktemp("kills")
    home = Home(folder / "a home")
    setup.main(setup.arg_parser().parse_args(["--home", str(home.path), "--source", "complete_journey"]))
    land_sample.main(land_sample.arg_parser().parse_args(["--home", str(home.path)]))
    published.write(home, published.segments(DAY), DAY)
    for day in (1, 2):
        for job in ("ingest", "aggregate"):
            run_job(home, job, "--ds", f"2017-01-0{day}")
    (folder / "dags").mkdir()
    (folder / "dags" / "kills.py").write_text(DAG)
    start_airflow(home, folder / "dags")
    yield home
    services.stop_all(home, list(services.recorded(home)))
    postgres.stop(home)


def run_job(home: Home, *job: str) -> None:
    command = [sys.executable, "-m", "jobs", *job, "--home", str(home.path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def start_airflow(home: Home, dags: Path) -> None:
    """As ``up`` does, but for the folder of DAGs and the patience; without MLflow."""
    from jobs.local.airflow_env import migrate

    migrate(home)
    args = up.arg_parser().parse_args(["--home", str(home.path), "--port", "18380", "--mlflow-port", "15380"])
    parts = [service for service in up.services(home, {}, args) if service.name != up.MLFLOW]
    for service in parts:
        service.environment.update(PATIENCE | {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)})
    up.launch(home, parts)


@dataclass
class Watch:
    """Sees, all the time, which jobs of a home run, and how many of the same work ran at once."""

    home: Home
    at_once: Counter = field(default_factory=Counter)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        while not self.stopped.wait(0.1):
            for work, processes in jobs_of(self.home).items():
                self.at_once[work] = max(self.at_once[work], len(processes))


def jobs_of(home: Home) -> dict[tuple[str, ...], list[psutil.Process]]:
    """Jobs over the home by their arguments. A job's own children, forked and not yet another program, are not counted.

    A job that is being killed counts as long as it is there.
    """
    found: dict[tuple[str, ...], list[psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            command = tuple(process.cmdline())
            if command[1:3] != ("-m", "jobs") or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get("LIFESTAGE_HOME") == str(home.path) and os.getsid(process.pid) == process.pid:
                found.setdefault(command[2:], []).append(process)
        except (psutil.Error, OSError):
            continue
    return found


def first_seen(home: Home, job: str, limit_s: float = 300) -> psutil.Process:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        for work, processes in jobs_of(home).items():
            if work[1] == job:
                return processes[0]
        time.sleep(0.02)
    raise AssertionError(f"{job} never began")


def kill(home: Home, job: str, victim: str, after_s: float) -> None:
    """SIGKILL to what is meant, ``after_s`` after the job was first seen."""
    process = first_seen(home, job)
    keeper = process.parent()
    chain = {"job": process, "keeper": keeper, "task": keeper.parent(), "worker": keeper.parent().parent()}
    time.sleep(after_s)
    chain[victim].kill()


def digest(home: Home) -> tuple:
    """What the marts hold of the day, by the newest publish, and the features of the lake."""
    with connect(home) as connection:
        return connection.execute(
            "select content_digest from warehouse.publish_log_v1 order by publish_id desc limit 1"
        ).fetchone()


def run(home: Home) -> str:
    body = {"logical_date": None, "conf": {"ds": str(DAY)}}
    return call(home, "/dags/kills/dagRuns", body, "POST")["dag_run_id"]


def test_every_run_ends_right_after_its_retry(home):
    call(home, "/dags/kills", {"is_paused": False}, "PATCH")
    began = time.monotonic()
    assert ended(home, "kills", run(home), LIMIT_S) == "success"
    calm_s = time.monotonic() - began
    expected = digest(home)
    chance, hit = random.Random(7), Counter()
    for n in range(KILLS):
        victim = VICTIMS[n % len(VICTIMS)] if len(VICTIMS) <= KILLS else ("worker", "job")[n]
        job = chance.choice(LINE)
        watch = Watch(home)
        thread = threading.Thread(target=watch)
        thread.start()
        began, run_id = time.monotonic(), run(home)
        kill(home, job, victim, chance.uniform(0, 0.4))
        how = ended(home, "kills", run_id, LIMIT_S)
        took = time.monotonic() - began
        watch.stopped.set()
        thread.join()
        tries = {name: task["try_number"] for name, task in task_instances(home, "kills", run_id).items()}
        print(f"{n + 1}. {victim} of {job}: {how} in {took:.0f} s (calm: {calm_s:.0f} s), tries {tries}", flush=True)
        assert how == "success"
        # What was hit was tried a second time, and nothing else; or it had done its work a moment before.
        assert {name: count for name, count in tries.items() if count > 1} in ({job: 2}, {})
        hit[victim] += tries[job] == 2
        assert max(watch.at_once.values()) == 1, watch.at_once
        assert jobs_of(home) == {}
        assert digest(home) == expected
    print(f"{sum(hit.values())} of {KILLS} kills hit a task that was at work: {dict(hit)}", flush=True)
    assert sum(hit.values()) >= KILLS / 2
