"""Each thing that can be wrong is broken for real, and the doctor says so, and what to do."""

import json
import os
import shutil
import socket
import stat
import time
from datetime import date

import pyarrow as pa
import pytest

from expectations.errors import SetupError, UnavailableError
from jobs import doctor
from jobs.health import files, machine, services, warehouse
from jobs.health.finding import Check, Doubt, exit_code, look_all
from jobs.home import Home
from jobs.home_lock import home_alone
from jobs.marts.warehouse import WRITER, connect
from jobs.reading.vault_file import NOBODY, keep_ids
from ml.home import restoring_file, switching_file

CHECKS = {check.name: check for check in doctor.checks()}


@pytest.fixture
def admin(warehouse_home):
    with connect(warehouse_home, "postgres", "warehouse", autocommit=True) as connection:
        yield connection


def one(home, name):
    return look_all(home, [Check(name, CHECKS[name].look)])[0]


# -- findings ----------------------------------------------------------------------------------------------------------


def raising(error):
    def look(home):
        raise error

    return look


def test_the_worst_finding_decides_the_exit_code_and_what_hangs_on_it_is_not_asked(tmp_path):
    asked = []
    checks = [
        Check("well", lambda home: "fine"),
        Check("doubt", raising(Doubt("hm"))),
        Check("silent", raising(UnavailableError("gone"))),
        Check("after", lambda home: asked.append("after") or "", needs="silent"),
        Check("odd", raising(ZeroDivisionError("by nothing"))),
    ]
    found = look_all(Home(tmp_path), checks)
    assert [(f.check, f.state, f.exit_code) for f in found] == [
        ("well", "ok", 0), ("doubt", "warn", 0), ("silent", "fail", 75), ("after", "warn", 0), ("odd", "fail", 78),
    ]  # fmt: skip
    assert [exit_code(found[:n]) for n in (0, 2, 4, 5)] == [0, 0, 75, 78]
    assert not asked
    assert "ZeroDivisionError" in found[-1].says


def test_a_check_that_hangs_holds_nobody_up(tmp_path):
    started = time.monotonic()
    hang = [Check(f"{n}", lambda home: time.sleep(30)) for n in range(3)]
    found = look_all(Home(tmp_path), [*hang, Check("well", lambda home: "fine")], limit=0.3)
    assert time.monotonic() - started < 2
    assert [f.exit_code for f in found] == [75, 75, 75, 0]


def test_a_server_that_takes_calls_and_never_answers_is_told_within_the_limit(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("LIFESTAGE_WAREHOUSE_URI", f"postgresql://u:p@127.0.0.1:{deaf.getsockname()[1]}/db")
        started = time.monotonic()
        found = one(Home(tmp_path), "warehouse as lifestage_writer")
    assert (found.state, found.exit_code) == ("fail", 75)
    assert time.monotonic() - started < 5.5


# -- a home that is well -----------------------------------------------------------------------------------------------


def test_a_home_that_is_well_is_called_so_in_seconds(warehouse_home, capsys):
    keep_ids(warehouse_home, date(2024, 1, 1), [pa.Table.from_pylist([], NOBODY.schema)])
    started = time.monotonic()
    code = doctor.main(doctor.arg_parser().parse_args(["--home", str(warehouse_home.path), "--json"]))
    assert time.monotonic() - started < 10
    found = json.loads(capsys.readouterr().out)
    assert [f for f in found if f["state"] == "fail"] == []
    assert code == 0
    assert [f["check"] for f in found] == list(CHECKS)


def test_the_table_names_every_check_and_counts(tmp_path, capsys):
    assert doctor.main(doctor.arg_parser().parse_args(["--home", str(tmp_path / "none")])) == 78
    lines = capsys.readouterr().out.splitlines()
    assert all(any(line[6:].startswith(name) for line in lines) for name in CHECKS)
    assert lines[-1].endswith(" fail")
    assert "setup --source NAME" in " ".join(lines)


# -- machine -----------------------------------------------------------------------------------------------------------


def test_a_package_of_another_version_or_missing_is_named(tmp_path, monkeypatch, home):
    lock = tmp_path / "a.lock"
    lock.write_text("# made\npytest==0.1\nno-such-thing==2.0 ; python_version > '3'\npsycopg[binary]==9.9\n")
    monkeypatch.setattr(machine, "LOCK", lock)
    with pytest.raises(
        SetupError, match=r"no-such-thing is missing, not 2.0; psycopg [\d.]+, not 9.9; pytest .* not 0.1"
    ):
        machine.packages(home)


def test_a_disk_that_holds_less_than_two_days_fails_and_less_than_fourteen_warns(home):
    newest = home.lake / "events" / "arrival_date=2024-01-02"
    (home.lake / "events" / "arrival_date=2024-01-01").mkdir(parents=True)
    newest.mkdir()
    free = shutil.disk_usage(home.path).free

    def of_a_day(size):  # a sparse file: as large as it says, and nothing on the disk
        with open(newest / "part-0.parquet", "wb") as file:
            file.truncate(size // machine.COPIES)

    of_a_day(free // 1000)
    assert " days" in machine.disk(home)
    of_a_day(free // 5)
    with pytest.raises(Doubt, match="make room"):
        machine.disk(home)
    of_a_day(free)
    with pytest.raises(SetupError, match="keep_days"):
        machine.disk(home)


@pytest.mark.parametrize(("name", "value"), [("LIFESTAGE_TIMEZONE", "Mars/Base"), ("LIFESTAGE_DAILY_AT", "25:00")])
def test_a_wrong_time_zone_or_hour_is_named(home, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=f"{name}='{value}'"):
        machine.time_zone(home)


@pytest.mark.parametrize(("ahead", "zone", "what"), [(61.0, "UTC", r"\+61.0 s off"), (0.0, "Asia/Tokyo", "Asia/Tokyo")])
def test_another_clock_or_zone_of_the_server_is_told(ahead, zone, what):
    with pytest.raises(Doubt, match=what):
        warehouse.judged(ahead, zone)


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_secret_that_others_may_read_is_named(home):
    assert "are their owner's alone" in files.secret_files(home)
    (home.secrets / "customer_key").chmod(0o644)
    with pytest.raises(SetupError, match=r"customer_key \(644\).*chmod -R go="):
        files.secret_files(home)


def test_a_home_that_cannot_be_written_or_is_none_is_named(home):
    files.home_writable(home)
    shutil.rmtree(home.lake, ignore_errors=True)
    home.lake.symlink_to("/proc")  # where not even root makes files
    with pytest.raises(SetupError, match="lake cannot be written"):
        files.home_writable(home)
    with pytest.raises(SetupError, match="LIFESTAGE_HOME"):
        files.home_writable(Home(home.path / "none"))


def test_a_home_left_half_done_or_held_alone_is_told_as_such(home):
    home.run.mkdir(exist_ok=True)
    shop = (home.path / "shop.json").rename(home.path / "shop.aside")  # as a restore may leave it
    for mark, what in ((restoring_file(home.path), "restore of .* cut short"), (switching_file(home.path), "rekey")):
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        with pytest.raises(SetupError, match=what):
            files.home_writable(home)
        mark.unlink()
    shop.rename(home.path / "shop.json")
    with home_alone(home, 0), pytest.raises(UnavailableError, match="to itself"):
        files.home_writable(home)
    assert "sources" in files.home_writable(home)


def test_another_key_than_the_homes_is_told_and_nothing_is_noted(home, ingest, land, monkeypatch):
    before = (home.path / "shop.json").read_text()
    assert "nothing is ingested" in files.customer_key(home)
    assert (home.path / "shop.json").read_text() == before
    land(date(2024, 3, 5), "c1,2024-03-05 10:00:00,sale,o1,p1,1,9.99,,")
    ingest(date(2024, 3, 5))
    assert "as in the home's data" in files.customer_key(home)
    (home.vault / "2024-03-05.parquet").unlink()
    with pytest.raises(Doubt, match="holds no ids"):
        files.customer_key(home)
    monkeypatch.setenv("LIFESTAGE_CUSTOMER_KEY", "ab" * 32)
    with pytest.raises(SetupError, match="put the right one back"):
        files.customer_key(home)


# -- warehouse ---------------------------------------------------------------------------------------------------------


def test_a_password_that_is_not_the_roles_is_told(warehouse_home, admin):
    from psycopg import sql

    secret = (warehouse_home.secrets / "bi_reader_password").read_text().strip()
    admin.execute("alter role bi_reader password 'another'")
    try:
        found = one(warehouse_home, "warehouse as bi_reader")
        assert (found.exit_code, "bi_reader may not connect" in found.says) == (78, True)
    finally:
        admin.execute(sql.SQL("alter role bi_reader password {}").format(sql.Literal(secret)))
    assert one(warehouse_home, "warehouse as bi_reader").state == "ok"


@pytest.mark.parametrize(
    ("break_it", "mend_it", "what"),
    [
        ("grant select on warehouse.publish_log_v{log} to bi_reader", "revoke all on warehouse.publish_log_v{log} from "
         "bi_reader", "bi_reader may use warehouse.publish_log"),
        ("grant delete on marts.customer_segments to activation",
         "revoke delete on marts.customer_segments from activation", "activation may use marts.customer_segments"),
        ("revoke select on marts.customer_segments from bi_reader",
         "grant select on marts.customer_segments to bi_reader", "bi_reader may not read marts.customer_segments"),
        ("alter role activation createrole", "alter role activation nocreaterole", "activation may do more than read"),
    ],
)  # fmt: skip
def test_a_right_too_many_or_too_few_is_named(warehouse_home, admin, break_it, mend_it, what):
    from expectations.segments import PUBLISH_LOG

    assert "nothing else" in warehouse.grants(warehouse_home)
    admin.execute(break_it.format(log=PUBLISH_LOG.version))
    try:
        with pytest.raises(SetupError, match=what):
            warehouse.grants(warehouse_home)
    finally:
        admin.execute(mend_it.format(log=PUBLISH_LOG.version))
    assert "nothing else" in warehouse.grants(warehouse_home)


def test_a_writer_that_may_read_the_vault_is_a_doubt(warehouse_home, admin):
    admin.execute(f"grant select on vault.customer_ids to {WRITER}")
    try:
        with pytest.raises(Doubt, match="owns it"):
            warehouse.grants(warehouse_home)
    finally:
        admin.execute(f"revoke select on vault.customer_ids from {WRITER}")


def test_a_view_that_is_gone_is_named(warehouse_home, admin):
    assert "views" in warehouse.tables(warehouse_home)
    (text,) = admin.execute("select pg_get_viewdef('marts.publish_log')").fetchone()
    admin.execute("alter view marts.publish_log rename to elsewhere")
    try:
        with pytest.raises(SetupError, match=r"marts.publish_log: run `python -m jobs setup`"):
            warehouse.tables(warehouse_home)
    finally:
        admin.execute("alter view marts.elsewhere rename to publish_log")
    assert text


# -- services ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "error", "what"),
    [
        ({"LIFESTAGE_ENGINE": "flink"}, SetupError, "is none: use sail"),
        ({"LIFESTAGE_ENGINE": "sc://127.0.0.1:1"}, UnavailableError, "no Spark Connect server answers"),
        ({"LIFESTAGE_ENGINE": "spark", "JAVA_HOME": "/nowhere"}, SetupError, "holds no bin/java"),
        ({"LIFESTAGE_ENGINE": "spark", "LIFESTAGE_SPARK_MASTER": "spark://127.0.0.1:1", "JAVA_HOME": "OLD 17"},
         UnavailableError, "no Spark master answers"),
        ({"LIFESTAGE_ENGINE": "spark", "JAVA_HOME": "OLD 11"}, SetupError, "is Java 11; Spark needs 17"),
    ],
)  # fmt: skip
def test_an_engine_that_is_not_there_is_told(home, tmp_path, monkeypatch, variables, error, what):
    """A Java of any age is a script that says its version, as `java -version` does."""
    for name, value in variables.items():
        if value.startswith("OLD "):
            (tmp_path / "bin").mkdir()
            (tmp_path / "bin" / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{value[4:]}.0.1\"' >&2\n")
            (tmp_path / "bin" / "java").chmod(0o755)
            value = str(tmp_path)
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=what):
        services.the_engine(home)


def test_a_servers_token_is_not_told(home, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"sc://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("LIFESTAGE_ENGINE", f"{address}/;token=s3cr3t")
        assert services.the_engine(home) == f"a Spark Connect server answers at {address}"
    with pytest.raises(UnavailableError, match=rf"no Spark Connect server answers at {address}: "):
        services.the_engine(home)


def test_a_tracking_server_that_refuses_is_told_from_one_that_is_away(home, monkeypatch):
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 401)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(SetupError, match="MLFLOW_TRACKING_USERNAME"):
            services.mlflow(home)
        server.shutdown()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match="does not answer"):
        services.mlflow(home)


@pytest.fixture
def airflow(warehouse_home, monkeypatch):
    """The tables of Airflow's metadata that the doctor asks, with one scheduler."""
    from jobs.marts.warehouse import airflow_uri

    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", airflow_uri(warehouse_home))
    for name in (services.ENGINE, services.WAREHOUSE):
        monkeypatch.delenv(f"AIRFLOW_CONN_{name.upper()}", raising=False)
    with connect(warehouse_home, "airflow", "airflow", autocommit=True) as connection:
        connection.execute(
            "create table alembic_version (version_num text); insert into alembic_version values ('abc');"
            "create table dag (dag_id text, is_paused bool, is_stale bool);"
            "insert into dag values ('lifestage_daily', false, false);"
            "create table import_error (filename text, stacktrace text);"
            "create table job (job_type text, state text, latest_heartbeat timestamptz);"
            "create table connection (conn_id text)"
        )
        yield connection
        connection.execute("drop table alembic_version, dag, import_error, job, connection")


def test_each_part_of_airflow_that_is_gone_is_named(airflow, warehouse_home):
    beat = "insert into job values (%s, 'running', now() - interval '3 s')"
    parts = {"SchedulerJob": "scheduler", "DagProcessorJob": "dag-processor", "TriggererJob": "triggerer"}
    for kind, part in parts.items():
        with pytest.raises(Doubt, match=f"no {part} runs"):
            services.airflow_parts(warehouse_home)
        airflow.execute(beat, [kind])
    assert "heard of 3 s ago or less" in services.airflow_parts(warehouse_home)
    airflow.execute("update job set latest_heartbeat = now() - interval '1 hour' where job_type = 'TriggererJob'")
    with pytest.raises(UnavailableError, match="triggerer has been silent for 3,600 s"):
        services.airflow_parts(warehouse_home)


def test_a_dag_file_that_cannot_be_read_is_named_with_its_error(airflow, warehouse_home):
    assert services.airflow_dags(warehouse_home) == "every file is read"
    airflow.execute("update dag set is_stale = true")
    with pytest.raises(Doubt, match="dags_folder"):
        services.airflow_dags(warehouse_home)
    airflow.execute(
        "insert into import_error values ('lifestage_daily.py', E'Traceback\\nValueError: no time zone\\n')"
    )
    with pytest.raises(SetupError, match=r"lifestage_daily\.py cannot be read: ValueError: no time zone"):
        services.airflow_dags(warehouse_home)


def test_airflow_is_asked_for_its_database_and_its_connections_by_name(airflow, warehouse_home, monkeypatch):
    assert "revision abc" in services.airflow_database(warehouse_home)
    airflow.execute("update dag set is_paused = true")
    with pytest.raises(Doubt, match="paused"):
        services.airflow_database(warehouse_home)
    with pytest.raises(SetupError, match="no connection lifestage_engine, so no job starts: set AIRFLOW_CONN_"):
        services.airflow_connections(warehouse_home)
    monkeypatch.setenv("AIRFLOW_CONN_LIFESTAGE_ENGINE", "{}")
    with pytest.raises(Doubt, match="no connection lifestage_warehouse, so its pages show no marts"):
        services.airflow_connections(warehouse_home)
    airflow.execute("insert into connection values ('lifestage_warehouse')")
    assert "are there" in services.airflow_connections(warehouse_home)


def test_an_empty_metadata_database_is_told(warehouse_home, monkeypatch):
    from jobs.marts.warehouse import airflow_uri

    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", airflow_uri(warehouse_home))
    with pytest.raises(SetupError, match="airflow db migrate"):
        services.airflow_database(warehouse_home)


def test_the_doctor_leaves_the_home_as_it_was(home):
    def state():
        return {p: (p.stat().st_size, stat.S_IMODE(p.stat().st_mode)) for p in home.path.rglob("*") if p.is_file()}

    before = state()
    look_all(home, [check for check in doctor.checks() if "warehouse" not in check.name])
    assert state() == before
    assert os.listdir(home.path)
