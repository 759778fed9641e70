"""The space in which customers lie near one another if they behave alike.

A ratio is drawn towards the usual value as if the customer had prior_events more at that value (the posterior mean of a
beta or normal prior), which is also what stands in where there is none. Heavy tails are taken by log(1 + x), everything
is held to the 0.5 % and 99.5 % quantiles and standardised; then each theme is given the same total weight.
"""

from dataclasses import dataclass

import numpy as np

from ml.clustering.behaviour import MEASURES, Behaviour
from ml.clustering.settings import ClusterSettings

TAILS = (0.005, 0.995)
_THEMES = [one.theme for one in MEASURES]
THEME_WEIGHTS = np.array([1 / np.sqrt(_THEMES.count(theme)) for theme in _THEMES])


@dataclass(frozen=True)
class Space:
    """What places customers; arrays are of one number a measure.

    usual      median, which ratios are drawn to
    low, high  bounds
    mean, deviation  of what lies within them; a deviation of 0 says that the measure tells nobody apart
    prior_events     see settings
    centre, axes     of the embedding: (width,) and (components, width), scaled; empty where there is none
    """

    usual: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    prior_events: float
    centre: np.ndarray
    axes: np.ndarray

    @property
    def has_embedding(self) -> bool:
        return len(self.axes) > 0

    def place(self, behaviour: Behaviour) -> np.ndarray:
        """(rows, measures + components)."""
        measured = self.scaled(_drawn(_values(behaviour), behaviour, self.usual, self.prior_events))
        return np.hstack([measured, self._embedded(behaviour)]) if self.has_embedding else measured

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """(rows, measures) as they are counted → in the space."""
        apart = self.deviation > 0
        held = np.clip(values, self.low, self.high) - self.mean
        return np.where(apart, held / np.where(apart, self.deviation, 1), 0) * THEME_WEIGHTS

    def unscaled(self, places: np.ndarray) -> np.ndarray:
        """(rows, measures) in the space → as they are counted."""
        return places[:, : len(MEASURES)] / THEME_WEIGHTS * self.deviation + self.mean

    def is_like(self, other: "Space", share: float) -> bool:
        """Whether both tell customers apart by the same measures, in units that differ by less than ``share``."""
        mine, others = self.deviation > 0, other.deviation > 0
        if not (mine == others).all() or not mine.any() or self.has_embedding != other.has_embedding:
            return False
        return bool(np.abs(np.log(self.deviation[mine] / other.deviation[mine])).mean() < np.log1p(share))

    def _embedded(self, behaviour: Behaviour) -> np.ndarray:
        return np.nan_to_num(behaviour.embedding - self.centre) @ self.axes.T


def fit_space(behaviour: Behaviour, settings: ClusterSettings) -> Space:
    """The space of these customers."""
    values = _values(behaviour)
    usual = np.ma.median(np.ma.masked_invalid(values), axis=0).filled(0.0)
    drawn = _drawn(values, behaviour, usual, settings.prior_events)
    low, high = np.quantile(drawn, TAILS, axis=0)
    held = np.clip(drawn, low, high)
    deviation = held.std(axis=0)
    deviation[deviation < 1e-9] = 0
    spread = float((THEME_WEIGHTS[deviation > 0] ** 2).sum())
    centre, axes = _axes(behaviour.embedding, spread, settings)
    return Space(usual, low, high, held.mean(axis=0), deviation, settings.prior_events, centre, axes)


def _values(behaviour: Behaviour) -> np.ndarray:
    """(rows, measures), NaN where missing; logarithms of what is heavy."""
    columns = (behaviour.columns[one.name] for one in MEASURES)
    return np.column_stack([np.log1p(c) if one.is_heavy else c for one, c in zip(MEASURES, columns, strict=True)])


def _drawn(values: np.ndarray, behaviour: Behaviour, usual: np.ndarray, prior: float) -> np.ndarray:
    drawn = np.where(np.isnan(values), usual, values)
    for place, one in enumerate(MEASURES):
        if one.evidence:
            events = np.nan_to_num(behaviour.columns[one.evidence])
            drawn[:, place] = (events * drawn[:, place] + prior * usual[place]) / np.maximum(events + prior, 1e-9)
    return drawn


def _axes(embedding: np.ndarray | None, spread: float, settings: ClusterSettings) -> tuple[np.ndarray, np.ndarray]:
    """Principal axes, scaled so that the embedding's variance is embedding_weight × that of the measures."""
    nothing = np.zeros(0), np.zeros((0, 0))
    if embedding is None or not settings.embedding_weight:
        return nothing
    known = embedding[~np.isnan(embedding).any(axis=1)]
    if len(known) < 2 or not known.std(axis=0).any():
        return nothing
    centre = known.mean(axis=0)
    _, lengths, axes = np.linalg.svd(known - centre, full_matrices=False)
    axes, variance = axes[: settings.embedding_parts], (lengths[: settings.embedding_parts] ** 2).sum() / len(known)
    # Which way an axis points is no one's choice: the largest part of each is made positive.
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return centre, axes * np.sqrt(settings.embedding_weight * (spread or 1) / variance)
