"""Maps of customers, coloured by behaviour cluster: two ways to flatten the space that clusters are found in."""

from pathlib import Path

import numpy as np

from ml.plots.style import MODEL, OTHERS, REFERENCE, new_figure, save
from ml.threads import one_thread

MAP_CUSTOMERS = 4_000
"""Customers on a map: of more, dots hide one another."""
COLOURS = (MODEL, *OTHERS, REFERENCE, "#65a30d", "#7c2d12", "#0f172a")
"""By cluster id, so that a cluster keeps its colour."""


def distinct(places: np.ndarray) -> np.ndarray:
    """Row numbers without those of customers nearly equal to one drawn already: equals would be islands, far out."""
    _, first = np.unique(places.round(1), axis=0, return_index=True)
    return np.sort(first)


def tsne(places: np.ndarray, seed: int) -> np.ndarray:
    """(rows, 2): t-SNE (van der Maaten, Hinton 2008); neighbours stay so, distances between groups mean little."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(places) - 1) / 3)
    found = TSNE(2, init="pca", perplexity=perplexity, max_iter=500, random_state=seed, n_jobs=1)
    with one_thread():
        return found.fit_transform(places.astype(np.float32))


def umap(places: np.ndarray, seed: int) -> np.ndarray:
    """(rows, 2): UMAP (McInnes, Healy, Melville 2018); says a little more of which groups lie near one another."""
    from umap import UMAP

    found = UMAP(n_neighbors=min(30, len(places) - 1), init="pca", random_state=seed, n_jobs=1)
    with one_thread():
        return found.fit_transform(places.astype(np.float32))


FLATTEN = {"umap": umap, "tsne": tsne}
NAMES = {"umap": "UMAP", "tsne": "t-SNE"}


def draw(kind: str, flat: np.ndarray, ids: np.ndarray, shares: dict[int, float], title: str, file: Path) -> None:
    """Writes the picture. ``flat``: (rows, 2); ``ids``: (rows,) clusters; ``shares``: id → its share of everybody."""
    figure, (axes,) = new_figure(width=7.4)
    for one, share in sorted(shares.items()):
        mine = flat[ids == one]
        colour = COLOURS[(one - 1) % len(COLOURS)]
        axes.scatter(*mine.T, s=6, color=colour, linewidths=0, label=f"cluster {one}: {share:.0%}")
    axes.legend(frameon=False, fontsize=8, markerscale=2.5, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set(xticks=[], yticks=[], xlabel=f"{NAMES[kind]} 1 (no unit)", ylabel=f"{NAMES[kind]} 2 (no unit)")
    save(figure, file, title)
