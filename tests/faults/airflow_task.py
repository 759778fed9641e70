"""One JobOperator, as a task process of the orchestrator's own environment runs it, without a scheduler about it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.local.airflow_env import AIRFLOW_BIN
from tests.faults.spark_cluster import clean_environment

PROGRAM = """
import signal, sys
from airflow.sdk.bases.operator import ExecutorSafeguard
from lifestage_airflow.operators import JobOperator
ExecutorSafeguard.test_mode = True
task = JobOperator(task_id="job", arguments=sys.argv[1:], uses_engine=True)
signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
task.execute({})
"""


def start(home: Home, engine: dict, *arguments: str, folder: Path, **environment: str) -> subprocess.Popen:
    """The task, begun: ``arguments`` as an operator has them, ``engine`` as Airflow's connection says it in JSON.

    What it logs comes out of its standard output.
    """
    base = {name: value for name, value in clean_environment().items() if not name.startswith(("AIRFLOW", "LIFESTAGE"))}
    base.pop("SPARK_HOME")
    return subprocess.Popen(
        [str(AIRFLOW_BIN / "python"), "-c", PROGRAM, *arguments],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env=base | {
            "AIRFLOW_HOME": str(folder), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
            "AIRFLOW_CONN_LIFESTAGE_ENGINE": json.dumps(engine), "LIFESTAGE_HOME": str(home.path),
            "LIFESTAGE_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "plugins")]),
            **environment,
        },
    )  # fmt: skip


def run(home: Home, engine: dict, *arguments: str, folder: Path, **environment: str) -> str:
    """What a task that succeeds has logged."""
    process = start(home, engine, *arguments, folder=folder, **environment)
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said[-4000:]
    return said
