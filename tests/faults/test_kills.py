"""The daily line by a scheduler while something of a task is killed with SIGKILL: each run ends right after its retry.

KILLS=10 kills in ten runs (2 by default). What is killed, of which task and when, follows from a seed.
"""

import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from expectations.version import REPOSITORY
from jobs import up
from jobs.home import Home
from jobs.local import services
from tests.faults.airflow_api import call, ended, task_instances, wait_for
from tests.faults.small_shop import KEY, LAST, marts

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("KILLS", "2"))
DAG_ID = "lifestage_daily"
VICTIMS = ("job", "keeper", "task", "worker")
"""The job's process, its keeper, the task process, and the executor's worker with the supervisor in it."""
PATIENCE = {
    # The default of five minutes is for workers that are slow to answer, not for tests.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
}
LESS_PATIENCE = """
from datetime import timedelta
for task in ingest.dag.tasks:  # not a minute between two tries
    task.retry_delay, task.retry_exponential_backoff = timedelta(seconds=1), 0
"""
LIMIT_S = 900


@pytest.fixture(scope="module")
def home(first_run, tmp_path_factory) -> Home:
    """The small shop with all of its days run, and Airflow with the daily line and less patience."""
    home, *_ = first_run
    dags = tmp_path_factory.mktemp("dags")
    (dags / "daily.py").write_text((REPOSITORY / "dags" / f"{DAG_ID}.py").read_text() + LESS_PATIENCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFESTAGE_CUSTOMER_KEY", KEY)
        start_airflow(home, dags)
        yield home
        services.stop_all(home, list(services.recorded(home)))


def start_airflow(home: Home, dags: Path) -> None:
    """As ``up`` does, but for the folder of DAGs and the patience; without MLflow."""
    from jobs.local.airflow_env import migrate

    migrate(home)
    up.write_pools(home)
    args = up.arg_parser().parse_args(["--home", str(home.path), "--port", "18380", "--mlflow-port", "15380"])
    parts = [service for service in up.services(home, {}, args) if service.name != up.MLFLOW]
    for service in parts:
        service.environment.update(PATIENCE | {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)})
    up.launch(home, parts)
    call(home, f"/dags/{DAG_ID}", {"is_paused": False}, "PATCH")
    # Its schedule begins with yesterday, which the shop's year does not have: that run ends at once.
    wait_for(lambda: call(home, f"/dags/{DAG_ID}/dagRuns?run_type=scheduled&state=failed")["dag_runs"])


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
    """Jobs over the home by module and arguments. A job's children, forked and not yet another program, do not count.

    A job that is being killed counts as long as it is there.
    """
    found: dict[tuple[str, ...], list[psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            command = tuple(process.cmdline())
            if command[1:2] != ("-m",) or command[2:3] not in (("jobs",), ("ml",)):
                continue
            is_ours = process.environ().get("LIFESTAGE_HOME") == str(home.path)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == process.pid:
                found.setdefault(command[2:], []).append(process)
        except (psutil.Error, OSError):
            continue
    return found


def first_seen(home: Home, work: tuple[str, ...], limit_s: float = 300) -> psutil.Process:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if processes := jobs_of(home).get(work):
            return processes[0]
        time.sleep(0.02)
    raise AssertionError(f"{work} never began")


def kill(home: Home, work: tuple[str, ...], victim: str, after_s: float) -> None:
    """SIGKILL to what is meant, ``after_s`` after the job was first seen."""
    process = first_seen(home, work)
    keeper = process.parent()
    chain = {"job": process, "keeper": keeper, "task": keeper.parent(), "worker": keeper.parent().parent()}
    time.sleep(after_s)
    chain[victim].kill()


def run(home: Home) -> str:
    body = {"logical_date": None, "conf": {"ds": LAST}}
    return call(home, f"/dags/{DAG_ID}/dagRuns", body, "POST")["dag_run_id"]


def test_every_run_ends_right_after_its_retry(home):
    expected, began, calm = marts(home), time.monotonic(), run(home)
    assert ended(home, DAG_ID, calm, LIMIT_S) == "success"
    calm_s = time.monotonic() - began
    assert marts(home) == expected
    line = {name: task for name, task in task_instances(home, DAG_ID, calm).items() if task["rendered_fields"]}
    assert {"ingest", "resolve_model", "score", "publish", "report"} <= set(line)
    chance, hit = random.Random(7), Counter()
    for n in range(KILLS):
        victim = VICTIMS[n % len(VICTIMS)] if len(VICTIMS) <= KILLS else ("worker", "job")[n]
        name = chance.choice(sorted(line))
        watch = Watch(home)
        thread = threading.Thread(target=watch)
        thread.start()
        began, run_id = time.monotonic(), run(home)
        work = tuple(line[name]["rendered_fields"]["arguments"])
        kill(home, work, victim, chance.uniform(0, 0.5 * line[name]["duration"]))
        how = ended(home, DAG_ID, run_id, LIMIT_S)
        took = time.monotonic() - began
        watch.stopped.set()
        thread.join()
        tries = {task: of["try_number"] for task, of in task_instances(home, DAG_ID, run_id).items()}
        again = {task: count for task, count in tries.items() if count > 1}
        print(f"{n + 1}. {victim} of {name}: {how} in {took:.0f} s (calm: {calm_s:.0f} s), again {again}", flush=True)
        assert how == "success"
        # What was hit was tried a second time, and nothing else; or it had done its work a moment before.
        assert again in ({name: 2}, {})
        hit[victim] += name in again
        assert max(watch.at_once.values()) == 1, watch.at_once
        assert jobs_of(home) == {}
        assert marts(home) == expected
    print(f"{sum(hit.values())} of {KILLS} kills hit a task that was at work: {dict(hit)}", flush=True)
    assert sum(hit.values()) >= KILLS / 2
