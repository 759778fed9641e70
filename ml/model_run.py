"""One fitted model as an MLflow run: parameters, data, files, metrics, the model in the one flavour that all have."""

import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ml.home import HomePath, home_folder
from ml.tracking import initialise, mlflow_for

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.models import ModelSignature

DATASET_DIGEST_LENGTH = 32
"""Characters of the digest that MLflow's dataset column has room for."""

PACKAGES = ("scikit-learn", "skops", "torch", "safetensors", "pandas", "pyarrow")
"""What a served model may need, pinned to what is installed; those that are."""


@dataclass
class Run:
    """What is to be kept of one fitted model.

    artifacts  a folder of pictures and reports, logged as it is
    saved      the folder that ml.saved.save_model wrote; None: no model is kept
    example    some rows of the features table, as the model is served
    history    metric → values by epoch, from epoch 1; logged as epoch/METRIC
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
    # What stands before a slash is a section of charts in the UI: curves apart from a hundred single numbers.
    by_epoch = [
        Metric(f"epoch/{name}", value, now, epoch)
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
