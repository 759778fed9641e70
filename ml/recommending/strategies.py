"""What a segment is shown: the likeliest products, or with places kept for new arrivals, dear ones, or what all buy."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from ml.ranking.facts import POPULAR_DAYS
from ml.ranking.judging import top
from ml.recommending.blend import Blend
from ml.recommending.candidates import Offered
from ml.recommending.sources import SOURCES, Scene, scored

STRATEGIES = {
    "likeliest": "the products that the customer is likeliest to buy next: no other list has the higher recall",
    "repeat": "what the customer has bought before, then the likeliest",
    "new_arrivals": "the likeliest, every third place kept for what is new in the customer's categories",
    "premium": "the likeliest, every third place kept for the dearest of the customer's categories",
    "popular": "what everybody buys",
}
EVERY = 3
NEW_DAYS = 28
"""A product is new for so long after the shop first sold it, where it has sold others for longer."""
PREMIUM_RANK = 0.8
"""A product is dear from this quantile of the prices of its category on."""


@dataclass(frozen=True)
class Lists:
    """By customer, then rank; (rows,) each. ``customer``: places among those asked for, ``item``: places of items.

    probability  NaN of what no model told of: all without one, and the places that a strategy keeps
    """

    customer: np.ndarray
    rank: np.ndarray
    item: np.ndarray
    probability: np.ndarray
    reason: np.ndarray
    owned: np.ndarray


def lists(
    scene: Scene, blend: Blend, found: Offered, customers: np.ndarray, strategy: np.ndarray, places: int
) -> Lists:
    """At most ``places`` products each. ``strategy``: (customers,) names of STRATEGIES."""
    order, chance = blend.order(found), blend.probability(found)
    mine = strategy[found.customer]
    # Scales of a strategy lie above any order within it.
    lifted = np.where((mine == "repeat") & found.owned, order + 10, order)
    lifted = np.where(mine == "popular", found["popular_score"], lifted)
    lifted = np.where((mine == "popular") & (found["popular_score"] == 0), -1, lifted)
    best = top(found.customer, lifted, places)
    best = best[lifted[best] >= 0]
    table = np.column_stack([found.customer[best], found.item[best]]), chance[best], reasons(found)[best]
    rows = {who: [] for who in range(len(customers))}
    for (who, item), likely, why, owned in zip(*table, found.owned[best], strict=True):
        rows[who].append((int(item), float(likely), str(why), bool(owned)))
    for name, reason, among in (("new_arrivals", "new_arrival", is_new), ("premium", "premium", is_premium)):
        chosen = np.flatnonzero(strategy == name)
        if len(chosen):
            extra = scored(scene, "content", customers[chosen], among(scene))
            extra = extra - extra.multiply(scene.weights[customers[chosen]].sign())  # what they have not bought
            _keep_places(rows, chosen, extra, reason, places)
    return _flat(rows)


def reasons(found: Offered) -> np.ndarray:
    """(rows,) the source that speaks most for each: repeat for what is owned, else the one that ranks it highest."""
    others = SOURCES[1:]
    ranked = np.column_stack([found[f"{name}_place"] for name in others])
    return np.where(found.owned, "repeat", np.array(others)[ranked.argmax(axis=1)])


def is_new(scene: Scene) -> np.ndarray:
    """(items,) bool: first bought within NEW_DAYS, in a shop that has sold for twice as long."""
    bought = scene.bought
    if not len(bought):
        return np.zeros(len(scene.seen.items), bool)
    last = int(bought.day.max())
    first = np.full(len(scene.seen.items), last + 1)
    np.minimum.at(first, bought.item, bought.day)
    return (first > last - NEW_DAYS) & (first <= last) & (bought.day.min() <= last - POPULAR_DAYS)


def is_premium(scene: Scene) -> np.ndarray:
    """(items,) bool: among the dearest fifth of its category's products."""
    price, group = scene.facts.columns["price"], scene.facts.group
    known = np.flatnonzero((group >= 0) & (price > 0))
    order = known[np.lexsort((price[known], group[known]))]
    start = np.searchsorted(group[order], group[order])
    size = np.bincount(group[order], minlength=len(scene.seen.groups))[group[order]]
    found = np.zeros(len(price), bool)
    found[order] = (np.arange(len(order)) - start + 1) / size >= PREMIUM_RANK
    return found


def _keep_places(
    rows: dict[int, list], chosen: np.ndarray, extra: csr_matrix, reason: str, places: int
) -> None:  # fmt: skip
    """Puts the strongest of ``extra`` at every third place."""
    for n, who in enumerate(chosen):
        items = extra.indices[extra.indptr[n] : extra.indptr[n + 1]]
        strength = extra.data[extra.indptr[n] : extra.indptr[n + 1]]
        fresh = items[np.lexsort((items, -strength))][: places // EVERY].tolist()
        rows[who] = [row for row in rows[who] if row[0] not in fresh]
        for place, item in zip(range(EVERY - 1, places, EVERY), fresh, strict=False):
            rows[who].insert(place, (item, np.nan, reason, False))
        rows[who] = rows[who][:places]


def _flat(rows: dict[int, list]) -> Lists:
    flat = [(who, rank, *row) for who, listed in rows.items() for rank, row in enumerate(listed, start=1)]
    columns = list(zip(*flat, strict=True)) if flat else [()] * 6
    kinds = (np.int64, np.int32, np.int64, np.float64, object, bool)
    return Lists(*(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)))
