"""Which new cluster is which old one."""

import numpy as np

from ml.clustering.fit import Fit


def matched_ids(
    old: np.ndarray | None, labels: np.ndarray, clusters: int, before: Fit | None, least_overlap: float
) -> tuple[list[int], int]:
    """(id of each new cluster, first id never given): the assignment (Kuhn 1955) with the largest overlap.

    Overlap is Jaccard's: customers of both / customers of either. Who overlaps less than ``least_overlap`` gets an id
    never given before. ``old``: (rows,) ids by ``before``; ``labels``: (rows,) 0 … clusters - 1, of the same customers.
    """
    if old is None or before is None:
        return list(range(1, clusters + 1)), clusters + 1
    from scipy.optimize import linear_sum_assignment

    known = np.array(before.ids)
    of_old, of_new = old[:, None] == known, labels[:, None] == np.arange(clusters)
    both = of_old.T.astype(np.int64) @ of_new
    either = of_old.sum(axis=0)[:, None] + of_new.sum(axis=0) - both
    overlap = both / np.maximum(either, 1)
    pairs = zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
    taken = {int(new): int(known[n]) for n, new in pairs if overlap[n, new] >= least_overlap}
    unused = iter(range(before.next_id, before.next_id + clusters))
    ids = [taken[n] if n in taken else next(unused) for n in range(clusters)]
    return ids, max(before.next_id, max(ids) + 1)


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985) of two assignments of the same customers: 1 if equal."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, other))
