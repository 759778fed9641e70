"""A home's Airflow, asked through its API as a person's browser asks it."""

import json
import subprocess
import sys
import time
import urllib.request

from expectations.version import REPOSITORY
from jobs import up
from jobs.home import Home
from jobs.local import services
from jobs.local.airflow_env import admin_password


def command(home: Home, *argv: str) -> str:
    """``python -m jobs argv`` as a person runs it; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "jobs", *argv, "--home", str(home.path)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def call(home: Home, path: str, body: dict | None = None, method: str | None = None) -> dict:
    """Airflow's API as user admin; the answer's JSON."""
    address = up.airflow_address(services.running(home))
    login = {"username": "admin", "password": admin_password(home)}
    token = send(f"{address}/auth/token", login, {}, "POST")["access_token"]
    return send(f"{address}/api/v2{path}", body, {"Authorization": f"Bearer {token}"}, method or "GET")


def send(address: str, body: dict | None, headers: dict, method: str) -> dict:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json", **headers}
    request = urllib.request.Request(address, data, headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.loads(answer.read() or "{}")


def wait_for(what, limit_s: float = 300.0):
    """The first true answer of ``what``."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {limit_s} s")


def state(home: Home, dag_id: str, run: str) -> str:
    return call(home, f"/dags/{dag_id}/dagRuns/{run}")["state"]


def ended(home: Home, dag_id: str, run: str, limit_s: float = 300.0) -> str:
    """The run's last state, once it has one."""
    return wait_for(lambda: (found := state(home, dag_id, run)) in ("success", "failed") and found, limit_s)


def task_instances(home: Home, dag_id: str, run: str) -> dict[str, dict]:
    found = call(home, f"/dags/{dag_id}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
    return {task["task_id"]: task for task in found}
