"""What the scoring rules are made of: rankings, weighted sums, division that knows nothing by nothing."""

import numpy as np

BINS = 10
"""Bins of equal size, by predicted value, for calibration and for deciles of spend; those of the whole sample hold for
its resamples too."""


class Ranking:
    """Customers in falling order of a prediction, those with equal predictions as one group."""

    def __init__(self, predicted: np.ndarray) -> None:
        self.order = np.argsort(-predicted, kind="stable")
        falling = predicted[self.order]
        self.ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else np.zeros(0, int)
        self.group = np.empty(len(predicted), dtype=np.int64)
        self.group[self.order] = np.repeat(np.arange(len(self.ends)), np.diff(self.ends, prepend=-1))

    def totals(self, values: np.ndarray) -> np.ndarray:
        """(groups + 1, resamples): what the groups down to each hold of ``values`` (rows, resamples); first nothing."""
        nothing = np.zeros((1, values.shape[1]))
        if not len(values):
            return nothing
        return np.concatenate([nothing, np.cumsum(values[self.order], axis=0, dtype=np.float64)[self.ends]])


def equal_bins(predicted: np.ndarray, bins: int = BINS) -> np.ndarray:
    """(rows,): bin of each row by rising prediction, bins of equal size; equal predictions share a bin."""
    ranking = Ranking(predicted)
    size = np.diff(ranking.ends, prepend=-1)
    middle = len(predicted) - (ranking.ends + 1 - size / 2)  # rank from below of the middle of each group
    return np.minimum((middle / max(len(predicted), 1) * bins).astype(np.int64), bins - 1)[ranking.group]


def by_bin(bins: np.ndarray, values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(BINS, resamples): sums of ``values`` by bin."""
    return np.where(bins == np.arange(BINS)[:, None], values, 0.0) @ drawn


def area(along: np.ndarray, height: np.ndarray) -> np.ndarray:
    """(resamples,) under the polygons through (along, height), each (points, resamples)."""
    return (np.diff(along, axis=0) * (height[1:] + height[:-1])).sum(axis=0) / 2


def drawn_rows(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """(rows, resamples): ``weights``, else every row once."""
    return np.ones((len(values), 1)) if weights is None else weights


def weighted_sum(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return values.astype(np.float64) @ drawn


def weighted_mean(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return divide(weighted_sum(values, drawn), drawn.sum(axis=0))


def divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """NaN where ``below`` is nothing."""
    below = np.broadcast_to(below, np.shape(above))
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)


def shaped(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray | float:
    """(resamples,), or a float where there were no weights."""
    return float(values[0]) if weights is None else values
