"""How good a clustering is: three indices of its shape, and whether chance plays a part in it."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ml.clustering.matching import agreement
from ml.clustering.methods import Find, nearest
from ml.clustering.settings import ClusterSettings


class Judge:
    """Judges clusterings of the same customers, given as labels (rows,); holds their distances, to judge many fast.

    ``places``: (rows, dimensions), a few thousand rows.
    """

    def __init__(self, places: np.ndarray) -> None:
        from sklearn.metrics import pairwise_distances

        self.places = places
        self._distances = pairwise_distances(places.astype(np.float32))
        np.fill_diagonal(self._distances, 0)

    def silhouette(self, labels: np.ndarray) -> float:
        """Mean silhouette (Rousseeuw 1987); 0 of one cluster."""
        from sklearn.metrics import silhouette_score

        if not 1 < len(np.unique(labels)) < len(labels):
            return 0.0
        return float(silhouette_score(self._distances, labels, metric="precomputed"))

    def calinski_harabasz(self, labels: np.ndarray) -> float:
        """Variance between clusters / within, each by its degrees of freedom; NaN of one cluster."""
        from sklearn.metrics import calinski_harabasz_score

        return float(calinski_harabasz_score(self.places, labels)) if len(np.unique(labels)) > 1 else np.nan

    def davies_bouldin(self, labels: np.ndarray) -> float:
        """Mean over clusters of how near the most alike other one is, 0 at best; NaN of one cluster."""
        from sklearn.metrics import davies_bouldin_score

        return float(davies_bouldin_score(self.places, labels)) if len(np.unique(labels)) > 1 else np.nan


@dataclass(frozen=True)
class Judged:
    """A number of clusters, on customers drawn again and again.

    stability       mean adjusted Rand index (Hubert & Arabie 1985) between any two bootstrap fits, everybody assigned
    silhouette      of the fit itself
    standard_error  of the silhouette: its standard deviation over the bootstrap fits
    """

    k: int
    silhouette: float
    stability: float
    standard_error: float


def judged(judge: Judge, find: Find, k: int, settings: ClusterSettings) -> Judged:
    """The clusterings by ``find`` of the judge's customers and of as many drawn from them with replacement."""
    places = judge.places
    fits = [find(drawn, k, settings.seed) for drawn in _bootstrap(places, settings)]
    silhouettes = [judge.silhouette(nearest(places, centres)) for centres in fits]
    whole = judge.silhouette(nearest(places, find(places, k, settings.seed)))
    return Judged(k, whole, _agreement(places, fits), float(np.std(silhouettes, ddof=1)))


def stability(places: np.ndarray, find: Find, k: int, settings: ClusterSettings) -> float:
    """As of ``Judged``."""
    return _agreement(places, [find(drawn, k, settings.seed) for drawn in _bootstrap(places, settings)])


def _bootstrap(places: np.ndarray, settings: ClusterSettings) -> list[np.ndarray]:
    random = np.random.default_rng(settings.seed)
    return [places[random.integers(0, len(places), len(places))] for _ in range(settings.resamples)]


def _agreement(places: np.ndarray, fits: list[np.ndarray]) -> float:
    labels = [nearest(places, centres) for centres in fits]
    return float(np.mean([agreement(one, other) for one, other in combinations(labels, 2)]))


def chosen(all_judged: list[Judged], least_stability: float) -> Judged:
    """The number of clusters, by rule: of those as stable as asked for, the largest whose silhouette lies within one
    standard error of the best one's. If none is so stable, the most stable.
    """
    stable = [one for one in all_judged if one.stability >= least_stability]
    if not stable:
        return max(all_judged, key=lambda one: one.stability)
    best = max(stable, key=lambda one: one.silhouette)
    near = [one for one in stable if one.silhouette >= best.silhouette - best.standard_error]
    return max(near, key=lambda one: one.k)
