"""Files of old MLflow runs that no registered version comes from, and runs that somebody has deleted.

Runs of registered versions keep everything: an alias names a version, and so does every score. The others keep their
metrics and parameters, by which trainings are compared; models, plots and tables go.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING

from expectations.errors import UnavailableError
from jobs.home import Home
from jobs.maintenance.gone import Gone, MaintainSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

log = logging.getLogger(__name__)

CLEARED = "lifestage.files_removed"
"""Tag of a run whose files are gone: the day on which it was found old."""


def find(home: Home, day: date, settings: MaintainSettings) -> Iterator[Gone]:
    """Runs that ended more than ``runs_days`` before the end of ``day``."""
    from mlflow.entities import ViewType

    from ml.answering import is_server, store_errors
    from ml.home import tracking_uri
    from ml.tracking import initialise, mlflow_for

    if not settings.runs_days:
        return
    bound = _ms(day - timedelta(days=settings.runs_days))
    with store_errors(home.path):
        experiment, client = initialise(home.path), mlflow_for(home.path).MlflowClient()
        kept = {version.run_id for version in client.search_model_versions()}
        ended = [run for run in _runs(client, experiment, ViewType.ACTIVE_ONLY) if _ended(run) < bound]
        for run in ended:
            if run.info.run_id not in kept and CLEARED not in run.data.tags:
                size = sum(_size(files) for _, files in _files(client, run))
                yield Gone("files of runs", _name(run), size, partial(_clear, client, run, day))
        deleted = [run for run in _runs(client, experiment, ViewType.DELETED_ONLY) if _ended(run) < bound]
    if deleted and is_server(tracking_uri(home.path)):
        log.info("%d deleted run(s) are for the MLflow server to remove: run `mlflow gc` there", len(deleted))
        return
    for run in deleted:
        yield Gone("deleted runs", _name(run), 0, partial(_remove, home, run.info.run_id))


def _ms(day: date) -> float:
    return datetime.combine(day + timedelta(days=1), time(), UTC).timestamp() * 1000


def _ended(run: "Run") -> float:
    return run.info.end_time or float("inf")  # still running, as far as anyone knows


def _name(run: "Run") -> str:
    return f"{run.info.run_name} {run.info.run_id}"


def _runs(client: "MlflowClient", experiment: str, view: str) -> Iterator["Run"]:
    token = None
    while True:
        page = client.search_runs([experiment], run_view_type=view, max_results=1000, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _files(client: "MlflowClient", run: "Run") -> Iterator[tuple[str, "ArtifactRepository"]]:
    """(logged model's id, or empty for the run's own; where its files lie)."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    yield "", get_artifact_repository(run.info.artifact_uri)
    made = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    for model in made:
        yield model.model_id, get_artifact_repository(model.artifact_location)


def _size(files: "ArtifactRepository", below: str | None = None) -> int:
    found = files.list_artifacts(below)
    return sum(_size(files, each.path) if each.is_dir else each.file_size or 0 for each in found)


def _clear(client: "MlflowClient", run: "Run", day: date) -> None:
    for model_id, files in _files(client, run):
        files.delete_artifacts()
        if model_id:
            client.delete_logged_model(model_id)
    client.set_tag(run.info.run_id, CLEARED, str(day))


def _remove(home: Home, run_id: str) -> None:
    """MLflow's own way to remove a deleted run with its files; the address goes by environment: it holds a password."""
    from ml.home import tracking_uri

    uri = tracking_uri(home.path)
    known = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "gc", "--run-ids", run_id],
        env=os.environ | known, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise UnavailableError(f"mlflow gc of run {run_id} failed: {done.stderr.strip().splitlines()[-1:]}")
