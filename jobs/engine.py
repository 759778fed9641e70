"""Where a job's data frames are computed: the embedded engine, Apache Spark, or a Spark Connect server."""

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from expectations.errors import SetupError, UnavailableError
from expectations.version import REPOSITORY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ANSWER_SECONDS = 10
"""How long an address may take to answer."""
EXECUTOR_SECONDS = 60
"""How long a standalone master may take to start the first executor before that is worth an error."""
CONNECT_PORT, MASTER_PORT = 15002, 7077
"""Spark's own defaults."""
SHIPPED_CODE = "lifestage"
"""Folder of the project's wheel beside an executor, as in spark.archives=dist/lifestage.zip#lifestage."""


@contextmanager
def open_engine(name: str | None = None) -> Iterator["SparkSession"]:
    """A session on engine ``name``, stopped on leaving. Default: $LIFESTAGE_ENGINE, spark under spark-submit, sail.

    Jobs use only what Sail and Apache Spark 4.1 both offer: no RDD, no sparkContext. SetupError where Java is missing
    or there is no engine of that name; UnavailableError where a master or server does not answer (ANSWER_SECONDS).
    """
    name = name or os.environ.get("LIFESTAGE_ENGINE") or ("spark" if _is_submitted() else "sail")
    if name == "sail":
        yield from _sail()
    elif name == "spark":
        yield from _spark()
    elif name.startswith("sc://"):
        yield from _connect(name)
    else:
        raise SetupError(f"unknown engine {name!r}: use sail, spark or sc://host:port")


def _configured(builder: "SparkSession.Builder") -> "SparkSession.Builder":
    # Dates and times mean the same on every machine.
    return builder.config("spark.sql.session.timeZone", "UTC")


def _sail() -> Iterator["SparkSession"]:
    # The server inside the process reads its log level from here, and at its default tells of every start and stop.
    os.environ.setdefault("RUST_LOG", "error")
    # Its allocator, mimalloc, gives memory back after 10 ms by default, and the kernel zeroes the same memory again and
    # again: a fifth of processor time on wide aggregations. Much longer doubles the peak.
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "300")  # milliseconds
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    host, port = server.listening_address
    session = _configured(SparkSession.builder.remote(f"sc://{host}:{port}")).create()
    try:
        yield session
    finally:
        session.stop()
        server.stop()


# -- Apache Spark ----------------------------------------------------------------------------------------------------


def _is_submitted() -> bool:
    """Whether spark-submit runs this process: it brings a Java process, a master and settings of its own."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _spark() -> Iterator["SparkSession"]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    require_java()
    # Functions run in the jobs' own Python and find the project, wherever the worker was started: in the archive that
    # Spark has unpacked beside them (make wheel), else in a checkout under the same path, else installed.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = _configured(SparkSession.builder.appName(application_name())).config(
        "spark.executorEnv.PYTHONPATH", os.pathsep.join((SHIPPED_CODE, str(REPOSITORY)))
    )
    master = _submitted_master() if _is_submitted() else os.environ.get("LIFESTAGE_SPARK_MASTER", "local[*]")
    if master.startswith("local"):
        builder = _on_this_machine(builder)
    elif master.startswith("spark://"):
        reach_any(master)
    try:
        session = builder.master(master).getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise _not_started(master, error) from error
    try:
        if master.startswith("spark://"):
            _wait_for_executor(session, master)
        yield session
    finally:
        session.stop()


def application_name() -> str:
    """What Spark's pages list a job as, such as ``lifestage aggregate --ds 2017-12-30``: no argument holds a secret."""
    return " ".join(["lifestage", *sys.argv[1:]])


def _not_started(master: str, error: Exception) -> SetupError | UnavailableError:
    """What Spark's first lines say; what it prints before them says more."""
    from py4j.protocol import Py4JError

    said = " ".join(" ".join(str(error).splitlines()[:2]).split())
    if isinstance(error, Py4JError) and not master.startswith("local"):
        return UnavailableError(
            f"Apache Spark's master at {master} did not take this job: is it one of Spark 4.1? {said}"
        )
    return SetupError(
        f"Apache Spark did not start on {master}: {said} It needs Java 17 (`java -version`, JAVA_HOME); "
        "the default engine (sail) needs none"
    )


def require_java() -> None:
    """SetupError if there is no Java where Spark's own scripts look for it."""
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(str(Path(home) / "bin" / "java") if home else "java"):
        place = f"JAVA_HOME={home} holds no bin/java" if home else "there is no java in PATH and JAVA_HOME is not set"
        raise SetupError(f"Apache Spark needs Java 17, but {place}; the default engine (sail) needs none")


def _on_this_machine(builder: "SparkSession.Builder") -> "SparkSession.Builder":
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("SPARK_CONF_DIR", str(Path(__file__).parent / "spark_conf"))
    if _is_submitted():
        return builder
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
    }
    return builder.config(map=settings)


def _submitted_master() -> str:
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()  # connects to spark-submit's Java process, which knows the settings
    return SparkConf().get("spark.master", "local[*]")


def _wait_for_executor(session: "SparkSession", master: str) -> None:
    """UnavailableError if the cluster gives this application nothing to compute with; Spark itself waits for ever."""
    context = session.sparkContext
    if context.getConf().get("spark.dynamicAllocation.enabled") == "true":  # asks for executors when there is work
        return
    known, started = context._jsc.sc(), time.monotonic()
    while known.getExecutorMemoryStatus().size() < 2:  # the driver is one of them
        if known.isStopped() or time.monotonic() - started > EXECUTOR_SECONDS:
            raise UnavailableError(
                f"{master} started no executor within {EXECUTOR_SECONDS} s: are its workers up, with free cores and "
                "memory for spark.executor.memory (default: 1g)? The master's page shows them"
            )
        time.sleep(0.2)


# -- addresses -------------------------------------------------------------------------------------------------------


def _connect(address: str) -> Iterator["SparkSession"]:
    from pyspark.sql import SparkSession

    reach(address, CONNECT_PORT, "Spark Connect server")
    session = _configured(SparkSession.builder.remote(address)).create()
    try:
        yield session
    finally:
        session.stop()


def reach_any(master: str) -> None:
    """UnavailableError if none of the masters answers: spark://host:port, or several after commas."""
    *others, last = [f"spark://{part}" for part in master.removeprefix("spark://").split(",")]
    for address in others:
        with suppress(UnavailableError):
            reach(address, MASTER_PORT, "Spark master")
            return
    reach(last, MASTER_PORT, "Spark master")


def reach(address: str, port: int, what: str) -> None:
    """UnavailableError if nothing listens there; Spark itself would try for minutes without a word."""
    told = without_token(address)
    try:
        parts = urlsplit(address)
        socket.create_connection((parts.hostname or "", parts.port or port), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise UnavailableError(f"no {what} answers at {told}: {error}") from error
    except ValueError as error:  # a port that is none
        raise SetupError(f"{told} is no address of a {what}: {error}") from error


def without_token(address: str) -> str:
    """``sc://host:port/;token=…`` as it may be shown."""
    return address.partition("/;")[0]
