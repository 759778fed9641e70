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

import numpy as np

from expectations.behaviour import FEATURE_NAMES
from expectations.errors import UnavailableError
from ml.home import HomePath, artifact_root, home_folder, shop_name, tracking_uri

if TYPE_CHECKING:
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.models import ModelSignature
    from sklearn.base import BaseEstimator
    from torch import nn

OUTPUT_NAMES = ("purchase_probability_30d", "spend_if_purchase_30d")
"""Columns of what every model predicts, as in the contract of scores."""

DATASET_DIGEST_LENGTH = 32
"""Characters of the digest that MLflow's dataset column has room for."""


@dataclass
class Run:
    """What is to be kept of one fitted model.

    plots      a folder of pictures; features: a folder with the feature report
    history    metric → values by epoch, from epoch 1
    model      a torch module (saved as an exported program) or a scikit-learn estimator (saved by skops)
    """

    name: str
    tags: dict[str, str]
    params: dict[str, object]
    metrics: dict[str, float]
    plots: Path
    features: Path
    model: "nn.Module | BaseEstimator"
    history: dict[str, list[float]] = field(default_factory=dict)


def mlflow_for(home: HomePath = None) -> ModuleType:
    """The mlflow module, quiet, pointing at the home's database."""
    uri = tracking_uri(home)
    # Read when mlflow is imported: nothing leaves the machine, and a person reading the output sees our lines only.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow

    logging.getLogger("alembic").setLevel(logging.ERROR)
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


def log_run(run: Run, home: HomePath = None) -> tuple[str, str]:
    """Writes the run to MLflow: (run id, model URI)."""
    mlflow = mlflow_for(home)
    with mlflow.start_run(experiment_id=initialise(home), run_name=run.name, tags=run.tags) as started:
        mlflow.log_params(run.params)
        mlflow.log_input(_dataset(run, home), context="training")
        mlflow.log_artifacts(str(run.plots), "plots")
        mlflow.log_artifacts(str(run.features), "features")
        # Before the metrics: logged after them, a model writes them a second time, and the database refuses each.
        model_id, uri = _log_model(run.model)
        _log_metrics(mlflow, started.info.run_id, model_id, run)
    return started.info.run_id, uri


def _dataset(run: Run, home: HomePath) -> "MetaDataset":
    """What the run was fitted and judged on, as MLflow's run table shows it."""
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about two names of one kind of source
        source = resolve_dataset_source(str(home_folder(home) / "lake" / "features"))
    digest = str(run.params["data_digest"])[:DATASET_DIGEST_LENGTH]
    return MetaDataset(source, name=f"features as of {run.params['cutoff_test']} and before", digest=digest)


def _log_metrics(mlflow: ModuleType, run_id: str, model_id: str, run: Run) -> None:
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


def _log_model(model: "nn.Module | BaseEstimator") -> tuple[str, str]:
    """Saves the model with signature and example, without pickle: its id and URI."""
    # An example of more than one row: with one, the exported program would take single rows only.
    common = {
        "name": "model",
        "signature": _signature(),
        "input_example": np.ones((4, len(FEATURE_NAMES))),
        "metadata": {"feature_names": list(FEATURE_NAMES), "output_names": list(OUTPUT_NAMES)},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if hasattr(model, "state_dict"):
            import mlflow.pytorch

            logged = mlflow.pytorch.log_model(
                model, serialization_format="pt2", pip_requirements=_needs("torch"), **common
            )
        else:
            import mlflow.sklearn

            from ml.baselines import TRUSTED_TYPES

            logged = mlflow.sklearn.log_model(
                model,
                serialization_format="skops",
                skops_trusted_types=TRUSTED_TYPES,
                pip_requirements=_needs("scikit-learn", "skops"),
                **common,
            )
    return logged.model_id, logged.model_uri


def _signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    double = np.dtype(np.float64)
    inputs = Schema([TensorSpec(double, (-1, len(FEATURE_NAMES)))])
    return ModelSignature(inputs=inputs, outputs=Schema([TensorSpec(double, (-1, len(OUTPUT_NAMES)))]))


def _needs(*packages: str) -> list[str]:
    """Pinned to what is installed; given, since to infer them MLflow would start a Python process for each model."""
    from importlib.metadata import version

    return [f"{package}=={version(package).partition('+')[0]}" for package in ("mlflow", *packages)]
