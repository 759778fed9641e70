"""A fitted model as a folder of plain files: what it is, what it reads, and what its training rows looked like."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURE_NAMES
from expectations.errors import DataError, SetupError
from ml.horizons import Horizons
from ml.protocols import Population

if TYPE_CHECKING:
    from ml.calibrate import Calibrated
    from ml.lifetime import Lifetime

FORMAT = 1
ABOUT, MODEL, LIFETIME = "about.json", "model", "lifetime"
TRAIN_AGAIN = "run `python -m ml train --cutoff D`, whose version takes its place"


@dataclass(frozen=True)
class About:
    """What is known of a saved model besides its parameters.

    model          its name in MODELS
    cutoff         it was tested as of that day, YYYY-MM-DD; everything it learned from lies before
    feature_names  columns of Inputs.features, in order
    """

    model: str
    seed: int
    cutoff: str
    horizons: Horizons
    population: Population
    feature_names: tuple[str, ...] = FEATURE_NAMES


def save_model(folder: Path, model: "Calibrated", about: About, lifetime: "Lifetime | None" = None) -> None:
    """Writes ``folder``, which need not exist: about.json, and the model's own files below ``model``."""
    model.save(folder / MODEL)
    if lifetime:
        lifetime.save(folder / LIFETIME)
    (folder / ABOUT).write_text(json.dumps({"format": FORMAT, **asdict(about)}, indent=2))


def load_lifetime(folder: Path) -> "Lifetime | None":
    """What carries expected spend on to a year; None if it was not learned."""
    if not (folder / LIFETIME).is_dir():
        return None
    from ml.lifetime import Lifetime

    return Lifetime.load(folder / LIFETIME)


def read_about(folder: Path, label: str) -> About:
    """What ``save_model`` wrote; SetupError that names ``label`` for what it did not write, or not like this."""
    from ml.models import MODELS

    file = folder / ABOUT
    if not file.exists():
        raise SetupError(f"{label} was saved by an earlier version of this code, with other outputs: {TRAIN_AGAIN}")
    told = json.loads(file.read_text())
    if told.pop("format") != FORMAT:
        raise SetupError(f"{label} was saved in another format than {FORMAT}, which this code reads: {TRAIN_AGAIN}")
    if told["model"] not in MODELS:
        raise SetupError(f"{label} is a {told['model']}, which is none of: {', '.join(MODELS)}")
    horizons = Horizons.of(told.pop("horizons"))
    population, names = Population(**told.pop("population")), tuple(told.pop("feature_names"))
    return About(**told, horizons=horizons, population=population, feature_names=names)


def load_model(folder: Path, label: str) -> "tuple[Calibrated, About]":
    """Model and what is known of it; DataError if it was trained on other features than today's."""
    from ml.calibrate import Calibrated

    about = read_about(folder, label)
    require_features(about, label)
    return Calibrated.load(folder / MODEL), about


def require_features(about: About, label: str) -> None:
    """DataError that lists every difference between the model's features and today's."""
    ours, theirs = set(FEATURE_NAMES), set(about.feature_names)
    differences = [
        f"{what}: {', '.join(sorted(names))}"
        for what, names in (("no longer there", theirs - ours), ("unknown to the model", ours - theirs))
        if names
    ]
    if not differences and about.feature_names != FEATURE_NAMES:
        differences = ["they stand in another order"]
    if differences:
        raise DataError(
            f"{label} was trained on other features; {'; '.join(differences)}. Score with a version trained on "
            "today's features, or build the features with the code the version was trained with"
        )
