"""Settings: one frozen dataclass a component, changed by <home>/settings.yaml, never by the environment.

What a shop predicts, of whom, when a challenger is promoted and when training is due stands here; jobs add their own.
"""

import math
import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from expectations.errors import SetupError
from ml.home import HomePath, home_folder
from ml.horizons import Horizons
from ml.protocols import Population, Protocol, Rolling, rolling

S = TypeVar("S")

DEFAULT_MODELS = ("recency_rule", "logistic_regression", "gradient_boosting")
"""What a shop's training tries unless told otherwise: models of the aggregates, seconds each."""


@dataclass(frozen=True)
class ModelSettings:
    """What is predicted, of whom, from which cutoffs, and which models are tried. Section ``model``.

    edges_days, churn_days, spend_days: see Horizons. min_purchase_days, max_silent_days: see Population; a
    max_silent_days of 0 bounds nothing. min_history_days, step_days, max_train: see Rolling. models: names of MODELS.
    """

    edges_days: tuple[int, ...] = Horizons.edges_days
    churn_days: int = Horizons.churn_days
    spend_days: tuple[int, ...] = Horizons.spend_days
    min_purchase_days: int = Population.min_purchase_days
    max_silent_days: int = 0
    min_history_days: int = Rolling.min_history_days
    step_days: int = Rolling.step_days
    max_train: int = Rolling.max_train
    models: tuple[str, ...] = DEFAULT_MODELS

    def __post_init__(self) -> None:
        if 30 not in self.spend_days:
            raise ValueError("edges_days and spend_days must hold 30: tiers and bands are cut from 30 days")
        if not (self.step_days and self.max_train and self.models):
            raise ValueError("step_days and max_train must be 1 or more, models must name one")
        _ = self.horizons

    @property
    def horizons(self) -> Horizons:
        return Horizons(self.edges_days, self.churn_days, self.spend_days)

    @property
    def population(self) -> Population:
        return Population(self.min_purchase_days, self.max_silent_days or None)

    def protocol(self, cutoff: date, first_day: date) -> Protocol:
        """Cutoffs that train, validate and test as of ``cutoff``; DataError that says from when on there are enough."""
        spread = Rolling(self.min_history_days, self.step_days, self.max_train)
        return replace(rolling(cutoff, first_day, self.horizons, spread), population=self.population)


@dataclass(frozen=True)
class PromotionSettings:
    """When a challenger replaces the champion. Section ``promotion``.

    is_automatic            training promotes what passes; else it only says so
    deciding_metric         whose paired gain must have an interval above 0: brier, auc or normalised_gini
    max_calibration_excess  expected calibration error above that of a perfectly calibrated model of that size, at most
    max_total_bias          share of the total by which predicted buyers, or spend, may be wrong either way
    max_stratum_loss        a stratum, or a window besides the deciding one, may lose so much of the deciding metric to
                            the champion, in the metric's own units
    min_stratum_rows        strata with fewer customers are shown, and decide nothing
    """

    is_automatic: bool = True
    deciding_metric: str = "brier"
    max_calibration_excess: float = 0.02
    max_total_bias: float = 0.15
    max_stratum_loss: float = 0.005
    min_stratum_rows: int = 200

    def __post_init__(self) -> None:
        if self.deciding_metric not in ("brier", "auc", "normalised_gini"):
            raise ValueError(f"deciding_metric must be brier, auc or normalised_gini, found {self.deciding_metric!r}")


@dataclass(frozen=True)
class DueSettings:
    """When a new training is due. Section ``due``.

    after_days         days of labels that have matured since those the champion was tested on
    max_psi            a feature has drifted where its population stability index is above
    max_drifted_share  share of the features that may have drifted
    total_tolerance    share of the total by which buyers and spend may leave their 95 % interval: what a shop as a
                       whole does (a holiday, a campaign) no customer's own chance explains
    """

    after_days: int = 28
    max_psi: float = 0.25
    max_drifted_share: float = 0.1
    total_tolerance: float = 0.1


SECTIONS = (
    "segment",
    "cluster",
    "watch",
    "risk",
    "checks",
    "outliers",
    "features",
    "sequences",
    "text",
    "tags",
    "recommendations",
    "publish",
    "maintain",
    "keep_days",
    "model",
    "promotion",
    "due",
)
"""All that settings.yaml may hold. The last three are read here, the others by the jobs they are named after."""


def load_model_settings(home: HomePath = None) -> ModelSettings:
    """Section ``model`` of the home's settings.yaml; SetupError for whatever it does not know."""
    return load_settings("model", ModelSettings, home)


def load_promotion_settings(home: HomePath = None) -> PromotionSettings:
    """Section ``promotion``."""
    return load_settings("promotion", PromotionSettings, home)


def load_due_settings(home: HomePath = None) -> DueSettings:
    """Section ``due``."""
    return load_settings("due", DueSettings, home)


def trained_models(names: str | None = None, home: HomePath = None) -> tuple[str, ...]:
    """The models that `ml train [--models NAMES]` trains; SetupError for what there is not."""
    from ml.models import known

    return known(names.split(",") if names else load_model_settings(home).models)


def training_cutoffs(cutoff: date, first_day: date, home: HomePath = None) -> list[date]:
    """The snapshots that `ml train --cutoff` reads, in order; DataError where history is too short."""
    return list(load_model_settings(home).protocol(cutoff, first_day).cutoffs)


def load_settings(section: str, kind: type[S], home: HomePath = None) -> S:
    """``kind`` with what the home's settings.yaml says under ``section``; SetupError for what it does not know."""
    path, known = _file(home), get_type_hints(kind)
    values = load_section(section, home)
    for name, value in values.items():
        if name not in known:
            raise SetupError(f"{path}: {section} has no setting {name!r}; known: {', '.join(known)}")
        if wrong := _misfit(value, known[name]):
            raise SetupError(f"{path}: {section}.{name} must be {wrong}, found {value!r}")
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except (ValueError, SetupError) as error:
        raise SetupError(f"{path}: {section}: {error}") from error


def load_section(section: str, home: HomePath = None) -> dict[str, Any]:
    """What the home's settings.yaml says under ``section``, empty if nothing; SetupError for a section not known."""
    from ml.yaml_lines import load_lined

    path = _file(home)
    text = path.read_text() if path.exists() else ""
    said = load_lined(text, str(path)) if re.sub(r"(?m)^\s*#.*", "", text).strip() else {}
    for name, values in said.items():
        if name not in SECTIONS:
            raise SetupError(f"{path}: no section {name!r}; known: {', '.join(SECTIONS)}")
        if not isinstance(values or {}, dict):
            raise SetupError(f"{path}: {name} must hold `setting: value` pairs, found {values!r}")
    return said.get(section) or {}


def _file(home: HomePath) -> Path:
    return home_folder(home) / "settings.yaml"


def _misfit(value: Any, kind: Any) -> str:
    """What ``value`` should be to be of ``kind``; empty if it is."""
    if get_origin(kind) is tuple:
        (inner, *_) = get_args(kind)
        fits = isinstance(value, list) and value and not any(_misfit(one, inner) for one in value)
        return "" if fits else {str: "a list of texts", int: "a list of whole numbers"}[inner]
    if kind in (bool, str):
        return "" if isinstance(value, kind) else {bool: "true or false", str: "a text"}[kind]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a number"
    if kind is int and not isinstance(value, int):
        return "a whole number"
    return "" if 0 <= value < math.inf else "0 or more"
