"""Resamples of customers: whoever is drawn brings all their rows, of every cutoff, so that what repeats is not counted
as new evidence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

CHUNK_CELLS = 4_000_000
"""Rows times resamples that are held at once."""


@dataclass(frozen=True)
class Resamples:
    """How often each row counts in each resample; resample 0 is the sample itself.

    counts  (customers, resamples + 1)
    rows    one a test cutoff: number of the customer of each row
    """

    counts: np.ndarray
    rows: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, keys: tuple[np.ndarray, ...], resamples: int, seed: int = 0) -> "Resamples":
        """keys: customer_key of each row, one array a test cutoff."""
        people, place = np.unique(np.concatenate(keys), return_inverse=True)
        rng = np.random.default_rng(seed)
        counts = np.ones((len(people), resamples + 1), dtype=np.uint8)
        for n in range(resamples):
            drawn = rng.integers(len(people), size=len(people))
            counts[:, n + 1] = np.minimum(np.bincount(drawn, minlength=len(people)), 255)
        ends = np.cumsum([len(one) for one in keys])[:-1]
        return cls(counts, tuple(np.split(place, ends)))

    @property
    def size(self) -> int:
        """Resamples, with the sample itself."""
        return self.counts.shape[1]

    def chunks(self, cutoff: int, chosen: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Weights (chosen rows, some resamples) of a test cutoff's rows, by number, a few resamples at a time."""
        people = self.rows[cutoff][chosen]
        step = max(1, CHUNK_CELLS // max(len(people), 1))
        for first in range(0, self.size, step):
            some = slice(first, min(first + step, self.size))
            yield some, self.counts[people, some].astype(np.float64)

    def replicates(self, rule: Callable[[np.ndarray], np.ndarray], cutoff: int = 0) -> np.ndarray:
        """(size,): what ``rule`` makes of weights, (rows, some resamples), of a test cutoff's rows."""
        found = np.empty(self.size)
        for some, weights in self.chunks(cutoff, np.arange(len(self.rows[cutoff]))):
            found[some] = rule(weights)
        return found


def interval(replicates: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of what the resamples gave; the sample itself, which comes first, does not count."""
    values = replicates[1:][np.isfinite(replicates[1:])]
    # Where most resamples have no value, the rest are a chosen few.
    if len(values) <= (len(replicates) - 1) / 2 or not np.isfinite(replicates[0]):
        return np.nan, np.nan
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
