"""Start Airflow and the MLflow UI over the home, wait until they answer, print addresses and log-ins.

Everything listens on this machine only. DAGs are paused until someone unpauses them, and never catch up. What runs
already is left as it is; `python -m jobs down` stops what this started.
"""

import argparse
import http.client
import json
import logging
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from datetime import datetime

from expectations.errors import SetupError, UnavailableError
from expectations.version import REPOSITORY
from jobs.arguments import add_engine, job_parser
from jobs.home import Home
from jobs.local.airflow_env import ADMIN, AIRFLOW_BIN, admin_password, environment, migrate
from jobs.local.services import Record, Service, free_port, running, start, stop_all, wait_until

log = logging.getLogger(__name__)

HEALTHY_LIMIT_S = 180
API = "airflow-api-server"
MLFLOW = "mlflow"
# Tasks' logs are read from the home, so nothing has to serve them on a port of its own.
AIRFLOW_PARTS = {
    API: ["api-server"],
    "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
    "airflow-dag-processor": ["dag-processor"],
    "airflow-triggerer": ["triggerer", "--skip-serve-logs"],
}


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("up", __doc__)
    parser.add_argument("--port", type=int, default=8080, help="Airflow's port, or the next free one (default: 8080)")
    parser.add_argument("--mlflow-port", type=int, default=5000, help="MLflow's, or the next free one (default: 5000)")
    add_engine(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from jobs.local.postgres import ensure_running

    home = Home.from_environment(args.home)
    home.sources  # noqa: B018 - a home that was never set up has nothing to show
    ensure_running(home, started_by="up")
    migrate(home)
    write_pools(home)
    before = running(home)
    wanted = services(home, before, args)
    wanted = [service for service in wanted if service.name not in before]
    if wanted:
        print(f"starting {', '.join(service.name for service in wanted)} …", flush=True)
    print(summary(home, set(before), launch(home, wanted)))


def write_pools(home: Home) -> None:
    """The pools that tasks name: Airflow runs no task whose pool it does not know."""
    done = subprocess.run(
        [AIRFLOW_BIN / "python", "-m", "lifestage_airflow.pools"],
        env=environment(home) | {"PYTHONPATH": str(REPOSITORY / "plugins")}, cwd=REPOSITORY,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SetupError(f"Airflow's pools could not be written: {done.stderr.strip().splitlines()[-1:]}")


def services(home: Home, before: dict[str, Record], args: argparse.Namespace) -> list[Service]:
    """All parts, on the ports of those that run already."""
    api_port = before[API].port if API in before else free_port(args.port)
    own_mlflow = os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http")
    mlflow_port = before[MLFLOW].port if MLFLOW in before else free_port(args.mlflow_port)
    variables = environment(home, args.engine, api_port)
    if not own_mlflow:
        variables["LIFESTAGE_MLFLOW_URL"] = f"http://127.0.0.1:{mlflow_port}"  # what links of tasks point to
    airflow = [
        Service(name, [str(AIRFLOW_BIN / "python"), "-m", "airflow", *part], variables, api_port)
        for name, part in AIRFLOW_PARTS.items()
    ]
    if own_mlflow:
        return airflow  # runs go to a tracking server of the user's own, which has its own UI
    return [*airflow, _mlflow(home, mlflow_port)]


def _mlflow(home: Home, port: int) -> Service:
    """MLflow's UI over the home's tracking database. The address goes by environment: it holds a password."""
    from jobs.marts.warehouse import mlflow_uri

    hosts = f"127.0.0.1:{port},localhost:{port}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--allowed-hosts", hosts, "--artifacts-destination", (home.mlflow / "artifacts").as_uri(),
    ]  # fmt: skip
    variables = {
        **{key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"},
        "MLFLOW_BACKEND_STORE_URI": os.environ.get("MLFLOW_TRACKING_URI") or mlflow_uri(home),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return Service(MLFLOW, command, variables, port)


def launch(home: Home, wanted: list[Service]) -> float:
    """Starts the services; the seconds until all answer. Whatever goes wrong, what this call started is stopped."""
    new: list[Record] = []
    try:
        for service in wanted:
            new.append(start(home, service))
        return wait_until(lambda: missing(home), new, HEALTHY_LIMIT_S) if new else 0.0
    except BaseException:
        stop_all(home, new)
        raise


def missing(home: Home) -> str:
    """What does not work yet, in words; empty when everything does."""
    found = running(home)
    if gone := AIRFLOW_PARTS.keys() - found.keys():
        return f"{', '.join(sorted(gone))}: not running"
    if MLFLOW in found and _get(f"{mlflow_address(found)}/health") is None:
        return "MLflow"
    health = _get(f"{airflow_address(found)}/api/v2/monitor/health")
    if health is None:
        return "Airflow's API server"
    facts = json.loads(health)
    for part in ("scheduler", "dag_processor", "triggerer"):
        beat = facts.get(part, {}).get(f"latest_{part}_heartbeat")
        if (
            beat is None
            or datetime.fromisoformat(beat).timestamp() < found[f"airflow-{part.replace('_', '-')}"].started
        ):
            return f"Airflow's {part.replace('_', ' ')}"
    return "" if dag_ids(home, found) else "the DAGs"


def dag_ids(home: Home, found: dict[str, Record]) -> list[str]:
    """The DAGs that the UI shows, as the user whose log-in is printed."""
    address = airflow_address(found)
    token = _get(f"{address}/auth/token", {"username": ADMIN, "password": admin_password(home)})
    headers = {"Authorization": f"Bearer {json.loads(token or '{}').get('access_token')}"}
    dags = _get(f"{address}/api/v2/dags", headers=headers)
    return [dag["dag_id"] for dag in json.loads(dags or "{}").get("dags", [])]


def _get(address: str, body: dict | None = None, headers: dict[str, str] | None = None) -> str | None:
    """What the address answers (to a POST, if there is a body); None if it does not answer or refuses."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        # Loopback only: a proxy of the surroundings would not find it.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return answer.read().decode()
    except (OSError, http.client.HTTPException):
        return None


def airflow_address(found: dict[str, Record]) -> str:
    return f"http://127.0.0.1:{found[API].port}"


def mlflow_address(found: dict[str, Record]) -> str:
    return f"http://127.0.0.1:{found[MLFLOW].port}"


def runs_address(home: Home, found: dict[str, Record]) -> str:
    """The page of the shop's runs. It names the view, since MLflow's own start page is about language models."""
    from ml.tracking import experiment_name

    address = mlflow_address(found)
    name = urllib.parse.quote(experiment_name(home.path), safe="")
    answer = _get(f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    experiment = f"/{json.loads(answer)['experiment']['experiment_id']}" if answer else ""
    return f"{address}/#/experiments{experiment}?workflowType=machine_learning"


def summary(home: Home, before: set[str], ready_after: float) -> str:
    """Addresses and log-ins, and which parts were up before."""
    found = running(home)
    if API not in found:
        raise UnavailableError(f"{API} ended; log: {home.logs / 'services' / API}.log")
    mlflow = runs_address(home, found) if MLFLOW in found else os.environ.get("MLFLOW_TRACKING_URI", "")
    state = f"ready after {ready_after:.0f} s" if ready_after else "already up"
    kept = f" ({', '.join(sorted(before))}: already up)" if before and ready_after else ""
    return "\n".join([
        f"{state}{kept}",
        f"Airflow  {airflow_address(found)}   user {ADMIN}   password {admin_password(home)}",
        f"MLflow   {mlflow}   no log-in",
        "DAGs are paused: unpause one to put it on its schedule; it starts with yesterday and never catches up.",
        f"logs: {home.logs / 'services'}   stop: make down",
    ])  # fmt: skip
