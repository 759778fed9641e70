"""A registered version as a function from features to forecasts, for scoring and notebooks.

It is calibrated as it was trained; ``ml.recalibrate.as_scored`` gives what was scored on a day.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from expectations.behaviour import FEATURE_NAMES, FEATURES, NOT_MODEL_INPUTS
from expectations.errors import DataError, SetupError, UnavailableError
from ml.cohorts import INPUT_COLUMNS, inputs_of, is_eligible
from ml.examples import Inputs
from ml.forecast import Forecast
from ml.home import HomePath, partition_days, partition_folder
from ml.partitions import read_rows
from ml.registry import folder_of_version
from ml.saved import About, load_lifetime, load_model, read_about, require_features
from ml.scores import embedding_column, lifetime_columns, score_columns
from ml.tracking import mlflow_for

if TYPE_CHECKING:
    from ml.lifetime import Lifetime
    from ml.models.base import Model

ROWS_AT_ONCE = 100_000
"""Rows in memory as float64 at a time."""


@dataclass(frozen=True)
class Predictor:
    """One model, ready to predict.

    label     NAME/VERSION, as messages call it
    lifetime  carries expected spend on to a year; None if it was not learned
    """

    label: str
    model: "Model"
    about: About
    lifetime: "Lifetime | None" = None

    def predict(self, rows: pa.Table | pd.DataFrame, cutoff: date, home: HomePath = None) -> Forecast:
        """The forecast of ``rows`` of the features table as of ``cutoff``, in their order; prospects included.

        DataError if ``rows`` lack a feature of the model, or hold numbers that the model does not know.
        """
        if isinstance(rows, pd.DataFrame):
            rows = pa.Table.from_pandas(rows, preserve_index=False)
        return joined([self.forecast(inputs) for inputs in self._inputs(rows, cutoff, home)])

    def score(self, rows: pa.Table | pd.DataFrame, cutoff: date, home: HomePath = None) -> pa.Table:
        """Columns of SCORES that the model tells, and ``embedding`` if it makes one; rows as for ``predict``."""
        if isinstance(rows, pd.DataFrame):
            rows = pa.Table.from_pandas(rows, preserve_index=False)
        parts = []
        for inputs in self._inputs(rows, cutoff, home):
            forecast = self.forecast(inputs)
            value = self.lifetime.value(forecast, inputs) if self.lifetime else None
            columns = score_columns(forecast)
            columns |= lifetime_columns(value, bool(self.lifetime and self.lifetime.is_extrapolated), len(inputs))
            places = embedding_column(forecast)
            parts.append(pa.table(columns if places is None else columns | {"embedding": places}))
        return pa.concat_tables(parts)

    def _inputs(self, rows: pa.Table, cutoff: date, home: HomePath) -> Iterator[Inputs]:
        self.check_features(rows.schema)
        return (inputs_of(part, cutoff, home) for part in _parts(rows.select(list(INPUT_COLUMNS))))

    def forecast(self, inputs: Inputs) -> Forecast:
        """The forecast of what ``ml.cohorts.load_inputs`` gives, in order."""
        if len(inputs):
            return self.model.predict(inputs)
        horizons = self.about.horizons
        nothing = np.empty((0, len(horizons.spend_days)))
        return Forecast(horizons, np.empty((0, len(horizons.edges_days))), nothing, nothing)

    def is_eligible(self, rows: pa.Table) -> pa.ChunkedArray:
        """(rows,) bool: which customers are of the population that the model was trained on."""
        return is_eligible(rows, self.about.population)

    def check_features(self, schema: pa.Schema) -> None:
        """DataError that lists every difference between the model's features and the numeric columns of ``schema``."""
        numbers = {f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)}
        lacking = [name for name in INPUT_COLUMNS if name not in schema.names]
        unknown = sorted(numbers - {*FEATURE_NAMES, *NOT_MODEL_INPUTS})
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


def load_predictor(name: str, version: int, home: HomePath = None) -> Predictor:
    """The registered ``name``/``version``; never an alias, which can move between two runs of one day.

    Read by this project's own code, where MLflow would run the code that came with the files; pickle is refused.
    DataError if there is no such version, or it knows other features; SetupError if it cannot be read.
    """
    refuse_pickle()
    label, folder = f"{name}/{version}", saved_folder(name, version, home)
    return Predictor(label, *load_model(folder, label), load_lifetime(folder))


def saved_folder(name: str, version: int, home: HomePath = None) -> Path:
    """What ml.saved wrote of a registered version, on this machine.

    UnavailableError where the store does not answer; SetupError where it has the files no more.
    """
    gone = SetupError(
        f"the files of {name}/{version} are gone from MLflow's store: bring them back, or run `python -m ml train`"
    )
    folder = folder_of_version(name, version, home)
    if folder is None:
        folder = _fetched(name, version, gone, home)
    if not folder.is_dir():
        raise gone
    return folder / "artifacts" / "saved"


def _fetched(name: str, version: int, gone: SetupError, home: HomePath) -> Path:
    mlflow = mlflow_for(home)
    try:
        return Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}"))
    except OSError as error:
        raise UnavailableError(f"the files of {name}/{version} cannot be read: {error}") from error
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise UnavailableError(f"the files of {name}/{version} cannot be read: {error}") from error
        raise gone from error


def require_scorable(name: str, version: int, home: HomePath = None) -> None:
    """DataError or SetupError that says why, if today's code cannot score with ``name``/``version``."""
    require_features(read_about(saved_folder(name, version, home), f"{name}/{version}"), f"{name}/{version}")


def load_frame(cutoff: date, home: HomePath = None) -> pd.DataFrame:
    """Features of every customer as of ``cutoff``, one row each, ordered by customer_key; columns of the contract."""
    if cutoff not in partition_days(FEATURES, home):
        folder = partition_folder(FEATURES, cutoff, home)
        raise DataError(f"{folder} is missing: run `python -m jobs build_features --ds {cutoff}` first")
    return read_rows(FEATURES, [cutoff], FEATURES.column_names, home).sort_by("customer_key").to_pandas()


def refuse_pickle() -> None:
    """From here on, this process loads no model that holds pickled objects."""
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"


def joined(parts: list[Forecast]) -> Forecast:
    """Forecasts of consecutive rows as one."""
    if len(parts) == 1:
        return parts[0]
    hazard, spend, sigma = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("hazard", "spend_if_purchase", "spend_sigma")
    )
    embedding = None if parts[0].embedding is None else np.concatenate([part.embedding for part in parts])
    return replace(parts[0], hazard=hazard, spend_if_purchase=spend, spend_sigma=sigma, embedding=embedding)


def _parts(rows: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, max(len(rows), 1), ROWS_AT_ONCE):
        yield rows.slice(start, ROWS_AT_ONCE)
