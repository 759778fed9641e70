"""Rankings without learning: popularity, personal frequency, personal frequency with decay, TIFU-KNN.

Personal frequency is hard to beat: Li, Jullien, Ariannezhad, de Rijke 2023, "A Next Basket Recommendation Reality
Check". TIFU-KNN: Hu, He, Gao, Zhang 2020, "Modeling Personalized Item Frequency Information for Next-basket
Recommendation".
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from ml.ranking.baskets import Baskets
from ml.ranking.candidates import BASKET_DECAYS, HALF_LIVES, Candidates

FREQUENCIES = (
    "share",
    *(f"share_{days}d" for days in HALF_LIVES),
    *(f"basket_share_{decay}" for decay in BASKET_DECAYS),
)
"""Personal frequency is the share of the customer's baskets that held the item; each basket counts as one, or for less
the older it is."""
TIE = 1e-6
"""Of equally frequent items the more popular comes first, and popular items fill up a list."""
TIFU_CHUNK = 256
"""Customers whose distances to all others are in memory at a time."""


def popularity(found: Candidates) -> np.ndarray:
    """(rows,) the same order for everybody: share of recent baskets."""
    return found["item_basket_share"].astype(np.float64)


def personal_frequency(found: Candidates, counted_by: str) -> np.ndarray:
    """(rows,) share of baskets, ``counted_by`` one of FREQUENCIES; then popularity."""
    return found[counted_by].astype(np.float64) + TIE * popularity(found)


@dataclass(frozen=True)
class Tifu:
    """basket_decay   of each basket within a group; group_decay: of each group of baskets
    group_size     baskets of a group
    neighbours     customers like oneself, whose mean is added
    alpha          share of oneself
    """

    basket_decay: float = 0.9
    group_decay: float = 0.7
    group_size: int = 7
    neighbours: int = 300
    alpha: float = 0.7


def customer_vectors(seen: Baskets, settings: Tifu) -> csr_matrix:
    """(customers, items) temporal frequency of each item: the mean over groups of decayed means over baskets."""
    bought = seen.purchases()
    key = bought.customer.astype(np.int64) << 32 | bought.day
    baskets, basket = np.unique(key, return_inverse=True)
    ends = np.searchsorted(baskets >> 32, np.arange(len(seen.customer_keys)), side="right")
    starts = np.r_[0, ends[:-1]]
    owner = baskets >> 32
    rank = ends[owner] - 1 - np.arange(len(baskets))
    group, within = rank // settings.group_size, rank % settings.group_size
    total = (ends - starts)[owner]
    groups = -(-total // settings.group_size)
    in_group = np.minimum(settings.group_size, total - group * settings.group_size)
    weight = settings.basket_decay**within / in_group * settings.group_decay**group / groups
    shape = len(seen.customer_keys), len(seen.items)
    return csr_matrix((weight[basket], (bought.customer, bought.item)), shape=shape)


def tifu_knn(seen: Baskets, found: Candidates, settings: Tifu = Tifu()) -> np.ndarray:
    """(rows,) alpha x the customer's own vector + (1 - alpha) x the mean of the nearest ones', by Euclid."""
    own = customer_vectors(seen, settings)
    squares = np.asarray(own.multiply(own).sum(axis=1)).ravel()
    near = min(settings.neighbours, len(squares) - 1)
    bounds = np.searchsorted(found.customer, np.arange(len(squares) + 1))
    score = np.empty(len(found.item))
    for first in range(0, len(squares), TIFU_CHUNK):
        mine = np.arange(first, min(first + TIFU_CHUNK, len(squares)))
        distance = squares - 2 * (own[mine] @ own.T).toarray()
        distance[np.arange(len(mine)), mine] = np.inf
        nearest = np.argpartition(distance, near - 1, axis=1)[:, :near] if near else np.zeros((len(mine), 0), int)
        places = np.repeat(np.arange(len(mine)), near), nearest.ravel()
        mean = csr_matrix((np.full(nearest.size, 1 / max(near, 1)), places), shape=distance.shape) @ own
        blend = (settings.alpha * own[mine] + (1 - settings.alpha) * mean).toarray()
        rows = slice(bounds[mine[0]], bounds[mine[-1] + 1])
        score[rows] = blend[found.customer[rows] - first, found.item[rows]]
    return score
