"""How long Airflow takes to parse the slowest DAG file, with airflow.sdk imported as the DAG processor has it."""

import os
import subprocess
from pathlib import Path

from expectations.version import REPOSITORY
from jobs.local.airflow_env import AIRFLOW_BIN

PARSE = """
import importlib.util, sys, time
from airflow.sdk import DAG  # what the DAG processor has imported before it parses a file
for path in sys.argv[1:]:
    began = time.perf_counter()
    spec = importlib.util.spec_from_file_location(path.rsplit('/', 1)[-1][:-3], path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    print(time.perf_counter() - began)
"""


def measure(folder: Path) -> dict[str, float]:
    """Seconds for the slowest of the DAG files, each in a fresh process, median of three."""
    plugins = {"PYTHONPATH": str(REPOSITORY / "plugins"), "AIRFLOW_HOME": str(folder / "airflow")}
    slowest = 0.0
    for path in sorted((REPOSITORY / "dags").glob("*.py")):
        times = sorted(_parse(path, plugins) for _ in range(3))
        slowest = max(slowest, times[1])
    return {"dag_parse_s": slowest}


def _parse(path: Path, environment: dict[str, str]) -> float:
    command = [str(AIRFLOW_BIN / "python"), "-c", PARSE, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment})
    return float(done.stdout.split()[-1])
