"""Airflow as `up` starts it over a real home, driven through its API: four processes, real jobs, kills."""

import json
import subprocess
import time
import urllib.error
from datetime import UTC, date, datetime, timedelta

import psutil
import pytest

from expectations.errors import SetupError
from jobs import land_sample, run_days, setup, up
from jobs.home import Home
from jobs.local import postgres, services
from jobs.local.airflow_env import AIRFLOW_BIN, admin_password, environment
from tests.faults.airflow_api import call, command, ended, send, task_instances, wait_for

pytestmark = pytest.mark.slow
FIRST, LAST = "2017-01-01", "2017-01-20"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """The sample shop, landed; Airflow and MLflow up, on ports away from those of a person at work here."""
    home = Home(tmp_path_factory.mktemp("scheduler run") / "a home")
    setup.main(setup.arg_parser().parse_args(["--home", str(home.path), "--source", "complete_journey"]))
    land_sample.main(land_sample.arg_parser().parse_args(["--home", str(home.path)]))
    command(home, "up", "--port", "18080", "--mlflow-port", "15000")
    yield home
    command(home, "down")
    postgres.stop(home)


def start_setup(home: Home, last: str) -> str:
    call(home, "/dags/lifestage_setup", {"is_paused": False}, "PATCH")
    conf = {"source": "complete_journey", "first": FIRST, "last": last}
    return call(home, "/dags/lifestage_setup/dagRuns", {"logical_date": None, "conf": conf}, "POST")["dag_run_id"]


def tasks(home: Home, dag_id: str, run: str) -> dict[str, tuple[str | None, int]]:
    return {name: (task["state"], task["try_number"]) for name, task in task_instances(home, dag_id, run).items()}


def jobs_of(home: Home, job: str) -> list[psutil.Process]:
    """Processes that run a job over this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[1:4] == ["-m", "jobs", job]:
                found += [process] if process.environ().get("LIFESTAGE_HOME") == str(home.path) else []
        except psutil.Error:
            continue
    return found


def test_what_is_up(home):
    dags = {dag["dag_id"]: dag["is_paused"] for dag in call(home, "/dags")["dags"]}
    assert dags == dict.fromkeys((f"lifestage_{name}" for name in ("daily", "maintenance", "setup", "train")), True)
    assert call(home, "/importErrors")["total_entries"] == 0
    # Nobody comes in without the password.
    with pytest.raises(urllib.error.HTTPError, match="401"):
        send(f"{up.airflow_address(services.running(home))}/api/v2/dags", None, {}, "GET")
    # Everything listens on loopback only.
    for record in services.running(home).values():
        for process in [psutil.Process(record.pid), *psutil.Process(record.pid).children(recursive=True)]:
            listening = [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
            assert set(listening) <= {"127.0.0.1"}, record.name
    said = command(home, "up")
    assert said.startswith("already up")
    assert admin_password(home) in said


def test_mlflow_answers_its_own_address_and_no_other(home):
    address = up.mlflow_address(services.running(home))
    assert up._get(f"{address}/health") == "OK"
    assert up._get(f"{address}/api/2.0/mlflow/experiments/search?max_results=1") is not None
    foreign = {"Host": "evil.example"}
    assert up._get(f"{address}/api/2.0/mlflow/experiments/search?max_results=1", headers=foreign) is None


@pytest.fixture(scope="module")
def setup_run(home) -> str:
    """lifestage_setup on twenty days, run by the scheduler."""
    run = start_setup(home, LAST)
    ended(home, "lifestage_setup", run)
    return run


def test_the_scheduler_runs_real_jobs(home, setup_run):
    """Real jobs in the jobs environment, their lines in the logs that the UI shows."""
    run = setup_run
    assert set(tasks(home, "lifestage_setup", run).values()) == {("success", 1)}
    assert (home.lake / "features" / f"snapshot_date={LAST}").is_dir()
    log = call(home, f"/dags/lifestage_setup/dagRuns/{run}/taskInstances/ingest/logs/1")
    lines = " ".join(str(line.get("event")) for line in log["content"])
    assert "ingested 20 day(s)" in lines


def test_marking_a_task_failed_ends_its_job(home):
    run = start_setup(home, "2017-12-28")
    running = wait_for(lambda: jobs_of(home, "ingest"))
    path = f"/dags/lifestage_setup/dagRuns/{run}/taskInstances/ingest"
    call(home, path, {"new_state": "failed"}, "PATCH")
    gone, alive = psutil.wait_procs(running, timeout=60)
    assert gone
    assert not alive
    assert ended(home, "lifestage_setup", run) == "failed"
    # What it was about to run never ran.
    assert tasks(home, "lifestage_setup", run)["aggregate"][0] == "upstream_failed"


def test_unpausing_the_daily_line_starts_with_yesterday_and_catches_nothing_up(home, setup_run):
    """The sample ends with 2017, so yesterday is no day of its: one try, then nothing after it."""
    call(home, "/dags/lifestage_daily", {"is_paused": False}, "PATCH")
    runs = wait_for(lambda: call(home, "/dags/lifestage_daily/dagRuns")["dag_runs"])
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    assert [run["data_interval_start"][:10] for run in runs] == [yesterday]
    run = runs[0]["dag_run_id"]
    assert ended(home, "lifestage_daily", run) == "failed"
    found = tasks(home, "lifestage_daily", run)
    # Bad data is not tried again.
    assert found["ingest"] == ("failed", 1)
    assert found["publish"][0] == "upstream_failed"
    log = call(home, f"/dags/lifestage_daily/dagRuns/{run}/taskInstances/ingest/logs/1")
    assert "lies outside the days on which complete_journey is expected to deliver" in json.dumps(log["content"])
    assert len(call(home, "/dags/lifestage_daily/dagRuns")["dag_runs"]) == 1
    # Beside a scheduler that may run the DAG, days are not run by hand too: each task would run twice at once.
    with pytest.raises(SetupError, match="Pause the DAG first"):
        run_days.run_days(home, [date(2017, 1, 20)])


def test_a_backfill_keeps_two_days_under_way_and_in_order(home, setup_run):
    """The DAG is unpaused by now. No model was trained, so no day is scored, and the next goes on."""
    days = ("2017-01-21", "2017-01-22", "2017-01-23")
    asked = ["--dag-id", "lifestage_daily", "--from-date", days[0], "--to-date", days[-1], "--max-active-runs", "3"]
    airflow = [str(AIRFLOW_BIN / "python"), "-m", "airflow", "backfill", "create", *asked]
    done = subprocess.run(airflow, env=environment(home), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def finished() -> list[dict]:
        runs = call(home, "/dags/lifestage_daily/dagRuns?run_type=backfill&order_by=logical_date")["dag_runs"]
        return runs if len(runs) == 3 and all(run["end_date"] for run in runs) else []

    runs = wait_for(finished)
    assert [run["data_interval_start"][:10] for run in runs] == list(days)
    first, second, third = (task_instances(home, "lifestage_daily", run["dag_run_id"]) for run in runs)
    for before, after in ((first, second), (second, third)):
        assert after["ingest"]["start_date"] < before["validate_features"]["end_date"]  # side by side
        assert before["validate_features"]["end_date"] <= after["encode_text"]["start_date"]  # and in order
        assert before["score"]["state"] == "upstream_failed"
        assert after["validate_features"]["state"] == "success"
    # Two at a time, not three.
    assert runs[0]["end_date"] <= third["ingest"]["start_date"] or runs[1]["end_date"] <= third["ingest"]["start_date"]


def test_down_ends_a_job_that_runs(home):
    start_setup(home, "2017-12-28")
    running = wait_for(lambda: jobs_of(home, "ingest"))
    began = time.monotonic()
    said = command(home, "down")
    assert time.monotonic() - began < 30
    assert said.count("stopped") == 5
    gone, alive = psutil.wait_procs(running, timeout=5)
    assert gone
    assert not alive
    assert services.running(home) == {}
    # PostgreSQL was there before `up`, so it is left.
    assert postgres.running(home)
