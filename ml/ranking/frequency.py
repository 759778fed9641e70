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
    "count", *(f"decayed_{days}d" for days in HALF_LIVES), *(f"basket_decayed_{decay}" for decay in BASKET_DECAYS)
)  # fmt: skip
"""What personal frequency can be counted by: each purchase as one, or less the older it is."""
TIE = 1e-6
"""Of equally frequent items the more popular comes first, and popular items fill up a list."""


def popularity(found: Candidates) -> np.ndarray:
    """(rows,) the same order for everybody: share of recent baskets."""
    return found["item_basket_share"].astype(np.float64)


def personal_frequency(found: Candidates, counted_by: str) -> np.ndarray:
    """(rows,) times bought, ``counted_by`` one of FREQUENCIES; then popularity."""
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
    score = np.empty(len(found.item))
    bounds = np.searchsorted(found.customer, np.arange(len(squares) + 1))
    near = min(settings.neighbours, len(squares) - 1)
    for customer in np.flatnonzero(np.diff(bounds)):
        rows = slice(bounds[customer], bounds[customer + 1])
        distance = squares - 2 * np.asarray((own @ own[customer].T).todense()).ravel()
        distance[customer] = np.inf
        nearest = np.argpartition(distance, near - 1)[:near] if near else np.zeros(0, np.int64)
        mean = np.asarray(own[nearest].sum(axis=0)).ravel() / max(near, 1)
        mine = np.asarray(own[customer].todense()).ravel()
        score[rows] = (settings.alpha * mine + (1 - settings.alpha) * mean)[found.item[rows]]
    return score
