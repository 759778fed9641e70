"""Where a job's data frames are computed, by Airflow's connection ``lifestage_engine``.

| connection | runs |
|---|---|
| type ``generic``, host ``sail`` | the embedded engine, in the job's process |
| type ``generic``, host ``spark`` | Apache Spark started by the job ($LIFESTAGE_SPARK_MASTER, else ``local[*]``) |
| type ``generic``, host ``sc://host``, port | a Spark Connect server; the password is its bearer token |
| type ``spark``, host ``spark://host``, port | ``spark-submit``, its command by the Spark provider's hook |

With ``spark`` the extra field takes what the provider's own does, and ``conf``, Spark's properties by name.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

CONNECTION = "lifestage_engine"
SECRET_NAME = re.compile(r"secret|password|token|(access|account)\.?key", re.IGNORECASE)
"""Spark's own ``spark.redaction.regex``, and Azure's keys."""
REPOSITORY = Path(__file__).resolve().parents[2]


class EngineError(ValueError):
    """The connection is missing, or means no engine."""


@dataclass(frozen=True)
class Launch:
    """What is run, what its environment holds beyond the task's, and how a log shows the command if not as it is.

    ``secrets``: texts that no line of its output may show.
    """

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    shown: str = ""
    secrets: tuple[str, ...] = ()

    def hidden(self, line: str) -> str:
        """The line with stars in the place of secrets. Airflow hides them in its logs by itself, but not in XCom."""
        for secret in sorted(self.secrets, key=len, reverse=True):  # one may be a part of another
            line = line.replace(secret, "***")
        return line


def launch(python: str, arguments: Sequence[str]) -> Launch:
    """How ``python -m arguments`` is run on the engine that the connection names. EngineError where it names none.

    It is looked up here and not left to the provider, which takes a missing connection for YARN.
    """
    try:
        connection = BaseHook.get_connection(CONNECTION)
    except AirflowNotFoundException as error:
        raise EngineError(
            f"Airflow has no connection {CONNECTION}, which says where data frames are computed. Make it in the UI "
            f"(Admin, Connections) or by AIRFLOW_CONN_{CONNECTION.upper()}; docs/connections.md has examples"
        ) from error
    if connection.conn_type == "spark":
        return _submit(connection, python, arguments)
    engine = _engine(connection)
    secrets = [connection.password or "", *re.findall(r";token=([^;]+)", engine)]  # which the host may hold, too
    return Launch([python, "-m", *arguments], {"LIFESTAGE_ENGINE": engine}, secrets=tuple(filter(None, secrets)))


def _engine(connection: Connection) -> str:
    """$LIFESTAGE_ENGINE as a generic connection says it."""
    host = connection.host or ""
    if connection.conn_type == "generic" and host in ("sail", "spark"):
        return host
    if connection.conn_type == "generic" and host.startswith("sc://"):
        address = f"{host}:{connection.port}" if connection.port else host
        # In the address it would be shown with it; a password is masked.
        return f"{address}/;token={connection.password}" if connection.password else address
    raise EngineError(
        f"connection {CONNECTION} is of type {connection.conn_type!r} with host {host!r}; it takes type generic with "
        "host sail, spark or sc://host, or type spark with host spark://host (docs/connections.md)"
    )


def _submit(connection: Connection, python: str, arguments: Sequence[str]) -> Launch:
    """spark-submit of the job's file, in client mode: the driver is the job, ended and fenced like any other."""
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook

    module, *rest = arguments
    extra = connection.extra_dejson
    if extra.get("deploy-mode", "client") != "client":
        raise EngineError(
            f"connection {CONNECTION} says deploy-mode {extra['deploy-mode']!r}: only client is possible, since a "
            "driver elsewhere would outlive its task, and a retry could run beside it"
        )
    application = str(REPOSITORY / module / "__main__.py")
    try:
        hook = SparkSubmitHook(conf=extra.get("conf", {}), conn_id=CONNECTION, name=f"lifestage {rest[0]}")
        # What hook.submit does beside this is to run it, without the job's streams, group and fence, and to log a
        # command in which it hides no token.
        command = [*hook._get_spark_binary_path(), *hook._build_spark_common_args(), application, *rest]
        secrets = [str(value) for name, value in hook._conf.items() if SECRET_NAME.search(name)]
    except (AirflowException, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise EngineError(
            f"connection {CONNECTION}: its extra fields make no spark-submit ({error}); see docs/connections.md"
        ) from error
    return Launch(command, _spark_environment(Path(python)), hook._mask_cmd(command), tuple(filter(None, secrets)))


def _spark_environment(python: Path) -> dict[str, str]:
    """The driver runs in the jobs' environment, whose wheel brings spark-submit; executors in $PYSPARK_PYTHON.

    LIFESTAGE_ENGINE must not speak for another engine than the one that was submitted to.
    """
    wheels = sorted(python.parent.parent.glob("lib/python*/site-packages/pyspark/bin/spark-submit"))
    home = os.environ.get("SPARK_HOME") or (str(wheels[0].parent.parent) if wheels else "")
    return {
        "LIFESTAGE_ENGINE": "spark",
        "PYSPARK_DRIVER_PYTHON": str(python),
        "PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON") or str(python),
        "SPARK_CONF_DIR": os.environ.get("SPARK_CONF_DIR") or str(REPOSITORY / "jobs" / "spark_conf"),
        **({"SPARK_HOME": home, "PATH": f"{home}/bin{os.pathsep}{os.environ.get('PATH', os.defpath)}"} if home else {}),
    }
