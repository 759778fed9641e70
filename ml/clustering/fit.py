"""A fit: the clusters in force, and how customers are assigned to them. Kept as JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from pathlib import Path

import numpy as np

from ml.clustering.behaviour import MEASURES, Behaviour
from ml.clustering.methods import squared_distances
from ml.clustering.space import Space

ROWS_AT_ONCE = 100_000
DECIMALS = 6
ONE_CLUSTER = "one_cluster"
"""The method where there is nothing to tell customers apart by."""


@dataclass(frozen=True)
class Fit:
    """ids, changes, centres: one a cluster, by rising id; centres (clusters, dimensions of the space).

    next_id     the first id that was never given
    scale       mean squared distance of the customers it was fitted on to their centres: memberships' unit
    spare_gain  share of that which one more cluster would have explained
    model       name and version of the model whose embeddings were looked at; None without
    names       in words, one a cluster; they stay with the ids
    recipe      what else decides when a refit is due: code, settings, what makes the features
    silhouette, stability, refit_agreement, changes: see the table clusters
    """

    fitted_on: date
    method: str
    ids: tuple[int, ...]
    changes: tuple[str, ...]
    next_id: int
    centres: np.ndarray
    space: Space
    scale: float
    spare_gain: float
    silhouette: float
    stability: float
    refit_agreement: float | None
    model: tuple[str, int] | None = None
    recipe: str = ""
    names: tuple[str, ...] = ()

    def assigned(self, behaviour: Behaviour) -> "Assigned":
        """The cluster of every customer. softmax(-d² / scale) over d, the distances to the centres."""
        parts = [self._assigned(self.space.place(part)) for part in _blocks(behaviour)]
        return Assigned(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Assigned)))

    def _assigned(self, places: np.ndarray) -> "Assigned":
        squared = squared_distances(places, self.centres)
        order = np.argsort(squared, axis=1, kind="stable")
        rows, ids = np.arange(len(places)), np.array(self.ids, np.int32)
        weights = np.exp((squared[rows, order[:, 0]][:, None] - squared) / (self.scale or 1))
        membership = (1 / weights.sum(axis=1)).round(DECIMALS)
        runner_up = ids[order[:, 1]] if len(ids) > 1 else np.zeros(len(places), np.int32)
        return Assigned(ids[order[:, 0]], membership, runner_up)

    def without_embedding(self) -> "Fit":
        """Assigns by the measures alone: where the model is another one than it was fitted with."""
        space = replace(self.space, centre=np.zeros(0), axes=np.zeros((0, 0)))
        return replace(self, space=space, centres=self.centres[:, : len(MEASURES)])

    def measured_centres(self) -> np.ndarray:
        """(clusters, measures): the centres as the measures are counted, to be placed in another space."""
        return self.space.unscaled(self.centres)

    def save(self, file: Path) -> None:
        told = {f.name: getattr(self, f.name) for f in fields(self)} | {"space": asdict(self.space)}
        file.write_text(json.dumps(told, default=_plain, indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> "Fit":
        told = json.loads(file.read_text())
        told["space"] = Space(**{n: np.array(v) if isinstance(v, list) else v for n, v in told["space"].items()})
        told |= {"fitted_on": date.fromisoformat(told["fitted_on"]), "centres": np.array(told["centres"])}
        told |= {name: tuple(told.get(name, ())) for name in ("ids", "changes", "names")}
        return cls(**told | {"model": tuple(told["model"]) if told["model"] else None})


@dataclass(frozen=True)
class Assigned:
    """(rows,) each: the cluster, the membership in it, and the cluster that comes next, 0 where there is one only."""

    ids: np.ndarray
    membership: np.ndarray
    runner_up: np.ndarray


def _blocks(behaviour: Behaviour) -> Iterator[Behaviour]:
    """All rows, some at a time; one empty block if there are none."""
    for start in range(0, max(len(behaviour), 1), ROWS_AT_ONCE):
        yield behaviour.rows(slice(start, start + ROWS_AT_ONCE))


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else str(value)
