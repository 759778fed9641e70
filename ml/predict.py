"""Models as functions from features to predictions: a registered version (what scoring calls), or a baseline."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from expectations.behaviour import NOT_MODEL_INPUTS
from expectations.errors import DataError, SetupError
from ml.dataset import feature_matrix
from ml.home import HomePath
from ml.registry import run_of_version
from ml.tracking import mlflow_for

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 100_000
"""Rows in memory as float64 at a time."""

DECIMALS = 6
"""Sums run in another order for another batch size; what they change lies far below this digit."""

KEYS = frozenset({"customer_key"})


@dataclass(frozen=True)
class Predictor:
    """One model, ready to predict.

    label         what the model is called in messages: NAME/VERSION, or a baseline's name and run
    output_names  name the columns of what ``model`` gives for a matrix of features
    """

    label: str
    feature_names: tuple[str, ...]
    output_names: tuple[str, ...]
    model: Callable[[np.ndarray], np.ndarray]

    def predict(self, rows: pa.Table | pd.DataFrame) -> dict[str, np.ndarray]:
        """float64 arrays in the order of ``rows``, by output name. Nulls are taken as nulls, prospects included.

        DataError if ``rows`` lack a feature of the model, or hold numbers that the model does not know.
        """
        if isinstance(rows, pd.DataFrame):
            rows = pa.Table.from_pandas(rows, preserve_index=False)
        self.check_features(rows.schema)
        parts = [self._predict(part) for part in _parts(rows.select(list(self.feature_names)))]
        columns = np.concatenate(parts) if parts else np.empty((0, len(self.output_names)))
        return dict(zip(self.output_names, np.ascontiguousarray(columns.T), strict=True))

    def check_features(self, schema: pa.Schema) -> None:
        """DataError that lists every difference between the model's features and the numeric columns of ``schema``."""
        numbers = {f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)}
        lacking = [name for name in self.feature_names if name not in schema.names]
        unknown = sorted(numbers - {*self.feature_names, *NOT_MODEL_INPUTS})
        differences = [
            f"{what}: {', '.join(names)}"
            for what, names in (("missing in the rows", lacking), ("unknown to the model", unknown))
            if names
        ]
        if differences:
            raise DataError(
                f"{self.label} was trained on other features; {'; '.join(differences)}. Score with a "
                "version trained on today's features, or build the features with the code the version was trained with"
            )

    def _predict(self, rows: pa.Table) -> np.ndarray:
        return self.model(feature_matrix(rows.to_pandas(), self.feature_names)).round(DECIMALS)


def load_predictor(name: str, version: int, home: HomePath = None) -> Predictor:
    """The registered ``name``/``version``; never an alias, which can move between two runs of one day.

    The file is refused if it holds pickled objects. DataError if there is no such version.
    """
    run_of_version(name, version, home)
    refuse_pickle()
    mlflow, uri = mlflow_for(home), f"models:/{name}/{version}"
    try:
        metadata = mlflow.models.get_model_info(uri).metadata
        model = mlflow.pytorch.load_model(uri)
    except OSError as error:
        raise SetupError(f"the files of {name}/{version} cannot be read: {error}") from error
    return _predictor(f"{name}/{version}", metadata, _on_matrix(model))


def load_baseline(run_id: str, home: HomePath = None) -> Predictor:
    """The baseline that a run logged.

    Read by skops with our own list of types, where MLflow would trust the list that came with the file.
    """
    import skops.io

    from ml.baselines import TRUSTED_TYPES

    mlflow = mlflow_for(home)
    run = mlflow.MlflowClient().get_run(run_id)
    (output,) = run.outputs.model_outputs
    uri = f"models:/{output.model_id}"
    model = skops.io.load(Path(mlflow.artifacts.download_artifacts(uri)) / "model.skops", trusted=TRUSTED_TYPES)
    return _predictor(f"{run.info.run_name} of run {run_id}", mlflow.models.get_model_info(uri).metadata, model.predict)


def refuse_pickle() -> None:
    """From here on, this process loads no model that holds pickled objects."""
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"


def _predictor(label: str, metadata: dict, model: Callable[[np.ndarray], np.ndarray]) -> Predictor:
    return Predictor(label, tuple(metadata["feature_names"]), tuple(metadata["output_names"]), model)


def _on_matrix(network: "nn.Module") -> Callable[[np.ndarray], np.ndarray]:
    """The network as a function of NumPy arrays, as scikit-learn's estimators are."""
    import torch

    def predict(matrix: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(matrix.copy())).numpy()

    return predict


def _parts(rows: pa.Table) -> list[pa.Table]:
    return [rows.slice(start, ROWS_AT_ONCE) for start in range(0, len(rows), ROWS_AT_ONCE)]
