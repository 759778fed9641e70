"""A map of customers: neighbours are alike to the model."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expectations.behaviour import FEATURE_NAMES
from ml.examples import Examples
from ml.plots.style import OTHERS, REFERENCE

MAP_ROWS = 800
"""Customers on the map, evenly spaced over the rows."""
STAGES = {
    "new": OTHERS[0],
    "one purchase": OTHERS[3],
    "repeat, in rhythm": OTHERS[1],
    "repeat, silent": REFERENCE,
}
"""Silent: the last purchase lies more than twice the customer's mean gap back."""


def stages(examples: Examples) -> np.ndarray:
    """(rows,): one of STAGES."""
    features = examples.inputs.features
    silent = features[:, FEATURE_NAMES.index("recency_days")] > 2 * features[:, FEATURE_NAMES.index("gap_mean_days")]
    stage = np.where(silent, "repeat, silent", "repeat, in rhythm")
    stratum = examples.inputs.stratum
    return np.where(stratum == "new", "new", np.where(stratum == "one_purchase", "one purchase", stage))


def project(embedding: np.ndarray, seed: int) -> np.ndarray:
    """(rows, 2): t-SNE; neighbours stay neighbours, distances between groups mean little."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    # Directions the model scales up are not more important to it than others.
    deviation = embedding.std(axis=0)
    standard = (embedding - embedding.mean(axis=0))[:, deviation > 1e-9] / deviation[deviation > 1e-9]
    width = min(30, *standard.shape)
    standard = PCA(width, random_state=seed).fit_transform(standard) if standard.shape[1] > width else standard
    perplexity = min(30.0, (len(standard) - 1) / 3)
    projection = TSNE(2, init="pca", perplexity=perplexity, max_iter=400, random_state=seed, n_jobs=1)
    return projection.fit_transform(standard.astype(np.float32))


def embedding_map(
    figure: Figure, axes: list[Axes], place: np.ndarray, stage: np.ndarray, shown: dict[str, np.ndarray]
) -> None:
    """The same map by stage and by each of ``shown``: what the colours mean → (rows,)."""
    for name, colour in STAGES.items():
        mine = stage == name
        if mine.any():
            axes[0].scatter(*place[mine].T, s=7, color=colour, linewidths=0, label=f"{name}: {mine.sum():,}")
    axes[0].set_title("stage at the cutoff")
    axes[0].legend(frameon=True, framealpha=0.8, fontsize=8, markerscale=2, loc="lower left")
    for one, (meaning, values) in zip(axes[1:], shown.items(), strict=True):
        drawn = one.scatter(*place.T, c=values, s=7, cmap="viridis", linewidths=0)
        figure.colorbar(drawn, ax=one, shrink=0.75)
        one.set_title(meaning)
    for one in axes:
        one.set(xticks=[], yticks=[], xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")


def chosen_rows(rows: int) -> np.ndarray:
    """At most MAP_ROWS row numbers, evenly spaced."""
    return np.unique(np.linspace(0, rows - 1, min(rows, MAP_ROWS)).astype(np.int64))
