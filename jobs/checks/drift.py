"""How far two samples of one number, or two counts of one thing, lie apart: the population stability index (PSI).

PSI = Σ (p - q) ln(p / q) over bins (Siddiqi 2006, Credit Risk Scorecards): below 0.1 stable, above 0.25 another
population.
"""

import numpy as np

LEAST_ROWS = 500
"""Fewer rows are not judged: chance alone gives a PSI of about (bins - 1)(1/n + 1/m)."""


def stability_index(reference: np.ndarray, counts: np.ndarray) -> float:
    """PSI of ``counts`` against ``reference``, bin by bin; half a row is added to each, so that none is empty."""
    p = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    q = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    return float(np.sum((p - q) * np.log(p / q)))


def drift(reference: np.ndarray, values: np.ndarray) -> float:
    """PSI of a number (NaN: missing) in bins that part ``reference`` into tenths; missing ones have a bin of their own.

    Equal values are never parted: where most of a sample is 0, zero is one bin.
    """
    known = reference[~np.isnan(reference)]
    edges = np.unique(np.quantile(known, np.linspace(0.1, 0.9, 9), method="lower")) if len(known) else np.array([])
    return stability_index(_binned(reference, edges), _binned(values, edges))


def _binned(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    missing = np.isnan(values)
    bins = np.bincount(np.searchsorted(edges, values[~missing], side="left"), minlength=len(edges) + 1)
    return np.append(bins, missing.sum())
