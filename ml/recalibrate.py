"""The calibration of a scored day: fitted anew on the newest cutoff whose window was over by that day.

Of the model itself nothing changes, and nothing is read that was not known by the day. What calibrated a day is kept
beside its scores, in the file ``_recipe``, so that scoring the day again gives equal bytes whatever the lake holds by
then. Where the lake has no features of a cutoff newer than validation, the model stays calibrated as it was trained.
"""

import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.behaviour import CUSTOMER_DAY, FEATURES
from expectations.segments import SCORES
from ml.calibrate import Calibration, calibration
from ml.cohorts import INPUT_COLUMNS, inputs_of, is_eligible, label, read_purchases
from ml.examples import Examples, Inputs
from ml.home import HomePath, partition_days, partition_folder
from ml.partitions import files_of, read_rows
from ml.protocols import Population
from ml.ready import label_days, missing_sequences

if TYPE_CHECKING:
    from ml.predict import Predictor
    from ml.saved import About

log = logging.getLogger(__name__)

RECIPE = "_recipe"
MOST_ROWS = 50_000
"""Customers, evenly spaced, that a calibration is fitted on: more would cost time and move nothing."""


@dataclass(frozen=True)
class Recipe:
    """What calibrated the scores of a day.

    model          NAME/VERSION
    calibrated_on  the cutoff whose customers it was fitted on, YYYY-MM-DD; None: as trained
    customers      how many these were
    """

    model: str
    calibrated_on: str | None
    customers: int
    calibration: Calibration

    def __str__(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


def recipe_for(predictor: "Predictor", day: date, home: HomePath = None) -> Recipe:
    """What calibrates the scores of ``day``: what did so before, else what the lake knows."""
    if kept := kept_recipe(predictor.label, day, home):
        return kept
    if (cutoff := newest_matured(predictor, day, home)) is None:
        return Recipe(predictor.label, None, 0, predictor.model.calibration)
    matured = matured_examples(predictor.about, cutoff, day, home)
    return Recipe(predictor.label, str(cutoff), len(matured), renewed(predictor, matured).model.calibration)


def kept_recipe(model: str, day: date, home: HomePath = None) -> Recipe | None:
    """What calibrated ``day`` when ``model`` scored it; None if another did, or none."""
    file = partition_folder(SCORES, day, home) / RECIPE
    if not file.is_file():
        return None
    told = json.loads(file.read_text())
    return Recipe(**told | {"calibration": Calibration.of(told["calibration"])}) if told["model"] == model else None


def as_scored(predictor: "Predictor", day: date, home: HomePath = None) -> "Predictor":
    """``predictor`` calibrated as when it scored ``day``; as it was trained where that is not known."""
    kept = kept_recipe(predictor.label, day, home)
    return under(predictor, kept.calibration) if kept else predictor


def under(predictor: "Predictor", other: Calibration) -> "Predictor":
    return replace(predictor, model=predictor.model.under(other))


def validated_on(about: "About") -> date:
    """The cutoff that a version was calibrated on when it was trained."""
    return date.fromisoformat(about.cutoff) - timedelta(days=about.horizons.judged_days)


def newest_matured(predictor: "Predictor", day: date, home: HomePath = None) -> date | None:
    """The newest cutoff after validation that the lake can tell of as of ``day``: features made as those of ``day``
    are, sequences where they are read, and every day of labels up to ``day``; None if there is none.
    """
    about, known = predictor.about, set(partition_days(CUSTOMER_DAY, home))
    latest = day - timedelta(days=about.horizons.judged_days)
    found = [one for one in partition_days(FEATURES, home) if validated_on(about) < one <= latest]
    found = [one for one in found if made_by(one, home) == made_by(day, home)]
    if predictor.model.uses_sequences:
        found = sorted(set(found) - set(missing_sequences(found, home)))
    return next((one for one in reversed(found) if known.issuperset(label_days(one, (day - one).days))), None)


def made_by(day: date, home: HomePath = None) -> str | None:
    """The code and settings that made the features of ``day``, as a digest; None if that is not known."""
    file = partition_folder(FEATURES, day, home) / RECIPE
    return file.read_text() if file.is_file() else None


def matured_examples(about: "About", cutoff: date, day: date, home: HomePath = None) -> Examples:
    """MOST_ROWS eligible customers of ``cutoff`` at most, with labels as known at the end of ``day``."""
    inputs = load_some(cutoff, about.population, home)
    return label(inputs, cutoff, day, about.horizons, read_purchases(cutoff, day, home))


def load_some(cutoff: date, population: Population, home: HomePath = None) -> Inputs:
    """As ``load_inputs``, of MOST_ROWS customers at most; a file in memory at a time."""
    told = read_rows(FEATURES, [cutoff], ["customer_key", "frequency_days", "recency_days"], home)
    keys = np.sort(told.filter(is_eligible(told, population))["customer_key"].to_numpy())
    chosen = pa.array(keys[:: max(1, -(-len(keys) // MOST_ROWS))], pa.string())
    files = files_of(FEATURES, [cutoff], list(INPUT_COLUMNS), home)
    parts = [part.filter(pc.is_in(part["customer_key"], value_set=chosen)) for part in files]
    return inputs_of(pa.concat_tables(parts, promote_options="permissive").sort_by("customer_key"), cutoff, home)


def renewed(predictor: "Predictor", matured: Examples) -> "Predictor":
    """``predictor``, calibrated anew on ``matured``; as it was where these are too few to say anything."""
    if not len(matured):
        return predictor
    whole = predictor.model
    return under(predictor, calibration(whole.model.predict(matured.inputs), matured, whole.calibration))
