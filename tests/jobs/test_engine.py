"""What an engine that cannot be had says, in seconds: no Java and no cluster is needed to hear it."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from expectations.errors import SetupError, UnavailableError
from expectations.version import REPOSITORY
from jobs.engine import application_name, open_engine


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that is taken and refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(autouse=True)
def _no_engine_chosen(monkeypatch):
    for name in ("LIFESTAGE_ENGINE", "LIFESTAGE_SPARK_MASTER", "PYSPARK_GATEWAY_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def java(monkeypatch, tmp_path):
    """Something that looks like Java: addresses are asked after it and before Spark starts."""
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))


def refused(name: str | None, error: type[Exception], *parts: str) -> None:
    with pytest.raises(error) as told, open_engine(name):
        pytest.fail("an engine was opened")
    for part in parts:
        assert part in str(told.value)


def test_an_unknown_engine_is_named_with_those_there_are():
    refused("duckdb", SetupError, "unknown engine 'duckdb'", "sail, spark or sc://host:port")


def test_the_environment_chooses_where_no_argument_does(monkeypatch):
    monkeypatch.setenv("LIFESTAGE_ENGINE", "duckdb")
    refused(None, SetupError, "duckdb")
    refused("polars", SetupError, "polars")


def test_sparks_pages_list_a_job_by_its_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/srv/jobs/__main__.py", "aggregate", "--ds", "2017-12-30"])
    assert application_name() == "lifestage aggregate --ds 2017-12-30"


def test_without_java_spark_is_refused_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    refused("spark", SetupError, "Java 17", "no java in PATH", "sail")
    # spark-submit's scripts prefer JAVA_HOME to the path, even one that holds nothing.
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    refused("spark", SetupError, f"JAVA_HOME={tmp_path / 'gone'} holds no bin/java")


def test_a_master_that_does_not_answer_is_named(monkeypatch, silent_port, java):
    monkeypatch.setenv("LIFESTAGE_SPARK_MASTER", f"spark://127.0.0.1:{silent_port}")
    refused("spark", UnavailableError, f"spark://127.0.0.1:{silent_port}", "Connection refused")


def test_all_of_several_masters_are_asked(monkeypatch, silent_port, java):
    # Standby masters stand after commas; the last is told of when none answers.
    monkeypatch.setenv("LIFESTAGE_SPARK_MASTER", f"spark://127.0.0.1:{silent_port},localhost:{silent_port}")
    refused("spark", UnavailableError, f"spark://localhost:{silent_port}")


def test_a_port_that_is_none_is_a_wrong_setting(monkeypatch, java):
    monkeypatch.setenv("LIFESTAGE_SPARK_MASTER", "spark://127.0.0.1:many")
    refused("spark", SetupError, "spark://127.0.0.1:many", "Spark master")


def test_a_spark_connect_server_that_does_not_answer_is_named(silent_port):
    refused(f"sc://127.0.0.1:{silent_port}", UnavailableError, f"sc://127.0.0.1:{silent_port}", "Connection refused")


def test_the_jobs_run_as_a_file_from_any_folder(tmp_path):
    # spark-submit takes a file; run so, Python would look for modules beside it, where names clash with others'.
    file = REPOSITORY / "jobs" / "__main__.py"
    done = subprocess.run(
        [sys.executable, str(file), "aggregate", "--help"], cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage: python -m jobs aggregate" in done.stdout
