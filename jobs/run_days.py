"""Runs the daily DAG for given days through Airflow itself, with progress, and says what failed where."""

import json
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from expectations.errors import DataError, LifestageError, SetupError, UnavailableError
from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.local.airflow_env import AIRFLOW_BIN, environment, migrate
from jobs.local.processes import end_tree, end_with_parent

log = logging.getLogger(__name__)

KINDS = {kind.exit_code: kind for kind in (DataError, SetupError, UnavailableError)}
"""What a job's exit code means; any other is a defect or a lack of resources."""


@dataclass
class _Failure:
    """The last task that failed for good, or why nothing ran."""

    task: str = ""
    cause: str = ""
    log: str = ""
    exit_code: int | None = None


def run_days(home: Home, days: list[date], engine: str | None = None) -> None:
    """lifestage_daily for each of ``days`` in order, on ``engine``. Stops at the first that fails.

    LifestageError names day, task, cause and log file. The runs are kept in Airflow's metadata database, where the UI
    that `make up` starts shows them with their logs.
    """
    migrate(home)
    driver_log = home.logs / "airflow-run-days.log"
    day, failure = "", _Failure()
    with _driver(home, days, engine, driver_log) as (process, events):
        for event in events:
            day = event.get("day", day)
            failure = _heard(event, day, failure)
        code = process.wait()
    if code:
        raise _error(day, failure, code, str(driver_log))


@contextmanager
def _driver(home: Home, days: list[date], engine: str | None, log_file: os.PathLike) -> Iterator[tuple]:
    """The process that holds Airflow, and its events as they come; ended with its jobs if the caller gives up."""
    reading, writing = os.pipe()
    variables = environment(home, engine) | {
        "PYTHONPATH": str(REPOSITORY / "plugins"),
        "AIRFLOW__LOGGING__JSON_LOGS": "True",
    }
    command = [AIRFLOW_BIN / "python", "-m", "lifestage_airflow.run_days", "--events", str(writing), *map(str, days)]
    home.logs.mkdir(parents=True, exist_ok=True)
    # While a task runs, Airflow takes SIGTERM for an order to end that task alone. Its job ends with it in any case.
    orphaned = end_with_parent(signal.SIGKILL)
    with open(log_file, "w") as output, os.fdopen(reading) as lines:
        process = subprocess.Popen(
            command, env=variables, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            pass_fds=[writing], start_new_session=True, preexec_fn=orphaned,
        )  # fmt: skip
        os.close(writing)
        try:
            yield process, map(json.loads, lines)
        finally:
            if process.poll() is None:
                end_tree(process.pid)
            process.wait()


def _heard(event: dict, day: str, failure: _Failure) -> _Failure:
    """Prints an event for the person who waits; returns the failure to report if the day fails."""
    match event["event"]:
        case "done":
            log.info("%s  %-18s %5.1f s", day, event["task"], event["seconds"])
        case "failed":
            log.warning("%s  %-18s failed%s", day, event["task"], "" if event["final"] else "; it will be tried again")
            return _Failure(event["task"], event["cause"], event["log"], event["exit_code"])
        case "refused":
            return _Failure("", event["cause"], "")
    return failure


def _error(day: str, failure: _Failure, code: int, driver_log: str) -> LifestageError:
    if not failure.cause:
        return LifestageError(
            f"Airflow ended with exit {code} while running {day or 'the first day'}; log: {driver_log}"
        )
    if not failure.task:
        return SetupError(failure.cause)
    kind = KINDS.get(failure.exit_code, LifestageError)
    return kind(f"lifestage_daily of {day} stopped at {failure.task}: {failure.cause}\nlog: {failure.log}")
