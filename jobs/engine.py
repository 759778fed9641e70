"""Where a job's data frames are computed: the embedded engine, Apache Spark, or a Spark Connect server."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from expectations.errors import SetupError, UnavailableError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def open_engine(name: str | None = None) -> Iterator["SparkSession"]:
    """A session on engine ``name`` (else $LIFESTAGE_ENGINE, else sail); stopped on leaving.

    Jobs use only what Sail and Apache Spark 4.1 both offer: no RDD, no sparkContext.
    """
    name = name or os.environ.get("LIFESTAGE_ENGINE") or "sail"
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


def _spark() -> Iterator["SparkSession"]:
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder = _configured(SparkSession.builder.appName("lifestage"))
    if (
        "PYSPARK_GATEWAY_PORT" not in os.environ
    ):  # not under spark-submit, which brings a master and settings of its own
        builder = _on_this_machine(builder)
    try:
        session = builder.getOrCreate()
    except PySparkException as error:
        raise SetupError(
            f"Apache Spark did not start: {error}. It needs Java 17 (`java -version`, JAVA_HOME); "
            "the default engine (sail) needs none"
        ) from error
    try:
        yield session
    finally:
        session.stop()


def _on_this_machine(builder: "SparkSession.Builder") -> "SparkSession.Builder":
    master = os.environ.get("LIFESTAGE_SPARK_MASTER", "local[*]")
    if not master.startswith("local"):  # a cluster, with a configuration and addresses of its own
        return builder.master(master)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # functions run in this environment, not the system's
    os.environ.setdefault("SPARK_CONF_DIR", str(Path(__file__).parent / "spark_conf"))
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
    }
    return builder.master(master).config(map=settings)


def _connect(address: str) -> Iterator["SparkSession"]:
    from pyspark.sql import SparkSession

    _reach(address)
    session = _configured(SparkSession.builder.remote(address)).create()
    try:
        yield session
    finally:
        session.stop()


def _reach(address: str) -> None:
    """UnavailableError if nothing listens there; Spark Connect itself would try for minutes without a word."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 15002), timeout=10).close()
    except OSError as error:
        raise UnavailableError(f"no Spark Connect server answers at {address}: {error}") from error
