"""Tasks on the engine that Airflow's connection names: a standalone cluster by spark-submit, a Spark Connect server."""

import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pyarrow.compute as pc
import pytest

from expectations.behaviour import CUSTOMER_DAY
from expectations.events import EVENTS
from expectations.texts import TEXT_SCORES
from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.lake import LakeTable
from tests.faults import airflow_task
from tests.faults.spark_cluster import connect_server, standalone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("java"), reason="Apache Spark needs Java 17"),
]
DAYS = ("--from", "2024-01-01", "--to", "2024-01-04")
SMALL = {"spark.executor.memory": "512m", "spark.driver.memory": "512m", "spark.sql.shuffle.partitions": "2"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tasks on engines")


@pytest.fixture(scope="module")
def shop(folder) -> Home:
    """Four days of a simulated shop with texts, ingested."""
    home = Home(folder / "a home")
    simulate = ("simulate", "--customers", "100", "--days", "10", "--seed", "3", "--broken-share", "0")
    for job in (simulate, ("ingest", *DAYS)):
        done = subprocess.run(
            [sys.executable, "-m", "jobs", *job, "--home", str(home.path)],
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def wheel(folder) -> Path:
    """The project's code as ``make wheel`` makes it, under a name that Spark unpacks."""
    command = [
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-index",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        str(folder / "dist"),
    ]
    source = folder / "source"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if name == "pyproject.toml" or name.split("/")[0] in ("expectations", "ml", "jobs"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, source / name)
    subprocess.run([sys.executable, *command, str(source)], check=True, capture_output=True)
    (made,) = (folder / "dist").glob("*.whl")
    return made.rename(made.with_name("lifestage.zip"))


@pytest.fixture(scope="module")
def cluster(folder) -> Path:
    logs = folder / "cluster"
    logs.mkdir()
    with standalone(logs) as master:
        (logs / "address").write_text(master)
        yield logs


def connection(cluster: Path, **conf: str) -> dict:
    address = urlsplit((cluster / "address").read_text())
    extra = {"conf": SMALL | conf, "deploy-mode": "client"}
    return {"conn_type": "spark", "host": f"spark://{address.hostname}", "port": address.port, "extra": extra}


def test_executors_without_a_checkout_encode_texts_by_the_wheel(shop, cluster, wheel, folder):
    """spark-submit ships the code; a worker, started in a folder of its own, finds it there and imports it there."""
    # Compiled modules show below from where Python took them; the surroundings may forbid it to write them.
    conf = {"spark.archives": f"{wheel.as_uri()}#lifestage", "spark.executorEnv.PYTHONDONTWRITEBYTECODE": ""}
    engine = connection(cluster, **conf)
    said = airflow_task.run(shop, engine, "jobs", "encode_text", *DAYS, folder=folder)
    assert "spark-submit --master spark://127.0.0.1" in said
    days = LakeTable(shop, EVENTS).days()
    texts = LakeTable(shop, EVENTS).read_arrow(days, ["text"])["text"]
    written = LakeTable(shop, TEXT_SCORES).read_arrow(days)
    assert written.num_rows == len(texts) - texts.null_count > 0
    assert pc.sum(pc.is_valid(written["sentiment"])).as_py() > 0
    # Python has compiled the modules where it found them.
    assert list(cluster.glob("work */app-*/*/lifestage/jobs/text/__pycache__/encode.*.pyc"))


def test_a_killed_task_leaves_nothing_of_its_spark_job(shop, cluster, folder):
    """SIGKILL to the task process: spark-submit, Java and the driver end, and the lock is free for the retry."""
    task = airflow_task.start(shop, connection(cluster), "jobs", "aggregate", *DAYS, folder=folder)
    try:
        family = wait_for_driver(task)
        task.kill()
        gone, alive = psutil.wait_procs(family, timeout=10)
        assert len(gone) >= 3  # keeper, Java, Python
        assert not alive
    finally:
        task.kill()
        task.communicate()
    began = time.monotonic()
    said = airflow_task.run(shop, {"conn_type": "generic", "host": "sail"}, "jobs", "aggregate", *DAYS, folder=folder)
    assert "waiting for" not in said
    assert LakeTable(shop, CUSTOMER_DAY).days()
    assert time.monotonic() - began < 120


def command_of(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def wait_for_driver(task: subprocess.Popen) -> list[psutil.Process]:
    """The task's descendants, once the Python driver is among them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        family = [p for p in psutil.Process(task.pid).children(recursive=True) if p.is_running()]
        commands = [" ".join(command_of(process)[:3]) for process in family]
        if any("/bin/java" in c for c in commands) and any(
            "jobs/__main__.py" in c for c in commands if "java" not in c
        ):
            return family
        assert task.poll() is None, task.communicate()[0][-4000:]
        time.sleep(0.2)
    raise AssertionError(f"no driver among {commands}")


def test_a_task_on_a_spark_connect_server(shop, folder):
    """Spark's own server; the operator's process and its job need no Java."""
    logs = folder / "connect"
    logs.mkdir()
    with connect_server(logs) as address:
        where = urlsplit(address)
        engine = {"conn_type": "generic", "host": f"sc://{where.hostname}", "port": where.port}
        said = airflow_task.run(shop, engine, "jobs", "validate", "--table", "events", *DAYS, folder=folder)
    assert "events 2024-01-01" in said


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ({"conn_type": "generic", "host": "flink"}, "it takes type generic with host sail, spark or sc://host"),
        ({"conn_type": "spark", "host": "spark://h", "extra": {"deploy-mode": "cluster"}}, "only client is possible"),
    ],
)
def test_an_engine_that_cannot_be_is_refused_before_anything_runs(shop, folder, engine, words):
    task = airflow_task.start(shop, engine, "jobs", "aggregate", *DAYS, folder=folder)
    said, _ = task.communicate(timeout=60)
    assert task.returncode
    assert words in said
    assert "running" not in said
