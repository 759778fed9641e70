"""MLflow's side of training: where runs are kept, and how one is opened, found and added to. See also model_run.py."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ml.answering import is_server, require_answer, store_errors
from ml.home import HomePath, artifact_root, shop_name, tracking_uri

log = logging.getLogger(__name__)
SYSTEM_METRICS_SECONDS = 2
"""Between two samples. MLflow's own 10 seconds would say nothing of most fits."""


def mlflow_for(home: HomePath = None) -> ModuleType:
    """The mlflow module, quiet, pointing at the home's database; UnavailableError if that does not answer."""
    require_answer(home)
    uri = tracking_uri(home)
    # Read when mlflow is imported: nothing leaves the machine, and a person reading the output sees our lines only.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    own = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    # mlflow writes the address into the environment, where it would speak for every other home of this process.
    if own is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    return mlflow


def initialise(home: HomePath = None) -> str:
    """Creates MLflow's tables and the shop's experiment where they are missing; the experiment's id. Safe to repeat."""
    with store_errors(home):
        mlflow = mlflow_for(home)
        client = mlflow.MlflowClient()
        name = experiment_name(home)
        if found := client.get_experiment_by_name(name):
            return found.experiment_id
        # A server that others share keeps files in a place of its own.
        location = None if is_server(tracking_uri(home)) else artifact_root(home)
        # MLflow would open the experiment as a chat application's.
        return client.create_experiment(name, location, tags={"mlflow.experimentKind": "custom_model_development"})


def experiment_name(home: HomePath = None) -> str:
    """One experiment a shop."""
    return f"lifestage/{shop_name(home)}"


def runs_of(tags: dict[str, str], home: HomePath = None) -> dict[str, "object"]:
    """Finished runs with all of ``tags``, the newest of each name: run name → mlflow Run."""
    experiment = initialise(home)
    clauses = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    wanted = " and ".join([*clauses, "attributes.status = 'FINISHED'"])
    with store_errors(home):
        client = mlflow_for(home).MlflowClient()
        found = client.search_runs([experiment], wanted, order_by=["attributes.start_time ASC"], max_results=1000)
    return {run.info.run_name: run for run in found}


def tags_of_run(run_id: str, home: HomePath = None) -> dict[str, str]:
    """The tags of a run that is there."""
    with store_errors(home):
        return mlflow_for(home).MlflowClient().get_run(run_id).data.tags


@contextmanager
def open_run(name: str, tags: dict[str, str], params: dict[str, object], home: HomePath = None) -> Iterator[str]:
    """A run that others hang below: its id. Finished when left, failed if by an error."""
    from mlflow.entities import RunStatus

    experiment = initialise(home)
    client = mlflow_for(home).MlflowClient()
    run_id = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    for key, value in params.items():
        client.log_param(run_id, key, value)
    log.info("MLflow run: experiments/%s/runs/%s", experiment, run_id)  # Airflow's task links to it
    try:
        with _system_metrics(run_id, home):
            yield run_id
    except BaseException:
        client.set_terminated(run_id, RunStatus.to_string(RunStatus.FAILED))
        raise
    client.set_terminated(run_id)


@contextmanager
def _system_metrics(run_id: str, home: HomePath) -> Iterator[None]:
    """Writes system/… (processor, memory, disk, network, GPU where there is one) to the run while it is open.

    Of a training as a whole: a model's own run is opened when the model is fitted.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, SYSTEM_METRICS_SECONDS, tracking_uri=tracking_uri(home))
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


def set_tags(run_id: str, tags: dict[str, str], home: HomePath = None) -> None:
    """Adds tags to a run that is there."""
    client = mlflow_for(home).MlflowClient()
    for key, value in tags.items():
        client.set_tag(run_id, key, value)


def log_metrics(run_id: str, metrics: dict[str, float], home: HomePath = None) -> None:
    """Adds metrics to a run that is there, in one request."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    found = [Metric(name, value, now, 0) for name, value in metrics.items()]
    mlflow_for(home).MlflowClient().log_batch(run_id, metrics=found)


def log_artifacts(run_id: str, folder: Path, below: str, home: HomePath = None) -> None:
    """Adds the files of ``folder`` to a run that is there."""
    mlflow_for(home).MlflowClient().log_artifacts(run_id, str(folder), below)
