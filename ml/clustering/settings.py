"""What decides a cluster. Section ``cluster`` of settings.yaml."""

from dataclasses import dataclass

METHODS = ("kmeans", "gaussian_mixture", "agglomerative", "hdbscan")

DESCRIPTIONS = {
    "least_customers": ("customers", "with fewer, all are one cluster"),
    "sample_customers": ("customers", "clusters are fitted on at most so many, drawn by a keyed hash"),
    "judged_customers": ("customers", "of those, so many choose the number of clusters and judge it"),
    "fewest_clusters": ("clusters", "smallest number tried"),
    "most_clusters": ("clusters", "largest number tried"),
    "resamples": ("fits", "bootstrap fits behind stability and the silhouette's standard error"),
    "least_stability": ("adjusted Rand index", "a number of clusters less stable than this is not chosen"),
    "refit_days": ("days", "a fit older than this is made again"),
    "switch_gain": ("silhouette", "a refit gives up the old clusters for others if those are better by as much"),
    "settle_gain": ("share", "old centres go further than to the mean of today's customers of theirs if the spread "
                    "falls by as much"),
    "new_kind_gain": ("share", "a refit adds a cluster if one more would explain so much more of the spread than it "
                      "would have at the fit before"),
    "least_overlap": ("share", "a new cluster takes an old id if customers of both are this share of those of either"),
    "moved_from": ("share", "a cluster has moved if its centre has, by this share of the customers' root mean square "
                   "distance to their centres"),
    "rescale_from": ("share", "a refit measures in new units if the standard deviations of what is measured have "
                     "changed by this share, in the geometric mean"),
    "prior_events": ("events", "a customer's ratio counts like this many events at the usual value and its own beside"),
    "embedding_weight": ("ratio", "variance of the model's embedding / that of the aggregates; 0 leaves it out"),
    "embedding_parts": ("components", "principal components of the embedding that are kept"),
    "seed": ("number", "of the draw of customers and of every fit"),
}  # fmt: skip
"""Setting → (unit, meaning)."""


@dataclass(frozen=True)
class ClusterSettings:
    """``method`` is one of METHODS; meaning and unit of the others stand in DESCRIPTIONS."""

    method: str = "kmeans"
    least_customers: int = 200
    sample_customers: int = 20_000
    judged_customers: int = 3_000
    fewest_clusters: int = 3
    most_clusters: int = 10
    resamples: int = 8
    least_stability: float = 0.75
    refit_days: int = 28
    switch_gain: float = 0.05
    settle_gain: float = 0.01
    new_kind_gain: float = 0.01
    least_overlap: float = 0.25
    moved_from: float = 0.25
    rescale_from: float = 0.25
    prior_events: float = 5.0
    embedding_weight: float = 0.5
    embedding_parts: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, found {self.method!r}")
        if not 2 <= self.fewest_clusters <= self.most_clusters:
            raise ValueError(
                f"fewest_clusters ({self.fewest_clusters}) must be 2 or more and at most most_clusters "
                f"({self.most_clusters})"
            )
        if self.least_customers < 10 * self.most_clusters:
            raise ValueError(f"least_customers must be 10 x most_clusters ({10 * self.most_clusters}) or more")
        if not (self.resamples >= 2 and self.refit_days >= 1 and self.embedding_parts >= 1):
            raise ValueError("resamples must be 2 or more, refit_days and embedding_parts 1 or more")
        if not self.least_customers <= self.judged_customers <= self.sample_customers:
            raise ValueError("least_customers <= judged_customers <= sample_customers must hold")
