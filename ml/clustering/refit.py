"""Fits and refits. A refit keeps what it can: the clusters and the space they lie in, or at least their ids."""

from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np

from ml.clustering.behaviour import MEASURES, Behaviour
from ml.clustering.fit import ONE_CLUSTER, Fit
from ml.clustering.judging import Judge, chosen, judged, stability
from ml.clustering.matching import agreement, matched_ids
from ml.clustering.methods import FIND, FINDS_ITS_NUMBER, means, nearest, settled, spread, squared_distances
from ml.clustering.naming import names_of
from ml.clustering.settings import ClusterSettings
from ml.clustering.space import Space, fit_space
from ml.threads import one_thread

SPARE_STARTS = 24
"""Places from which one more cluster is tried."""


@dataclass(frozen=True)
class Found:
    """Centres in a space of its own, where everybody lies there, and how good the clusters are."""

    method: str
    space: Space
    places: np.ndarray
    centres: np.ndarray
    silhouette: float
    stability: float


def fitted(
    day: date, everybody: Behaviour, settings: ClusterSettings, before: Fit | None = None,
    model: tuple[str, int] | None = None, recipe: str = "",
) -> Fit:  # fmt: skip
    """The clusters of ``everybody`` as of ``day``. ``before``: the fit so far, whose clusters or ids are kept.

    One cluster where customers are too few or no measure tells them apart. ``model``: whose embeddings they are.
    Runs in one thread: the same sums whatever the machine.
    """
    customers = everybody.sample(settings.sample_customers, settings.seed)
    old = before and (before if before.model == model else before.without_embedding()).assigned(customers).ids
    with one_thread():
        found = _found(customers, before, old, is_same=before and (before.model, before.recipe) == (model, recipe),
                       settings=settings)  # fmt: skip
        _, spare_gain = one_more(found.places[: settings.judged_customers], found.centres, settings)
    labels = nearest(found.places, found.centres)
    ids, next_id = matched_ids(old, labels, len(found.centres), before, settings.least_overlap)
    order = np.argsort(ids)
    known = {} if before is None else dict(zip(before.ids, before.names, strict=False))
    changes = np.array(_changes(ids, found, before, settings))
    return Fit(
        fitted_on=day, method=found.method, ids=tuple(sorted(ids)), changes=tuple(changes[order].tolist()),
        next_id=next_id, centres=found.centres[order], space=found.space, scale=spread(found.places, found.centres),
        spare_gain=spare_gain, silhouette=found.silhouette, stability=found.stability,
        refit_agreement=None if before is None else agreement(old, labels), model=model, recipe=recipe,
        names=names_of(tuple(sorted(ids)), found.centres[order], known),
    )  # fmt: skip


def _found(
    customers: Behaviour, before: Fit | None, old: np.ndarray | None, is_same: bool, settings: ClusterSettings
) -> Found:
    """New clusters at first; afterwards the old ones settled anew, unless others are better by a bound.

    ``old``: (rows,) the ids by ``before``. ``is_same``: whether its space means the same of today's customers.
    """
    new_space = fit_space(customers, settings)
    places = new_space.place(customers)
    if len(customers) < settings.least_customers or not places.any():
        return Found(ONE_CLUSTER, new_space, places, places.mean(axis=0)[None], 0.0, 1.0)
    judge = Judge(places[: settings.judged_customers])
    fresh = _afresh(new_space, places, judge, settings)
    if before is None or not _may_stay(before, settings):
        return fresh
    space = before.space if is_same and new_space.is_like(before.space, settings.rescale_from) else new_space
    kept = _kept(space, space.place(customers), old, before, judge, settings)
    is_better = fresh.silhouette >= kept.silhouette + settings.switch_gain
    return fresh if is_better and fresh.stability >= settings.least_stability else kept


def _may_stay(before: Fit, settings: ClusterSettings) -> bool:
    """Whether the settings would still let its clusters be."""
    return before.method == settings.method and len(before.ids) in tried_numbers(settings)


def _afresh(space: Space, places: np.ndarray, judge: Judge, settings: ClusterSettings) -> Found:
    """Clusters that know of none before: as many as the rule says, found on all ``places``."""
    find = FIND[settings.method]
    tried = tried_numbers(settings) if settings.method not in FINDS_ITS_NUMBER else [settings.fewest_clusters]
    best = chosen([judged(judge, find, k, settings) for k in tried], settings.least_stability)
    centres = find(places, best.k, settings.seed)
    silhouette = judge.silhouette(nearest(judge.places, centres))
    return Found(settings.method, space, places, centres, silhouette, best.stability)


def tried_numbers(settings: ClusterSettings) -> list[int]:
    """Numbers of clusters to choose from."""
    return list(range(settings.fewest_clusters, settings.most_clusters + 1))


def _kept(
    space: Space, places: np.ndarray, old: np.ndarray, before: Fit, judge: Judge, settings: ClusterSettings
) -> Found:
    """The old clusters, settled where their customers are today; one more if it explains more than it would have."""
    some = places[: len(judge.places)]
    centres = _followed(places, means(places, old), settings)
    grown, gain = one_more(some, centres, settings)
    if gain >= before.spare_gain + settings.new_kind_gain and len(grown) <= settings.most_clusters:
        centres = settled(places, grown)
    steady = stability(some, partial(_from, centres), len(centres), settings)
    return Found(before.method, space, places, centres, judge.silhouette(nearest(some, centres)), steady)


def _followed(places: np.ndarray, centres: np.ndarray, settings: ClusterSettings) -> np.ndarray:
    """Centres go on to where Lloyd's iterations end only if that pays: along a flat valley they go far for nothing."""
    further = settled(places, centres)
    pays = spread(places, further) < (1 - settings.settle_gain) * spread(places, centres)
    return further if pays else centres


def _from(start: np.ndarray, places: np.ndarray, k: int, seed: int) -> np.ndarray:
    return settled(places, start)


def one_more(places: np.ndarray, centres: np.ndarray, settings: ClusterSettings) -> tuple[np.ndarray, float]:
    """(centres with the best one more, share of the spread that it explains); tried from places far from all."""
    squared = squared_distances(places, centres).min(axis=1)
    if not squared.any():
        return centres, 0.0
    random = np.random.default_rng(settings.seed)
    starts = random.choice(len(places), SPARE_STARTS, p=squared / squared.sum())
    grown = [settled(places, np.vstack([centres, places[n]])) for n in starts]
    spreads = [spread(places, one) for one in grown]
    best = int(np.argmin(spreads))
    return grown[best], float(max(0.0, 1 - spreads[best] / squared.mean()))


def _changes(ids: list[int], found: Found, before: Fit | None, settings: ClusterSettings) -> list[str]:
    """first, kept, moved or new of each cluster: by how far the measured part of its centre is from where it was."""
    if before is None:
        return ["first"] * len(ids)
    centres = found.centres[:, : len(MEASURES)]
    was = dict(zip(before.ids, found.space.scaled(before.measured_centres()), strict=True))
    far = settings.moved_from * np.sqrt(spread(found.places[:, : len(MEASURES)], centres))
    shifts = [
        np.linalg.norm(centre - was[one]) if one in was else None for one, centre in zip(ids, centres, strict=True)
    ]
    return ["new" if shift is None else "moved" if shift > far else "kept" for shift in shifts]
