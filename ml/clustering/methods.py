"""Four ways to find clusters, each giving the centres of what it found. A customer is of the nearest centre.

K-Means (MacQueen 1967; Lloyd 1982; k-means++, Arthur & Vassilvitskii 2007; mini-batches, Sculley 2010), a mixture of
Gaussians (EM, diagonal covariances), agglomeration by Ward's criterion (1963) on a sample, HDBSCAN (Campello, Moulavi,
Sander 2013).
"""

from collections.abc import Callable

import numpy as np

MINI_BATCH_FROM = 50_000
"""Customers from which on K-Means looks at mini-batches."""
WARD_CUSTOMERS = 3_000
"""Agglomeration holds all their distances; the first rows are a sample like any other, for keys are hashes."""
HDBSCAN_SHARE = 0.02
"""Smallest cluster that HDBSCAN looks for, as a share of the customers."""

Find = Callable[[np.ndarray, int, int], np.ndarray]
"""(places, k, seed) → (clusters, dimensions) centres."""


def nearest(places: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(rows,): the number of the nearest centre."""
    return squared_distances(places, centres).argmin(axis=1)


def squared_distances(places: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(rows, centres)."""
    cross = places @ centres.T
    return np.maximum((places**2).sum(axis=1)[:, None] - 2 * cross + (centres**2).sum(axis=1), 0)


def kmeans(places: np.ndarray, k: int, seed: int) -> np.ndarray:
    """The best of five starts."""
    from sklearn.cluster import KMeans, MiniBatchKMeans

    kind = KMeans if len(places) < MINI_BATCH_FROM else MiniBatchKMeans
    return kind(k, n_init=5, random_state=seed).fit(places).cluster_centers_


def gaussian_mixture(places: np.ndarray, k: int, seed: int) -> np.ndarray:
    from sklearn.mixture import GaussianMixture

    found = GaussianMixture(k, covariance_type="diag", reg_covar=1e-3, random_state=seed).fit(places)
    return means(places, found.predict(places))


def agglomerative(places: np.ndarray, k: int, seed: int) -> np.ndarray:
    from sklearn.cluster import AgglomerativeClustering

    some = places[:WARD_CUSTOMERS]
    return means(some, AgglomerativeClustering(k, linkage="ward").fit_predict(some))


def hdbscan(places: np.ndarray, k: int, seed: int) -> np.ndarray:
    """As many clusters as the density shows, whatever ``k``; one centre if it shows none."""
    from sklearn.cluster import HDBSCAN

    least = max(10, int(HDBSCAN_SHARE * len(places)))
    labels = HDBSCAN(min_cluster_size=least, min_samples=10, copy=True).fit_predict(places)
    return means(places[labels >= 0], labels[labels >= 0]) if (labels >= 0).any() else places.mean(axis=0)[None]


FIND: dict[str, Find] = {
    "kmeans": kmeans,
    "gaussian_mixture": gaussian_mixture,
    "agglomerative": agglomerative,
    "hdbscan": hdbscan,
}
FINDS_ITS_NUMBER = ("hdbscan",)
"""Methods that find as many clusters as there are: run once."""


def settled(places: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Centres that Lloyd's iterations reach from ``start``, cluster for cluster."""
    from sklearn.cluster import KMeans

    return KMeans(len(start), init=start, n_init=1).fit(places).cluster_centers_


def means(places: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(labels, dimensions): the mean of each label's rows, by rising label."""
    return np.stack([places[labels == one].mean(axis=0) for one in np.unique(labels)])


def spread(places: np.ndarray, centres: np.ndarray) -> float:
    """Mean squared distance to the nearest centre."""
    return float(squared_distances(places, centres).min(axis=1).mean())
