"""How far features lie from those of the training: the population stability index (PSI) against what was kept then.

PSI = Σ (p - q) ln(p / q) over bins (Siddiqi 2006, Credit Risk Scorecards): below 0.1 stable, above 0.25 another
population.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from expectations.behaviour import FEATURE_NAMES

DECILES = np.arange(1, 10) / 10
FILE = "reference.json"


@dataclass(frozen=True)
class Reference:
    """What one feature looked like.

    edges   that part its values into tenths; equal values are never parted
    counts  (edges + 2,): rows of each bin, the last one those without a value
    """

    edges: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Reference":
        """Of (rows,) values, NaN where there is none."""
        known = values[~np.isnan(values)]
        edges = np.unique(np.quantile(known, DECILES, method="inverted_cdf")) if len(known) else np.zeros(0)
        return cls(edges, _counts(values, edges))

    def stability_index(self, values: np.ndarray) -> float:
        """PSI of ``values``. Half a row is added to each bin, so that an empty one is not infinitely unlikely."""
        before, after = _shares(self.counts), _shares(_counts(values, self.edges))
        return float(((after - before) * np.log(after / before)).sum())


def write_reference(folder: Path, features: np.ndarray) -> None:
    """Keeps what (rows, FEATURE_NAMES) look like."""
    told = {}
    for name, column in zip(FEATURE_NAMES, features.T, strict=True):
        reference = Reference.of(column)
        told[name] = {"edges": reference.edges.tolist(), "counts": reference.counts.tolist()}
    (folder / FILE).write_text(json.dumps(told))


def read_reference(folder: Path) -> dict[str, Reference]:
    """Feature → what it looked like."""
    told = json.loads((folder / FILE).read_text())
    return {name: Reference(np.array(one["edges"]), np.array(one["counts"])) for name, one in told.items()}


def stability_indices(reference: dict[str, Reference], features: np.ndarray) -> dict[str, float]:
    """PSI of every feature of (rows, FEATURE_NAMES), the largest first."""
    found = {
        name: reference[name].stability_index(column)
        for name, column in zip(FEATURE_NAMES, features.T, strict=True)
        if name in reference
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    place = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    return np.bincount(place, minlength=len(edges) + 2)


def _shares(counts: np.ndarray) -> np.ndarray:
    return (counts + 0.5) / (counts + 0.5).sum()
