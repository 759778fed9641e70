"""Old logs of tasks, and what Airflow remembers of runs as old."""

import logging
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

from expectations.errors import UnavailableError
from jobs.home import Home
from jobs.maintenance.gone import Gone, MaintainSettings

log = logging.getLogger(__name__)

DATABASE = "LIFESTAGE_AIRFLOW_DB"
"""SQLAlchemy address of Airflow's metadata where it is not the home's own: Airflow tells its tasks none."""


def find(home: Home, day: date, settings: MaintainSettings) -> Iterator[Gone]:
    """Log files last written more than ``logs_days`` before the end of ``day``, and rows of runs as old."""
    if not settings.logs_days:
        return
    bound = datetime.combine(day + timedelta(days=1 - settings.logs_days), time(), UTC)
    for file in sorted((home.logs / "airflow").rglob("*.log")):
        if file.stat().st_mtime < bound.timestamp():
            name = str(file.relative_to(home.logs / "airflow"))
            yield Gone("task logs", name, file.stat().st_size, partial(_remove, file))
    if variables := _airflow(home):
        yield Gone("Airflow's metadata", f"rows from before {bound:%Y-%m-%d}", 0, partial(_clean, variables, bound))
    else:
        log.info("Airflow's metadata is left as it is: %s names no database", DATABASE)


def _remove(file: Path) -> None:
    """The file, and the folders that held nothing else."""
    file.unlink(missing_ok=True)
    for folder in file.parents:
        if folder.name == "airflow" or any(folder.iterdir()):
            return
        folder.rmdir()


def _airflow(home: Home) -> dict[str, str]:
    """The environment of an Airflow command on the metadata; empty where nobody says which database that is."""
    from jobs.local.airflow_env import AIRFLOW_BIN, CONNECTION, environment

    if not (AIRFLOW_BIN / "python").exists():
        return {}
    if given := os.environ.get(DATABASE) or os.environ.get(CONNECTION):  # of a server, maybe, that is not the home's
        return dict(os.environ) | {"AIRFLOW_HOME": str(home.airflow), CONNECTION: given}
    return environment(home) if (home.airflow / "migrated.json").exists() else {}


def _clean(variables: dict[str, str], bound: datetime) -> None:
    from jobs.local.airflow_env import AIRFLOW_BIN

    command = [AIRFLOW_BIN / "python", "-m", "airflow", "db", "clean", "--yes", "--skip-archive"]
    command += ["--error-on-cleanup-failure", "--clean-before-timestamp", bound.isoformat()]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-3:])
        raise UnavailableError(f"airflow db clean failed:\n{said}")
