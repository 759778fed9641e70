"""The embedded server: started once by many, found again, stopped by its starter, back after every kind of death."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from expectations.errors import SetupError, UnavailableError
from expectations.version import REPOSITORY
from jobs import setup
from jobs.home import Home
from jobs.home_secrets import secret
from jobs.local import postgres, postgres_cluster
from jobs.marts import warehouse

START = "from pathlib import Path; from jobs.home import Home; from jobs.local import postgres; import sys\n"
PRINT_PID = START + "print(postgres.ensure_running(Home(Path(sys.argv[1])), 'test').pid)"


NOBODY = {"user": 65534, "group": 65534, "extra_groups": []}


def others_may_run_python():
    try:
        return (
            subprocess.run([sys.executable, "-c", "import jobs.local.postgres"], cwd=REPOSITORY, **NOBODY).returncode
            == 0
        )
    except OSError:
        return False


as_root = pytest.mark.skipif(
    os.geteuid() != 0 or not others_may_run_python(),
    reason="needs root, and an interpreter that others may run too",
)


@contextmanager
def new_home():
    with tempfile.TemporaryDirectory(prefix="lifestage tests ") as folder:
        home = Home(Path(folder).resolve() / "a home")
        yield home
        postgres.stop(home)


@pytest.fixture(scope="module")
def module_home():
    with new_home() as home:
        yield home


@pytest.fixture
def home(module_home):
    """A home whose server is down; what other tests of this file wrote to its database is there."""
    postgres.stop(module_home)
    return module_home


def in_python(code, home, **options):
    command = [sys.executable, "-c", code, str(home.path)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, **options)


def query(home, statement="select 1"):
    server, password = postgres.ensure_running(home), secret(home, "postgres_password")
    address = {"host": server.host, "port": server.port, "user": "postgres", "password": password}
    with psycopg.connect(**address, autocommit=True) as connection:
        result = connection.execute(statement)
        return result.fetchone()[0] if result.description else None


def kill(home):
    pid = postgres.ensure_running(home).pid
    os.kill(pid, signal.SIGKILL)
    while postgres._is_ours(home, pid):  # a signal takes a moment
        time.sleep(0.01)


def server_processes(home):
    return [pid for pid in psutil.pids() if postgres._is_ours(home, pid)]


def test_many_start_one_where_one_was_killed_in_creation():
    with new_home() as home:
        # What a kill in the middle of initdb leaves: a folder that is not the data directory yet.
        (home.postgres / "data-new-1").mkdir(parents=True)
        (home.postgres / "data-new-1" / "PG_VERSION").write_text("18\n")
        starts = [in_python(PRINT_PID, home) for _ in range(3)]
        pids = {start.communicate(timeout=60)[0].strip() for start in starts}
        assert len(pids) == 1
        assert query(home, "select current_setting('fsync')") == "on"
        assert list(home.postgres.glob("data-new-*")) == []
        begun = time.monotonic()
        assert postgres.ensure_running(home).pid == int(pids.pop())
        assert time.monotonic() - begun < 0.5  # a running server is found without starting anything


def test_killed_server_comes_back_with_its_data(home):
    query(home, "create table kept (x int)")
    query(home, "insert into kept values (42)")
    for _ in range(2):
        kill(home)
        assert query(home, "select x from kept") == 42


def test_lock_file_that_names_another_program(home):
    # After a reboot, or in a new container, the number in postmaster.pid may be any process: here, this one's parent.
    server = postgres.ensure_running(home)
    pid_file, socket_lock = home.postgres / "data/postmaster.pid", server.socket_folder / f".s.PGSQL.{server.port}.lock"
    texts = {path: path.read_text() for path in (pid_file, socket_lock)}
    postgres.stop(home)
    stranger = subprocess.Popen(["sleep", "60"], **as_server_account(home))
    try:
        for path, text in texts.items():
            path.write_text(text.replace(str(server.pid), str(stranger.pid), 1))
        assert postgres.running(home) is None
        assert query(home) == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def as_server_account(home):
    account = postgres_cluster.server_account(home)
    return {"user": account.pw_uid} if account else {}


def test_taken_port_moves_the_server_and_its_addresses(home):
    home.adopt("complete_journey", "complete_journey")
    home.mlflow.mkdir()
    old = postgres.ensure_running(home).port
    setup.write_tracking_uri(home)
    postgres.stop(home)
    with socket.create_server(("127.0.0.1", old)):
        new = postgres.ensure_running(home).port
        assert new != old
        assert (home.mlflow / "tracking_uri").read_text() == warehouse.mlflow_uri(home)
        assert f":{new}/" in warehouse.mlflow_uri(home)
    postgres.stop(home)
    assert postgres.ensure_running(home).port == new  # recorded: a BI tool's address should not wander back and forth


def test_stop_leaves_what_another_started(home):
    assert not postgres.stop(home)
    postgres.ensure_running(home, "setup")
    postgres.ensure_running(home, "up")  # finds it running
    record = json.loads((home.run / "postgres.json").read_text())
    assert record["started_by"] == "setup"
    assert record["process_started"] == psutil.Process(record["pid"]).create_time()
    assert not postgres.stop(home, "up")
    assert query(home) == 1
    assert postgres.stop(home, "setup")
    assert server_processes(home) == []
    postgres.ensure_running(home, "up")
    assert postgres.stop(home, "up")


def test_ctrl_c_in_the_terminal_spares_the_server(home):
    code = PRINT_PID + "; sys.stdout.flush(); import time; time.sleep(60)"
    starter = in_python(code, home, start_new_session=True, stderr=subprocess.DEVNULL)
    pid = int(starter.stdout.readline())
    os.killpg(starter.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
    starter.communicate(timeout=20)
    assert postgres.running(home).pid == pid
    assert os.getsid(pid) != starter.pid
    assert query(home) == 1


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        pytest.param('it\'s "odd" $HOME ü', True, marks=pytest.mark.slow),
        pytest.param("a, b", False, marks=pytest.mark.slow),
        ("x" * 150, False),
    ],
)
def test_odd_and_long_paths(name, fits):
    # A socket's path may take about 100 bytes and no comma; else the socket lies in a private folder, and that is kept.
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder).resolve() / name)
        home.adopt("complete_journey", "complete_journey")
        try:
            first = postgres.ensure_running(home).socket_folder
            assert first.is_relative_to(home.path) == fits
            with psycopg.connect(warehouse.uri(home, "postgres", "postgres", socket=True)) as connection:
                assert connection.info.hostaddr == ""
            postgres.stop(home)
            assert postgres.ensure_running(home).socket_folder == first
            if not fits:  # temporary folders are swept
                postgres.stop(home)
                first.rmdir()
                assert query(home) == 1
        finally:
            found = postgres.running(home)
            postgres.stop(home)
            if found and not fits:
                found.socket_folder.rmdir()


def test_failed_start_shows_the_servers_words(home):
    postgres.ensure_running(home)
    postgres.stop(home)
    conf = home.postgres / "data" / "postgresql.conf"
    text = conf.read_text()
    conf.write_text(text + "no_such_setting = 1\n")
    said = r'(?s)did not start.*unrecognized configuration parameter "no_such_setting".*log:'
    with pytest.raises(UnavailableError, match=said):
        postgres.ensure_running(home)
    conf.write_text(text)
    assert query(home) == 1


@as_root
def test_another_users_home_is_named(home):
    postgres.ensure_running(home)
    code = START + "print(postgres.ensure_running(Home(Path(sys.argv[1]))))"
    done = in_python(code, home, **NOBODY, stderr=subprocess.STDOUT).communicate(timeout=30)[0]
    assert SetupError.__name__ in done
    assert "belongs to another user" in done


def run_job(home, *arguments):
    command = [sys.executable, "-m", "jobs", *arguments, "--home", str(home.path)]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True, **NOBODY).stdout


@as_root
def test_root_uses_the_home_of_another_user():
    with tempfile.TemporaryDirectory(prefix="lifestage tests ") as folder:
        os.chown(folder, 65534, 65534)
        home = Home(Path(folder).resolve())
        pid = int(in_python(PRINT_PID, home, **NOBODY).communicate(timeout=60)[0])
        assert psutil.Process(pid).uids().real == 65534
        try:
            run_job(home, "setup", "--source", "complete_journey")
            assert "(0 rows)" in run_job(home, "sql", "select * from customer_segments")
            kill(home)
            assert query(home) == 1
            assert psutil.Process(postgres.running(home).pid).uids().real == 65534
        finally:
            postgres.stop(home)
