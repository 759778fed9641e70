"""Where a job's data frames are computed: the embedded engine, Apache Spark, or a Spark Connect server."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.errors import SetupError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)


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
    # Dates and times mean the same on every machine; few partitions, since one day is small.
    return builder.config("spark.sql.session.timeZone", "UTC").config(
        "spark.sql.shuffle.partitions", str(2 * (os.cpu_count() or 1))
    )


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

    builder = SparkSession.builder.appName("lifestage").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false").config("spark.log.level", "ERROR")
    # spark-submit sets the master; by hand it is this machine.
    if "SPARK_SUBMIT_OPTS" not in os.environ and "MASTER" not in os.environ:
        builder = builder.master(os.environ.get("LIFESTAGE_SPARK_MASTER", "local[*]"))
    try:
        session = _configured(builder).getOrCreate()
    except PySparkException as error:
        raise SetupError(
            f"Apache Spark did not start: {error}. It needs Java 17 (`java -version`, JAVA_HOME); "
            "the default engine (sail) needs none"
        ) from error
    try:
        yield session
    finally:
        session.stop()


def _connect(address: str) -> Iterator["SparkSession"]:
    from pyspark.sql import SparkSession

    session = _configured(SparkSession.builder.remote(address)).create()
    try:
        yield session
    finally:
        session.stop()
