"""Windows before and after cutoffs, and how well a feature alone knows who buys in them: what ml.leaks compares."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

from ml.examples import Examples


@dataclass(frozen=True)
class Look:
    """Rows of one cutoff and their labels: ``other`` is what the coming window is compared with, None for certain."""

    check: str
    days: int
    rows: np.ndarray
    coming: np.ndarray
    other: np.ndarray | None


def looks_of(train: Examples, min_cases: int) -> dict[tuple[str, int], list[Look]]:
    """(check, days) → one look a cutoff that has enough cases."""
    found: dict[tuple[str, int], list[Look]] = {}
    horizons = train.horizons
    for days in dict.fromkeys((1, horizons.edges_days[0], horizons.churn_days)):
        for look in (*_past(train, days), *_fading(train, days)):
            labels = [label for label in (look.coming, look.other) if label is not None]
            if all(min(label.sum(), (1 - label).sum()) >= min_cases for label in labels):
                found.setdefault((look.check, days), []).append(look)
    return found


def _past(train: Examples, days: int) -> Iterator[Look]:
    bought = train.is_buyer(days)
    # Recency counts from the cutoff's own day, which belongs to the past window.
    before = (train.inputs.life["recency_days"] < days).astype(np.float64)
    for cutoff in np.unique(train.inputs.cutoffs):
        rows = np.flatnonzero((train.inputs.cutoffs == cutoff) & train.matured(days))
        yield Look("past", days, rows, bought[rows], before[rows])
        yield Look("certain", days, rows, bought[rows], None)


def _fading(train: Examples, days: int) -> Iterator[Look]:
    """Looks at cutoffs that another one soon follows, whose coming window is the later one."""
    cutoffs = np.unique(train.inputs.cutoffs)
    for first, second in pairwise(cutoffs):
        apart = int((second - first).astype(np.int64))
        if not 1 < days <= apart <= 2 * days:
            continue
        now, later = (np.flatnonzero((train.inputs.cutoffs == day) & train.matured(days)) for day in (first, second))
        _, mine, theirs = np.intersect1d(
            train.inputs.customer_keys[now], train.inputs.customer_keys[later], return_indices=True
        )
        bought = train.is_buyer(days)
        yield Look("fades", days, now[mine], bought[now[mine]], bought[later[theirs]])


def distances(values: np.ndarray, looks: list[Look]) -> tuple[np.ndarray, np.ndarray]:
    """Distance of every column's AUC from 1/2 for the coming and for the other window, mean of the looks."""
    coming, other = [], []
    for look in looks:
        ranks = rankdata(values[look.rows], axis=0)
        coming.append(_distance(ranks, look.coming))
        other.append(np.zeros(ranks.shape[1]) if look.other is None else _distance(ranks, look.other))
    return np.mean(coming, axis=0), np.mean(other, axis=0)


def _distance(ranks: np.ndarray, label: np.ndarray) -> np.ndarray:
    ones = label.sum()
    above = label @ ranks - ones * (ones + 1) / 2
    return np.abs(above / (ones * (len(label) - ones)) - 0.5)


def foreseen(train: Examples, values: np.ndarray, looks: list[Look]) -> float:
    """How well the best feature as of an earlier cutoff knows the coming windows, whatever the order of its values.

    Earlier by no less than the window: even a count that ends that much too late saw nothing of it. 0 if none is.
    """
    known, cutoffs, keys = [], train.inputs.cutoffs, train.inputs.customer_keys
    for look in looks:
        before = cutoffs[cutoffs <= cutoffs[look.rows[0]] - np.timedelta64(look.days, "D")]
        if len(before):
            earlier = np.flatnonzero(cutoffs == before.max())
            _, mine, theirs = np.intersect1d(keys[look.rows], keys[earlier], return_indices=True)
            columns = values[earlier[theirs]].T
            known.append([_distance_of_bins(column, look.coming[mine]) for column in columns])
    return float(np.max(np.mean(known, axis=0))) if known else 0.0


def _distance_of_bins(values: np.ndarray, label: np.ndarray, bins: int = 40) -> float:
    """Distance of the AUC of the share of ones in a row's bin, counted among the other half of the rows."""
    if len(values) < 2 or values.min() == values.max() or not 0 < label.sum() < len(label):
        return 0.0
    _, place = np.unique(
        (
            rankdata(values, method="dense")
            if len(np.unique(values)) <= bins
            else np.ceil(rankdata(values) / len(values) * bins)
        ),
        return_inverse=True,
    )
    half, share = np.arange(len(values)) % 2, np.empty(len(values))
    for mine in (0, 1):
        others = half != mine
        ones, rows = (np.bincount(place[others], w, minlength=place.max() + 1) for w in (label[others], None))
        share[~others] = ((ones + label.mean()) / (rows + 1))[place[~others]]
    return float(_distance(rankdata(share)[:, None], label)[0])
