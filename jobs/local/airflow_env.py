"""The environment in which Airflow runs over a home: its settings as variables, so that no airflow.cfg can disagree."""

import base64
import json
import logging
import os
import secrets
import subprocess
import time
from pathlib import Path

from expectations.errors import SetupError
from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.home_secrets import secret

log = logging.getLogger(__name__)

AIRFLOW_BIN = REPOSITORY / ".venv-airflow" / "bin"
ADMIN = "admin"
MIGRATE_LIMIT_S = 300
CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
KEYS = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")
"""What a metadata database is encrypted with, and what the parts of Airflow that share it trust each other by."""
ADDRESS = "AIRFLOW__API__BASE_URL"
"""Where a browser finds the Airflow of that database: links to its pages are kept there."""


def environment(home: Home, engine: str | None = None, api_port: int = 8080) -> dict[str, str]:
    """Variables for any Airflow process over ``home``: this process's own, with the home's put over them.

    ``api_port``: where tasks find the API server on loopback. A metadata database that the caller's environment names
    (AIRFLOW__DATABASE__SQL_ALCHEMY_CONN) is kept, with the keys and the address that belong to it; by default it is
    the home's PostgreSQL.
    """
    if not (AIRFLOW_BIN / "python").exists():
        raise SetupError(f"no Airflow in {AIRFLOW_BIN.parent}: run `make env` first")
    # PYTHONPATH and VIRTUAL_ENV speak of the jobs environment that calls this.
    inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {
        **inherited,
        **_database(home),
        **_core(home),
        **_services(home, api_port),
        **(_given_with_it() if os.environ.get(CONNECTION) else {}),
        **_lifestage(home, engine),
        **_connections(home, engine),
        # `airflow` starts its parts by name, so its folder has to be on PATH.
        "PATH": f"{AIRFLOW_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }


def _database(home: Home) -> dict[str, str]:
    given = os.environ.get(CONNECTION)
    if given:
        return {CONNECTION: given}
    from jobs.marts.warehouse import airflow_uri

    rest = airflow_uri(home).split("://", 1)[1]
    return {CONNECTION: f"postgresql+psycopg2://{rest}", f"{CONNECTION}_ASYNC": f"postgresql+asyncpg://{rest}"}


def _given_with_it() -> dict[str, str]:
    """With another key, what Airflow has stored in that database could not be read."""
    return {name: os.environ[name] for name in (*KEYS, ADDRESS) if os.environ.get(name)}


def _core(home: Home) -> dict[str, str]:
    """Small numbers, since the embedded line shares a small machine with the jobs themselves."""
    return {
        "AIRFLOW_HOME": str(home.airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # `backfill create --from-date 2017-12-30` means the shop's midnight, not that of UTC.
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": os.environ.get("LIFESTAGE_TIMEZONE") or "UTC",
        # Two of them for the tasks that only wait for the day before.
        "AIRFLOW__CORE__PARALLELISM": "6",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__CORE__FERNET_KEY": _secret(home, "airflow_fernet_key"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.logs / "airflow"),
        "AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT": "False",
        # A task that has ended is followed by the next in half a second less than by default.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        # What was under way when a worker or the scheduler died is tried again after two minutes or one, not five.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "60",
        # Where jobs take all cores the API server answers late; by default a task is given up after five seconds.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }


def _services(home: Home, api_port: int) -> dict[str, str]:
    address = f"http://127.0.0.1:{api_port}"
    return {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(api_port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": _secret(home, "airflow_api_secret"),
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret(home, "airflow_jwt_secret"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(home)),
    }


def _lifestage(home: Home, engine: str | None) -> dict[str, str]:
    """What the jobs that Airflow starts have to know; the rest of LIFESTAGE_* and MLFLOW_* is inherited."""
    chosen = engine or os.environ.get("LIFESTAGE_ENGINE")
    return {
        "LIFESTAGE_HOME": str(home.path),
        "LIFESTAGE_PYTHON": os.environ.get("LIFESTAGE_PYTHON") or str(REPOSITORY / ".venv" / "bin" / "python"),
        **({"LIFESTAGE_ENGINE": chosen} if chosen else {}),
    }


def _connections(home: Home, engine: str | None) -> dict[str, str]:
    """Airflow's connections of the home, but for those that the caller's environment names (docs/connections.md)."""
    from jobs.local.postgres_cluster import is_made
    from jobs.marts.warehouse import READER, is_external, uri

    host = engine or os.environ.get("LIFESTAGE_ENGINE") or "sail"
    made = {"AIRFLOW_CONN_LIFESTAGE_ENGINE": json.dumps({"conn_type": "generic", "host": host})}
    if is_external() or is_made(home):
        made["AIRFLOW_CONN_LIFESTAGE_WAREHOUSE"] = uri(home, READER)
    return {name: os.environ.get(name) or value for name, value in made.items()}


def admin_password(home: Home) -> str:
    """The UI's password of user ``admin``; made on first use."""
    return json.loads(_passwords(home).read_text())[ADMIN]


def _passwords(home: Home) -> Path:
    name = "airflow_passwords.json"
    secret(home, name, make=lambda: json.dumps({ADMIN: secrets.token_urlsafe(12)}))
    return home.secrets / name


def _secret(home: Home, name: str) -> str:
    """A secret of 32 random bytes, URL-safe base 64 (the form a Fernet key needs); made once."""
    return secret(home, name, make=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


def migrate(home: Home) -> float:
    """Brings Airflow's metadata database to the installed version; returns the seconds it took, 0 if it was current."""
    stamp = home.airflow / "migrated.json"
    variables = environment(home)
    uri = variables[CONNECTION]
    revision = _revision(uri)
    if revision and stamp.exists() and json.loads(stamp.read_text()) == {"airflow": _version(), "revision": revision}:
        return 0.0
    started = time.monotonic()
    log.info("Airflow's metadata database: migrating")
    home.airflow.mkdir(parents=True, exist_ok=True)
    home.logs.mkdir(parents=True, exist_ok=True)
    with (home.logs / "airflow-migrate.log").open("w") as file:
        done = subprocess.run(
            [AIRFLOW_BIN / "python", "-m", "airflow", "db", "migrate"],
            env=variables, cwd=REPOSITORY, stdout=file, stderr=subprocess.STDOUT, timeout=MIGRATE_LIMIT_S, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SetupError(f"airflow db migrate failed with exit {done.returncode}: see {file.name}")
    stamp.write_text(json.dumps({"airflow": _version(), "revision": _revision(uri)}) + "\n")
    return time.monotonic() - started


def _version() -> str:
    """The installed Airflow and its providers, which may keep tables too; by their metadata: this is not their room."""
    found = AIRFLOW_BIN.parent.glob("lib/python*/site-packages/apache_airflow*.dist-info")
    return " ".join(sorted(folder.name.removesuffix(".dist-info") for folder in found))


def _revision(uri: str) -> str | None:
    """The schema revision a PostgreSQL says it is at; None if it has none yet or is another kind of database."""
    if not uri.startswith("postgresql"):
        return None
    import psycopg

    with psycopg.connect("postgresql://" + uri.split("://", 1)[1]) as connection:
        if connection.execute("select to_regclass('alembic_version')").fetchone()[0] is None:
            return None
        row = connection.execute("select version_num from alembic_version").fetchone()
    return row[0] if row else None
