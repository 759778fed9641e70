"""How good rankings are: recall, NDCG, hit rate and coverage of the first n, and what of it is repeat or explore."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from ml.comparing.resamples import Resamples, interval
from ml.ranked_sums import weighted_mean
from ml.ranking.baskets import Targets, is_member

RESAMPLES = 1000
METRICS = ("recall", "ndcg", "hit_rate", "recall_repeat", "recall_explore")


@dataclass(frozen=True)
class Judged:
    """customers  (judged,) places of those with a next basket
    values     one of METRICS → (judged,) float64; NaN where a basket holds nothing of the kind
    coverage   share of the items on offer that stand in somebody's list
    """

    customers: np.ndarray
    values: dict[str, np.ndarray]
    coverage: float


def top(customer: np.ndarray, score: np.ndarray, n: int) -> np.ndarray:
    """Places of each customer's ``n`` highest scores, by customer, best first; of equals the earlier row."""
    order = np.lexsort((np.arange(len(score)), -score, customer))
    return order[_rank(customer[order]) < n]


def judge(lists: np.ndarray, targets: Targets, owned: np.ndarray, judged: np.ndarray, on_offer: int, n: int) -> Judged:
    """``lists``: (rows,) pairs recommended, by customer, best first, at most n each. ``owned``: sorted pairs bought.

    recall: share of the basket among the first n. ndcg: binary gains, over those of the best order possible.
    recall_repeat, recall_explore: recall of what was, and what was not, bought before. on_offer: items, for coverage.
    """
    size, owner = len(targets.sizes), lists // targets.items
    hit, known = targets.holds(lists), is_member(owned, lists)
    repeats = np.bincount(targets.pairs // targets.items, is_member(owned, targets.pairs), size)
    best = np.r_[0, np.cumsum(1 / np.log2(np.arange(n) + 2))][np.minimum(targets.sizes, n)]
    hits = np.bincount(owner, hit, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = {
            "recall": hits / targets.sizes,
            "ndcg": np.bincount(owner, hit / np.log2(_rank(owner) + 2), size) / best,
            "hit_rate": (hits > 0).astype(np.float64),
            "recall_repeat": np.bincount(owner, hit & known, size) / repeats,
            "recall_explore": np.bincount(owner, hit & ~known, size) / (targets.sizes - repeats),
        }
    shown = np.unique(lists[np.isin(owner, judged)] % targets.items)
    return Judged(judged, {name: value[judged] for name, value in values.items()}, len(shown) / max(on_offer, 1))


def mean_interval(values: list[np.ndarray], customers: list[np.ndarray], seed: int) -> tuple[float, float, float]:
    """(mean over cutoffs of means, low, high): 95 % over resampled customers, each with all their cutoffs."""
    known = [np.isfinite(part) for part in values]
    kept = [(who[ok], value[ok]) for who, value, ok in zip(customers, values, known, strict=True) if ok.any()]
    if not kept:
        return np.nan, np.nan, np.nan
    draws = Resamples.of(tuple(who for who, _ in kept), RESAMPLES, seed)
    means = [draws.replicates(partial(weighted_mean, value), n) for n, (_, value) in enumerate(kept)]
    whole = np.mean(means, axis=0)
    return float(whole[0]), *interval(whole)


def _rank(owner: np.ndarray) -> np.ndarray:
    """0, 1, … within each run of equals."""
    start = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]][: len(owner)])
    return np.arange(len(owner)) - np.repeat(start, np.diff(np.r_[start, len(owner)]))
