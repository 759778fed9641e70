"""MLflow's side of training: where runs are kept, and how one is written. With registry.py, all that knows MLflow."""

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from expectations.errors import UnavailableError
from ml.home import HomePath, artifact_root, home_folder, shop_name, tracking_uri

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.models import ModelSignature

DATASET_DIGEST_LENGTH = 32
"""Characters of the digest that MLflow's dataset column has room for."""

SYSTEM_METRICS_SECONDS = 2
"""Between two samples. MLflow's own 10 seconds would say nothing of most fits."""

PACKAGES = ("scikit-learn", "skops", "torch", "safetensors", "pandas", "pyarrow")
"""What a served model may need, pinned to what is installed; those that are."""


@dataclass
class Run:
    """What is to be kept of one fitted model.

    artifacts  a folder of pictures and reports, logged as it is
    saved      the folder that ml.saved.save_model wrote; None: no model is kept
    example    some rows of the features table, as the model is served
    history    metric → values by epoch, from epoch 1
    parent     the run of the training that it is part of
    """

    name: str
    tags: dict[str, str]
    params: dict[str, object]
    metrics: dict[str, float]
    artifacts: Path
    saved: Path | None = None
    example: "pd.DataFrame | None" = None
    history: dict[str, list[float]] = field(default_factory=dict)
    parent: str | None = None


def mlflow_for(home: HomePath = None) -> ModuleType:
    """The mlflow module, quiet, pointing at the home's database."""
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


@contextmanager
def database_errors(home: HomePath) -> Iterator[None]:
    """Turns a database that does not answer into a message for people."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import OperationalError

    mlflow_for(home)
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (OperationalError, MlflowException) as error:
        cause = error if isinstance(error, OperationalError) else error.__cause__ or error.__context__
        if not isinstance(cause, OperationalError):
            raise
        address = make_url(tracking_uri(home)).render_as_string(hide_password=True)
        first_line = str(cause.orig).strip().splitlines()[0]
        raise UnavailableError(
            f"MLflow's database does not answer at {address}: {first_line}. "
            f"The home's own server is started by `python -m jobs setup --home '{home_folder(home)}' --source NAME`"
        ) from error


def initialise(home: HomePath = None) -> str:
    """Creates MLflow's tables and the shop's experiment where they are missing; the experiment's id. Safe to repeat."""
    with database_errors(home):
        mlflow = mlflow_for(home)
        client = mlflow.MlflowClient()
        name = experiment_name(home)
        if found := client.get_experiment_by_name(name):
            return found.experiment_id
        # A server that others share keeps files in a place of its own.
        location = None if is_server(tracking_uri(home)) else artifact_root(home)
        # MLflow would open the experiment as a chat application's.
        return client.create_experiment(name, location, tags={"mlflow.experimentKind": "custom_model_development"})


def is_server(uri: str) -> bool:
    """Whether MLflow is reached through a server of its own, and not in its database."""
    return uri.startswith(("http://", "https://"))


def experiment_name(home: HomePath = None) -> str:
    """One experiment a shop."""
    return f"lifestage/{shop_name(home)}"


def runs_of(tags: dict[str, str], home: HomePath = None) -> dict[str, "object"]:
    """Finished runs with all of ``tags``, the newest of each name: run name → mlflow Run."""
    experiment = initialise(home)
    clauses = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    found = (
        mlflow_for(home)
        .MlflowClient()
        .search_runs(
            [experiment],
            filter_string=" and ".join([*clauses, "attributes.status = 'FINISHED'"]),
            order_by=["attributes.start_time ASC"],
            max_results=1000,
        )
    )
    return {run.info.run_name: run for run in found}


@contextmanager
def open_run(name: str, tags: dict[str, str], params: dict[str, object], home: HomePath = None) -> Iterator[str]:
    """A run that others hang below: its id. Finished when left, failed if by an error."""
    from mlflow.entities import RunStatus

    experiment = initialise(home)
    client = mlflow_for(home).MlflowClient()
    run_id = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    for key, value in params.items():
        client.log_param(run_id, key, value)
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


def log_run(run: Run, home: HomePath = None) -> tuple[str, str]:
    """Writes the run to MLflow: (run id, model URI, empty without a model)."""
    from ml.card import description

    mlflow = mlflow_for(home)
    tags = run.tags | ({"mlflow.parentRunId": run.parent} if run.parent else {})
    with mlflow.start_run(experiment_id=initialise(home), run_name=run.name, tags=tags) as started:
        mlflow.log_params(run.params)
        mlflow.log_input(_dataset(run, home), context="training")
        mlflow.log_artifacts(str(run.artifacts))
        if (card := run.artifacts / "model_card.md").exists():
            mlflow.set_tag("mlflow.note.content", description(card.read_text(encoding="utf-8")))
        # Before the metrics: logged after them, a model writes them a second time, and the database refuses each.
        model_id, uri = _log_model(run) if run.saved else (None, "")
        _log_metrics(mlflow, started.info.run_id, model_id, run)
    return started.info.run_id, uri


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


def _dataset(run: Run, home: HomePath) -> "MetaDataset":
    """What the run was fitted and judged on, as MLflow's run table shows it."""
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about two names of one kind of source
        source = resolve_dataset_source(str(home_folder(home) / "lake" / "features"))
    digest = str(run.params["data_digest"])[:DATASET_DIGEST_LENGTH]
    return MetaDataset(source, name=f"features as of {run.params['cutoff_test']} and before", digest=digest)


def _log_metrics(mlflow: ModuleType, run_id: str, model_id: str | None, run: Run) -> None:
    """All of them, of the run and its model, in one request; epochs are the steps of a history."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    last = [Metric(name, value, now, 0, model_id=model_id) for name, value in run.metrics.items()]
    by_epoch = [
        Metric(name, value, now, epoch)
        for name, values in run.history.items()
        for epoch, value in enumerate(values, start=1)
    ]
    mlflow.MlflowClient().log_batch(run_id, metrics=[*last, *by_epoch])


def _log_model(run: Run) -> tuple[str, str]:
    """Keeps the saved folder with signature and example, without pickle: its id and URI."""
    import mlflow.pyfunc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={"saved": str(run.saved)},
            signature=_signature(run.example),
            input_example=run.example,
            pip_requirements=_needs(),
        )
    return logged.model_id, logged.model_uri


def _signature(example: "pd.DataFrame") -> "ModelSignature":
    """Columns of features in, columns of scores out; ``home``: for models that read sequences."""
    from mlflow.models import ModelSignature
    from mlflow.models.signature import infer_signature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    from expectations.segments import SCORES

    kinds = {"double": DataType.double, "int32": DataType.integer, "bool": DataType.boolean}
    told = ("_probability", "probability_", "churn_days", "expected_spend", "spend_if", "clv")
    outputs = [ColSpec(kinds[c.type], c.name) for c in SCORES.columns if any(word in c.name for word in told)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs = infer_signature(example).inputs
    params = ParamSchema([ParamSpec("home", DataType.string, "")])
    return ModelSignature(inputs=inputs, outputs=Schema(outputs), params=params)


def _needs() -> list[str]:
    """Pinned to what is installed; given, since to infer them MLflow would start a Python process for each model."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in ("mlflow", *PACKAGES):
        try:
            found.append(f"{package}=={version(package).partition('+')[0]}")
        except PackageNotFoundError:
            continue
    return found
