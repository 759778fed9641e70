"""Days run through Airflow in one process: what a person is told, what is kept, and what an end by force leaves."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import psutil
import pytest

from expectations.errors import DataError, LifestageError, SetupError
from expectations.version import REPOSITORY
from jobs import run_days, setup
from jobs.home import Home
from jobs.local import postgres
from jobs.marts import warehouse

pytestmark = pytest.mark.slow
DAYS = [date(2017, 12, day) for day in (29, 30, 31)]
# In the interpreter's place: notes what it was called with, and misbehaves where the test asks it to.
PROGRAM = """
import json, os, sys, time
note = dict(argv=sys.argv[2:], engine=os.environ.get("LIFESTAGE_ENGINE"), home=os.environ["LIFESTAGE_HOME"])
with open(os.environ["NOTES"], "a") as file:
    file.write(json.dumps(note) + chr(10))
asked = json.loads(os.environ.get("ASKED", "{}")).get(sys.argv[3], {})
if asked.get("day") in (None, *sys.argv):
    print(asked.get("says", "working"), file=sys.stderr)
    time.sleep(asked.get("sleep", 0))
    sys.exit(asked.get("exit", 0))
"""
RESOLVE = 'print("lifestage_behaviour/1") if sys.argv[3] == "resolve" else None\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("run days") / "a home")
    setup.main(setup.arg_parser().parse_args(["--home", str(home.path), "--source", "complete_journey"]))
    yield home
    postgres.stop(home)


@pytest.fixture
def notes(tmp_path, monkeypatch):
    program = tmp_path / "interpreter"
    program.write_text(f"#!{sys.executable}\n{PROGRAM.replace('asked =', RESOLVE + 'asked =', 1)}")
    program.chmod(0o755)
    monkeypatch.setenv("LIFESTAGE_PYTHON", str(program))
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    return lambda: [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]


def kept(home: Home) -> list[tuple]:
    """What the UI will show: state and interval of each run, by day."""
    with warehouse.connect(home, "airflow", "airflow") as connection:
        return connection.execute(
            "select data_interval_start::date, data_interval_end::date, state, end_date - start_date < '1 hour'"
            " from dag_run where dag_id = 'lifestage_daily' order by 1"
        ).fetchall()


def started_within_the_hour(home: Home) -> list[bool]:
    """Of runs under way."""
    with warehouse.connect(home, "airflow", "airflow") as connection:
        rows = connection.execute(
            "select now() - start_date < '1 hour' from dag_run where state = 'running'"
        ).fetchall()
    return [row[0] for row in rows]


def test_a_day_that_fails_and_its_repair(home, notes, monkeypatch):
    bad = {"aggregate": {"day": "2017-12-30", "exit": 65, "says": "orders.csv: 12 of 40 lines lack a price"}}
    monkeypatch.setenv("ASKED", json.dumps(bad))
    with pytest.raises(DataError) as caught:
        run_days.run_days(home, DAYS, "spark")
    message = str(caught.value)
    assert "lifestage_daily of 2017-12-30 stopped at aggregate" in message
    assert "orders.csv: 12 of 40 lines lack a price" in message
    log = Path(message.rsplit("log: ", 1)[1])
    assert "orders.csv: 12 of 40 lines lack a price" in log.read_text()
    assert [(run[0], run[2]) for run in kept(home)] == [(DAYS[0], "success"), (DAYS[1], "failed")]
    assert {(note["engine"], note["home"]) for note in notes()} == {("spark", str(home.path))}
    # Wrong data is not tried again, and nothing after it ran, that day or later.
    called = [(note["argv"][1], note["argv"][note["argv"].index("--ds") + 1]) for note in notes()]
    assert called.count(("aggregate", "2017-12-30")) == 1
    assert ("build_features", "2017-12-30") not in called
    assert all(day != "2017-12-31" for _, day in called)

    monkeypatch.setenv("ASKED", "{}")
    run_days.run_days(home, DAYS[1:], "spark")
    # One run a day, each over its own day, lasting as long as it lasted.
    following = [*DAYS[1:], date(2018, 1, 1)]
    assert kept(home) == [(day, end, "success", True) for day, end in zip(DAYS, following, strict=True)]


INTERRUPTED = """
import sys
from datetime import date
from pathlib import Path
from jobs.home import Home
from jobs.run_days import run_days
run_days(Home(Path(sys.argv[1])), [date(2017, 12, 29)])
"""


def _job(home: Home, name: str) -> psutil.Process:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        for process in psutil.process_iter(["cmdline"]):
            argv = process.info["cmdline"] or []
            if argv[2:5] == ["-m", "jobs", name] and process.environ().get("LIFESTAGE_HOME") == str(home.path):
                return process
        time.sleep(0.1)
    raise AssertionError(f"job {name} never started")


def test_a_wrong_setting_is_final_and_said_to_be(home, notes, monkeypatch, caplog):
    wrong = {"ingest": {"exit": 78, "says": "LIFESTAGE_WAREHOUSE_URI names no server"}}
    monkeypatch.setenv("ASKED", json.dumps(wrong))
    with pytest.raises(SetupError, match="stopped at ingest: a setting is wrong"):
        run_days.run_days(home, DAYS[:1])
    assert "ingest             failed" in caplog.text
    assert "tried again" not in caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_whoever_gives_up_leaves_nothing_behind(home, notes, monkeypatch, number):
    monkeypatch.setenv("ASKED", json.dumps({"aggregate": {"sleep": 300}}))
    person = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(home.path)], cwd=REPOSITORY, env=os.environ, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background may ignore it
    )  # fmt: skip
    job = _job(home, "aggregate")
    driver = job.parent().parent()  # between them: the job's keeper
    person.send_signal(number)
    person.wait(timeout=30)
    _, alive = psutil.wait_procs([job, driver], timeout=5)
    assert not alive


def test_airflow_killed_is_told_and_takes_its_job_with_it(home, notes, monkeypatch):
    monkeypatch.setenv("ASKED", json.dumps({"aggregate": {"sleep": 300}}))

    def kill() -> None:
        job = _job(home, "aggregate")
        keeper = job.parent()
        seen.extend(started_within_the_hour(home))
        killed.extend([job, keeper, keeper.parent()])
        keeper.parent().kill()

    killed, seen = [], []
    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(LifestageError, match=r"Airflow ended with exit -9 while running 2017-12-29; log: .*\.log"):
        run_days.run_days(home, DAYS[:1])
    thread.join()
    _, alive = psutil.wait_procs(killed, timeout=10)
    assert not alive
    assert seen == [True]  # or a clean-up of old runs would take the one under way along
    # The unfinished run does not stand in the way of the next.
    monkeypatch.setenv("ASKED", "{}")
    run_days.run_days(home, DAYS[:1])
    assert kept(home)[0] == (DAYS[0], DAYS[1], "success", True)
