"""MLflow, the engine and Airflow: whether what the environment names is there and answers."""

import importlib.util
import os
import re
import shutil
import subprocess
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import psycopg

from expectations.errors import SetupError, UnavailableError
from jobs import engine
from jobs.health.finding import ANSWER_SECONDS, Doubt
from jobs.home import Home

JAVA = 17
BEAT_SECONDS = 60
"""A part of Airflow that has not been heard of for so long is gone; it tells of itself every few seconds."""
PARTS = {
    "SchedulerJob": ("scheduler", "nothing is started"),
    "DagProcessorJob": ("dag-processor", "no DAG is read again"),
    "TriggererJob": ("triggerer", "no late run is told of"),
}
"""Kind of job in Airflow's metadata → its command, and what does not happen without it."""
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
ENGINE, WAREHOUSE = "lifestage_engine", "lifestage_warehouse"


def mlflow(home: Home) -> str:
    from ml.answering import is_server, require_answer
    from ml.home import tracking_uri

    address = tracking_uri(home.path)
    if address.startswith("postgresql"):  # asked as the warehouse is: MLflow's own way takes seconds to load
        _connected(address, "of MLflow").close()
    else:
        require_answer(home.path)
    if is_server(address):
        return _let_in(address)
    folder = home.mlflow / "artifacts"
    if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
        raise SetupError(f"models could not be kept: {folder} cannot be written by this account")
    return "its database answers"


def _let_in(address: str) -> str:
    """What a server says to whom the environment names (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD)."""
    import requests

    known = (os.environ.get("MLFLOW_TRACKING_USERNAME", ""), os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
    path = f"{address.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1"
    try:
        answer = requests.get(path, auth=known if known[0] else None, timeout=ANSWER_SECONDS - 1)
    except requests.RequestException as error:
        raise UnavailableError(f"MLflow's server does not answer ({error}): start it") from error
    if answer.status_code in (401, 403):
        raise SetupError(
            f"MLflow's server refuses us ({answer.status_code}): set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD; behind another name it needs --allowed-hosts"
        )
    if answer.status_code != 200:
        raise UnavailableError(f"MLflow's server answers {answer.status_code}: look at its log")
    return f"the server answers and lets us in{' as ' + known[0] if known[0] else ''}"


def the_engine(home: Home) -> str:
    name = os.environ.get("LIFESTAGE_ENGINE") or "sail"
    if name == "sail":
        if importlib.util.find_spec("pysail") is None:
            raise SetupError("the embedded engine (package pysail) is not installed: `make env`")
        return f"sail {version('pysail')}, embedded"
    if name == "spark":
        return _spark(os.environ.get("LIFESTAGE_SPARK_MASTER", "local[*]"))
    if name.startswith("sc://"):
        engine.reach(name, engine.CONNECT_PORT, "Spark Connect server")
        return f"a Spark Connect server answers at {engine.without_token(name)}"
    raise SetupError(f"LIFESTAGE_ENGINE={name!r} is none: use sail, spark or sc://host:port")


def _spark(master: str) -> str:
    engine.require_java()
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=ANSWER_SECONDS - 1, check=False)
    number = re.search(r'version "(?:1\.)?(\d+)', said.stderr)
    if not number or int(number[1]) < JAVA:
        raise SetupError(
            f"{java} is Java {number[1] if number else 'of no known version'}; Spark needs {JAVA}: JAVA_HOME"
        )
    if master.startswith("spark://"):
        engine.reach_any(master)
    return f"Spark {version('pyspark')} on {master}, Java {number[1]}"


# -- Airflow ---------------------------------------------------------------------------------------------------------


def airflow_database(home: Home) -> str:
    if not _is_configured(home):
        return "Airflow is not set up here: `python -m jobs up` does"
    with closing(_metadata(home)) as connection:
        if connection.execute("select to_regclass('alembic_version')").fetchone()[0] is None:
            raise SetupError("Airflow's metadata database is empty: `airflow db migrate`, or `python -m jobs up`")
        (revision,) = connection.execute("select version_num from alembic_version").fetchone()
        paused = connection.execute("select from dag where dag_id = 'lifestage_daily' and is_paused").rowcount
    if paused:
        raise Doubt("lifestage_daily is paused: nothing runs by itself until someone unpauses it in Airflow's UI")
    return f"it answers, revision {revision}"


def airflow_dags(home: Home) -> str:
    """A DAG file that cannot be read makes no run, and a run that was never made alerts nobody."""
    if not _is_configured(home):
        return "Airflow is not set up here"
    with closing(_metadata(home)) as connection:
        wrong = connection.execute("select filename, stacktrace from import_error order by filename").fetchall()
        known = connection.execute("select from dag where dag_id = 'lifestage_daily' and not is_stale").rowcount
    if wrong:
        file, said = wrong[0]
        more = f" ({len(wrong)} such files)" if len(wrong) > 1 else ""
        raise SetupError(f"{file} cannot be read{more}: {said.strip().splitlines()[-1]}")
    if not known:
        raise Doubt("lifestage_daily is not among Airflow's DAGs: is its dags_folder the project's dags/?")
    return "every file is read"


def airflow_parts(home: Home) -> str:
    """Scheduler, DAG processor and triggerer, by what was last heard of each."""
    if not _is_configured(home):
        return "Airflow is not set up here"
    query = (
        "select job_type, extract(epoch from now() - max(latest_heartbeat))::float from job "
        "where state = 'running' group by job_type"
    )
    with closing(_metadata(home)) as connection:
        silent = dict(connection.execute(query).fetchall())
    for kind, (part, lost) in PARTS.items():
        if kind not in silent:
            raise Doubt(f"no {part} runs: `python -m jobs up`, or `airflow {part}`; until then {lost}")
        if silent[kind] > BEAT_SECONDS:
            raise UnavailableError(
                f"the {part} has been silent for {silent[kind]:,.0f} s: start it again, look at its log"
            )
    return f"{', '.join(part for part, _ in PARTS.values())} heard of {max(map(silent.get, PARTS)):.0f} s ago or less"


def airflow_connections(home: Home) -> str:
    """By name, in the environment that Airflow runs in or in its database."""
    if not _is_configured(home):
        return "Airflow is not set up here"
    names = {name for name in _environment(home) if name.startswith("AIRFLOW_CONN_")}
    with closing(_metadata(home)) as connection:
        there = {name for (name,) in connection.execute("select conn_id from connection")}
    there |= {name for name in (ENGINE, WAREHOUSE) if f"AIRFLOW_CONN_{name.upper()}" in names}
    for name, kind, lost in ((ENGINE, SetupError, "no job starts"), (WAREHOUSE, Doubt, "its pages show no marts")):
        if name not in there:
            raise kind(
                f"Airflow has no connection {name}, so {lost}: set AIRFLOW_CONN_{name.upper()} where Airflow runs, or "
                "add it in the UI (docs/connections.md)"
            )
    return f"{ENGINE} and {WAREHOUSE} are there"


def _is_configured(home: Home) -> bool:
    return bool(os.environ.get(DATABASE)) or (home.airflow / "migrated.json").exists()


def _environment(home: Home) -> dict[str, str]:
    """What Airflow's parts are given: by `up`, unless the environment names an Airflow of one's own."""
    from jobs.local.airflow_env import AIRFLOW_BIN, environment

    is_ours = not os.environ.get(DATABASE) and (AIRFLOW_BIN / "python").exists()
    return environment(home) if is_ours else dict(os.environ)


def _metadata(home: Home) -> psycopg.Connection:
    from jobs.marts.warehouse import airflow_uri

    address = os.environ.get(DATABASE) or airflow_uri(home)
    if not address.startswith("postgresql"):
        raise Doubt(f"Airflow's metadata lie in {address.split(':', 1)[0]}, which is for trials: use PostgreSQL")
    return _connected(address, "of Airflow's metadata")


def _connected(address: str, database: str) -> psycopg.Connection:
    """For an address in SQLAlchemy's form."""
    from jobs.marts.warehouse import connect_to

    plain = f"postgresql://{address.split('://', 1)[1]}"
    return connect_to(plain, "its user", database, connect_timeout=int(ANSWER_SECONDS) - 1)
