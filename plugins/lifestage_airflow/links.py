"""Links from a task to what it made, shown once that exists: checks, files of the day, MLflow, the published marts.

They are made when a task ends, on the machine that holds the home, and kept as XCom: addresses alone.
$LIFESTAGE_MLFLOW_URL is MLflow's address as a browser calls it, by default MLFLOW_TRACKING_URI where that is one of the
web. The other pages are the plugin's own (ui/app.py), under the address of Airflow's API server.
"""

import os
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from lifestage_airflow.job_process import home_folder
from lifestage_airflow.ui.checks import report_files, result_file


def links_of(arguments: Sequence[str]) -> list[BaseOperatorLink]:
    """Which links a job can have."""
    match list(arguments[:2]):
        case ["jobs", "validate"]:
            return [ChecksLink()]
        case ["jobs", "ingest"]:
            return [QuarantineLink()]
        case ["jobs", "publish"]:
            return [MartsLink()]
        case ["jobs", "score"] | ["ml", "train"]:
            return [MlflowLink()]
    return []


class JobLink(BaseOperatorLink):
    """A link that follows from a job's rendered arguments; empty, and so not shown, where its page does not exist."""

    def get_link(self, operator: object, *, ti_key: object) -> str:
        return self.address(operator, _options(operator.arguments))

    def address(self, operator: object, options: dict[str, str]) -> str:
        raise NotImplementedError


class ChecksLink(JobLink):
    name = "What the checks found"

    def address(self, operator: object, options: dict[str, str]) -> str:
        table, first = options.get("--table", ""), options.get("--ds") or options.get("--from", "")
        days = f"{first}_{options['--to']}" if options.get("--to", first) != first else first
        return _page(f"checks/{table}/{days}") if result_file(home_folder(), table, days).is_file() else ""


class QuarantineLink(JobLink):
    name = "Files and quarantine"

    def address(self, operator: object, options: dict[str, str]) -> str:
        day = options.get("--ds", "")
        return _page(f"quarantine/{day}") if day and report_files(home_folder(), date.fromisoformat(day)) else ""


class MartsLink(JobLink):
    name = "Published segments"

    def address(self, operator: object, options: dict[str, str]) -> str:
        return _page(f"segments?ds={options['--ds']}") if operator.exit_code == 0 else ""


class MlflowLink(JobLink):
    """The run that the job said it writes to, else the version of a model that it was given."""

    name = "MLflow"

    def address(self, operator: object, options: dict[str, str]) -> str:
        if not (base := mlflow_url()):
            return ""
        if operator.mlflow_run:
            return f"{base}/#/{operator.mlflow_run}"
        name, _, version = options.get("--model", "").partition("/")
        return f"{base}/#/models/{quote(name)}/versions/{quote(version)}" if version else ""


def mlflow_url() -> str:
    """Without the password that a tracking address may hold; empty if there is no page to show."""
    if given := os.environ.get("LIFESTAGE_MLFLOW_URL"):
        return given.rstrip("/")
    parts = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if parts.scheme not in ("http", "https"):
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")


def _options(arguments: Sequence[str]) -> dict[str, str]:
    """Each option with what follows it."""
    return {name: value for name, value in pairwise(arguments) if name.startswith("--")}


def _page(path: str) -> str:
    return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/lifestage/{path}"
