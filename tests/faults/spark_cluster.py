"""Apache Spark's standalone cluster, started from the pyspark wheel on loopback; everything stops on leaving."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark

SPARK = Path(pyspark.__file__).parent
WORKERS = 2


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without what an engine in it has set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    return kept | {"SPARK_HOME": str(SPARK), "SPARK_LOCAL_IP": "127.0.0.1"} | more


@contextmanager
def standalone(folder: Path) -> Iterator[str]:
    """A master and two workers of one core and a gigabyte each: the master's address."""
    port, page = free_port(), free_port()
    address = f"spark://127.0.0.1:{port}"
    here = ("--host", "127.0.0.1")
    with ExitStack() as running:
        master = ("org.apache.spark.deploy.master.Master", *here, "--port", str(port), "--webui-port", str(page))
        started = [running.enter_context(java_process(folder, "master", *master))]
        for n in range(WORKERS):
            size = ("--cores", "1", "--memory", "1g", "--webui-port", "0", "--work-dir", str(folder / f"work {n}"))
            worker = ("org.apache.spark.deploy.worker.Worker", *here, *size, address)
            started.append(running.enter_context(java_process(folder, f"worker {n}", *worker)))
        wait_until(lambda: alive_workers(page) == WORKERS, folder, started)
        yield address


@contextmanager
def connect_server(folder: Path, **environment: str) -> Iterator[str]:
    """A Spark Connect server on this machine: its address."""
    port = free_port()
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "4",
    }
    options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    server = ("org.apache.spark.deploy.SparkSubmit", "--master", "local[2]", *options)
    service = ("--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal")
    environment = {"SPARK_DAEMON_MEMORY": "1g", **environment}  # which this server heeds instead of a driver's
    with java_process(folder, "connect", *server, *service, environment=environment) as process:
        wait_until(lambda: answers(port), folder, [process])
        yield f"sc://127.0.0.1:{port}"


@contextmanager
def java_process(
    folder: Path, name: str, *command: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen]:
    """Spark's own script runs the class; what it says lies in ``folder``. It and its children end on leaving."""
    with open(folder / f"{name}.log", "wb") as said:
        process = subprocess.Popen(
            [str(SPARK / "bin" / "spark-class"), *command],
            env=clean_environment(**{"SPARK_DAEMON_MEMORY": "256m", **(environment or {})}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # executors join the worker's group, and are ended with it
        )
    try:
        yield process
    finally:
        end_group(process)


def end_group(process: subprocess.Popen) -> None:
    """Asks, waits, then kills what is left of the group."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, name)
            process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def alive_workers(page: int) -> int:
    """By the master's page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
            return json.load(answer)["aliveworkers"]
    except OSError:
        return 0


def wait_until(ready: Callable[[], bool], folder: Path, started: list[subprocess.Popen], seconds: float = 120) -> None:
    """TimeoutError with the end of every log if a process ends, or time does, before all are ready."""
    begun = time.monotonic()
    while not ready():
        if time.monotonic() - begun > seconds or any(process.poll() is not None for process in started):
            said = "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in folder.glob("*.log"))
            raise TimeoutError(f"Spark's processes did not come up\n{said}")
        time.sleep(0.5)
