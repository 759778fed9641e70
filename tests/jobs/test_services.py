"""Services over a home: found again by process id and start time, ended with all they started, others left alone."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from expectations.errors import DataError, LifestageError, SetupError, UnavailableError
from expectations.version import REPOSITORY
from jobs import down, run_days, up
from jobs.home import Home
from jobs.local import services
from jobs.local.airflow_env import admin_password, environment
from jobs.local.processes import end_tree, only_run

PARENT = """
import signal, subprocess, sys, time
{ignore}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(300)
"""
# Ends at once, and leaves a child in its session.
ORPHAN = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]).pid)
"""


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "a home")


def service(name="parent", code="", port=None) -> services.Service:
    return services.Service(name, [sys.executable, "-c", code or PARENT.format(ignore="")], dict(os.environ), port)


def said(record: services.Record) -> str:
    """The first line of the service's log, once it is there."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if text := Path(record.log).read_text():
            return text.split()[0]
        time.sleep(0.05)
    raise AssertionError(f"{record.name} said nothing")


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_service_is_found_again_and_stopped_with_its_children(home):
    record = services.start(home, service(port=4711))
    child = int(said(record))
    # Another process reads the same record.
    assert services.running(home) == {"parent": record}
    assert record.port == 4711
    assert services.stop(home, record)
    # The child had a session of its own, as an Airflow task's job has.
    assert not is_alive(record.pid)
    assert not is_alive(child)
    assert list(services.recorded(home)) == []


def test_who_ignores_sigterm_is_killed(home):
    record = services.start(home, service(code=PARENT.format(ignore="signal.signal(signal.SIGTERM, signal.SIG_IGN)")))
    child = int(said(record))
    assert end_tree(record.pid, grace_s=0.5)
    assert not is_alive(record.pid)
    assert not is_alive(child)
    services.stop(home, record)


def test_a_process_that_took_over_the_id_is_left_alone(home):
    """After a reboot the recorded id may be another program's: the start time tells them apart."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        ours = services.start(home, service("ours", "pass"))
        record = replace(ours, pid=stranger.pid, started=ours.started - 3600)
        assert not record.is_running()
        assert not services.stop(home, record)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_a_dead_parent_left_behind_is_stopped(home, capsys):
    """As a scheduler that is killed leaves its workers: the session is what remains to find them by."""
    record = services.start(home, service("scheduler", ORPHAN))
    child = int(said(record))
    _reap(record.pid)
    assert not record.is_running()
    assert is_alive(child)
    down.main(down.arg_parser().parse_args(["--home", str(home.path)]))
    assert "stopped scheduler" in capsys.readouterr().out
    assert not is_alive(child)


def test_a_new_start_ends_what_the_one_before_left_behind(home):
    before = services.start(home, service("scheduler", ORPHAN))
    child = int(said(before))
    _reap(before.pid)
    services.stop(home, services.start(home, service("scheduler", "pass")))
    assert not is_alive(child)


def _reap(pid: int) -> None:
    deadline = time.monotonic() + 15
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            os.waitpid(pid, 0)
        time.sleep(0.05)


def test_down_stops_what_was_started_and_says_so(home, capsys):
    running = services.start(home, service("scheduler"))
    ended = services.start(home, service("mlflow", "pass"))
    said(running)
    psutil.Process(ended.pid).wait(timeout=10) if psutil.pid_exists(ended.pid) else None
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        down.main(down.arg_parser().parse_args(["--home", str(home.path)]))
        out = capsys.readouterr().out
        assert "stopped scheduler" in out
        assert "mlflow had ended by itself" in out
        assert bystander.poll() is None
        down.main(down.arg_parser().parse_args(["--home", str(home.path)]))
        assert "nothing to stop" in capsys.readouterr().out
    finally:
        bystander.kill()
        bystander.wait()


def test_down_on_no_home_makes_none(tmp_path, capsys):
    down.main(down.arg_parser().parse_args(["--home", str(tmp_path / "nowhere")]))
    assert "nothing to stop" in capsys.readouterr().out
    assert not (tmp_path / "nowhere").exists()


def test_who_ends_while_starting_is_reported_with_its_words(home):
    record = services.start(home, service("api", "print('port 8080 is taken'); raise SystemExit(1)"))
    with pytest.raises(
        UnavailableError, match=r"api ended while it was starting:\nport 8080 is taken\nlog: .*api\.log"
    ):
        services.wait_until(lambda: "the API server", [record], limit_s=20)


def test_up_without_mlflow_says_that_the_api_server_ended_and_leaves_nothing(home):
    parts = [service(name) for name in up.AIRFLOW_PARTS if name != up.API]
    dying = service(up.API, "print('no such table'); raise SystemExit(1)", port=services.free_port(18200))
    with pytest.raises(UnavailableError, match=r"airflow-api-server ended while it was starting:\nno such table"):
        up.launch(home, [*parts, dying])
    assert list(services.recorded(home)) == []
    with pytest.raises(UnavailableError, match="airflow-api-server ended"):
        up.summary(home, set(), 1.0)


def test_a_part_that_cannot_be_started_takes_the_others_with_it(home, monkeypatch):
    missing = services.Service("airflow-scheduler", ["/nowhere/python"], dict(os.environ))
    with pytest.raises(FileNotFoundError):
        up.launch(home, [service(up.API), missing])
    assert list(services.recorded(home)) == []


def test_waiting_has_an_end(home):
    record = services.start(home, service("slow"))
    try:
        with pytest.raises(UnavailableError, match=r"not ready after 1 s, still missing: the scheduler"):
            services.wait_until(lambda: "the scheduler", [record], limit_s=1)
    finally:
        services.stop(home, record)


def test_the_log_of_the_time_before_is_kept(home):
    for word in ("first", "second"):
        record = services.start(home, service("talker", f"print({word!r}, flush=True); import time; time.sleep(60)"))
        said(record)
        services.stop(home, record)
    assert Path(record.log).read_text() == "second\n"
    assert Path(record.log + ".1").read_text() == "first\n"


def test_a_taken_port_is_passed_over():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert services.free_port(port) > port
        with pytest.raises(UnavailableError, match=f"no free port between {port}"):
            services.free_port(port, tries=1)
    assert services.free_port(port) == port


def test_airflows_environment(home, monkeypatch):
    uri = "postgresql+psycopg2://airflow:secret@db/airflow"
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", uri)
    monkeypatch.setenv("PYTHONPATH", "/of/the/caller")
    monkeypatch.setenv("LIFESTAGE_TIMEZONE", "Europe/Berlin")
    first = environment(home, "spark", api_port=8123)
    # Secrets are made once: a second set would log everyone out and make stored connections unreadable.
    assert environment(home, "spark", api_port=8123) == first
    assert first["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == uri
    assert first["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert first["LIFESTAGE_HOME"] == str(home.path)
    assert first["LIFESTAGE_ENGINE"] == "spark"
    # A date on Airflow's command line is the midnight that begins the shop's day.
    assert first["AIRFLOW__CORE__DEFAULT_TIMEZONE"] == "Europe/Berlin"
    assert "PYTHONPATH" not in first
    assert first["PATH"].split(os.pathsep)[0].endswith(".venv-airflow/bin")
    files = list(home.secrets.iterdir())
    assert len(files) == 4
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path.name
    assert len(admin_password(home)) >= 16
    assert first["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"


def test_sigint_ends_what_is_being_started(home):
    """A person who presses Ctrl-C while waiting leaves nothing behind."""
    program = f"""
from pathlib import Path
from jobs import up
from jobs.local import services
from jobs.home import Home
import os, sys
home = Home(Path({str(home.path)!r}))
endless = [sys.executable, "-c", "import time; time.sleep(300)"]
up.missing = lambda home: print(list(services.recorded(home))[0].pid, flush=True) or "everything"
up.launch(home, [services.Service("child", endless, dict(os.environ))])
"""
    waiting = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    pid = int(waiting.stdout.readline())
    time.sleep(0.5)
    waiting.send_signal(signal.SIGINT)
    waiting.wait(timeout=20)
    assert not is_alive(pid)


STAGE = """
import argparse, os
from pathlib import Path
from jobs.home import Home
from jobs.local.stages import Stages

def arg_parser():
    return argparse.ArgumentParser()

def main(args):
    Stages(Home(Path(os.environ["LIFESTAGE_HOME"])), "sail").run("serve", "http.server", "0", "--bind", "127.0.0.1")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_stage_ends_with_the_command_that_runs_it(home, tmp_path, number):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "line.py").write_text(STAGE)
    program = 'import sys; from expectations.commands import run; sys.exit(run("shop", {"line": ""}, ["line"]))'
    folders = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    command = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"PYTHONPATH": folders, "LIFESTAGE_HOME": str(home.path), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    with command:
        assert "serve" in command.stdout.readline()
        while "Serving" not in command.stdout.readline():
            pass
        (stage,) = psutil.Process(command.pid).children()
        command.send_signal(number)
    assert command.returncode == (-9 if number == signal.SIGKILL else 130)
    assert psutil.wait_procs([stage], timeout=5)[1] == []


def test_one_run_over_a_home_at_a_time(home):
    program = (
        "import sys, time; from pathlib import Path; from jobs.home import Home\n"
        "from jobs.local.processes import only_run\n"
        "with only_run(Home(Path(sys.argv[1]))): print('has it', flush=True); time.sleep(300)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(home.path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    with other:
        other.stdout.readline()
        with (
            pytest.raises(UnavailableError, match=rf"another run is working on this home, pid {other.pid}"),
            only_run(home),
        ):
            pass
        # However it ends, the home is free afterwards.
        other.kill()
    with only_run(home):
        assert (home.run / "run_shop.lock").read_text() == f"{os.getpid()}\n"
    with only_run(home):
        pass


@pytest.mark.parametrize(
    ("code", "kind"), [(65, DataError), (78, SetupError), (75, UnavailableError), (70, LifestageError)]
)
def test_a_day_fails_as_its_job_failed(code, kind):
    """By the exit code alone: the words are the job's own."""
    failure = run_days._Failure("ingest", "the file says (exit 65)", "ingest.log", code)
    error = run_days._error("2017-12-30", failure, 1, "driver.log")
    assert type(error) is kind
    assert error.exit_code == code


@pytest.mark.parametrize(
    ("given", "home_name", "engine"),
    [
        ({}, ".lifestage", "sail"),
        ({"SOURCE": "online_retail", "ENGINE": "spark"}, ".lifestage-online_retail-spark", "spark"),
        ({"ENGINE": "sc://host:15002"}, ".lifestage-sc---host-15002", "sc://host:15002"),
    ],
)
def test_every_target_of_make_has_the_same_home_and_engine(given, home_name, engine):
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("LIFESTAGE", "MAKE"))}
    show = "show: ; @echo $${LIFESTAGE_HOME##*/} $$LIFESTAGE_ENGINE"
    done = subprocess.run(
        ["make", "-s", f"--eval={show}", "show", *(f"{key}={value}" for key, value in given.items())],
        cwd=REPOSITORY, env=inherited, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [home_name, engine]
