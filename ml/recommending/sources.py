"""Where candidates come from: each source scores some products for each customer, as of a day.

repeat                personal frequency, purchases decayed with a half-life; Li, Jullien, Ariannezhad, de Rijke 2023
item_to_item          cosine of the customers who bought both; Sarwar, Karypis, Konstan, Riedl 2001
sequence              first-order Markov chain from basket to basket; Rendle, Freudenthaler, Schmidt-Thieme 2010
content               what sells best in the categories that the customer prefers
brand                 what sells best of the brands that the customer prefers
text                  cosine of the words of products' names and of what the customer bought; Pazzani, Billsus 2007
matrix_factorisation  truncated singular value decomposition; Koren, Bell, Volinsky 2009
popular               share of recent baskets: the same for everybody
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack

from ml.ranking.baskets import Baskets
from ml.ranking.facts import Facts, item_facts
from ml.recommending.strongest import dense, strongest, without_diagonal
from ml.recommending.wares import Wares

CHUNK = 4_096
"""Customers whose scores of all learnt items are in memory at a time."""
SOURCES = ("repeat", "item_to_item", "sequence", "content", "brand", "text", "matrix_factorisation", "popular")


@dataclass(frozen=True)
class SourceSettings:
    """taken        candidates of each source and customer
    half_life_days  after so many days a purchase counts half
    neighbours    products that item_to_item and sequence keep of each product
    least_buyers  customers who must have bought a product for the sources that learn from others
    learnt_items  products, the most bought, that the sources that learn from others speak of
    groups        categories and brands of a customer that content and brand look at, the most bought
    factors       of the decomposition
    seed          of the decomposition's first guess
    """

    taken: int = 40
    half_life_days: float = 60.0
    neighbours: int = 50
    least_buyers: int = 5
    learnt_items: int = 2_000
    groups: int = 10
    factors: int = 32
    seed: int = 0


@dataclass(frozen=True)
class Scene:
    """What every source reads: purchases seen by a day. What is learnt of all customers is made once, when asked for.

    weights  (customers, items) decayed purchases; last: (customers, items) 1 for the latest basket's
    learnt   (k,) items, rising, that sources which learn from others speak of
    """

    seen: Baskets
    facts: Facts
    weights: csr_matrix
    last: csr_matrix
    learnt: np.ndarray
    settings: SourceSettings
    wares: Wares

    @cached_property
    def bought(self) -> Baskets:
        return self.seen.purchases()

    @cached_property
    def habits(self) -> tuple[np.ndarray, np.ndarray]:
        """(customers,) baskets of each, and lines of a basket."""
        day = self.bought.customer.astype(np.int64) << 32 | self.bought.day
        baskets = np.bincount(np.unique(day) >> 32, minlength=self.weights.shape[0])
        return baskets, np.bincount(self.bought.customer, minlength=len(baskets)) / np.maximum(baskets, 1)

    @cached_property
    def own_days(self) -> tuple[np.ndarray, ...]:
        """(pairs, rising; last day, days, first day of each)."""
        pair = self.bought.pair
        start = np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]][: len(pair)])
        end = np.r_[start[1:], len(pair)][: len(start)]
        return pair[start], self.bought.day[end - 1] if len(start) else start, end - start, self.bought.day[start]

    @cached_property
    def near(self) -> csr_matrix:
        """(learnt, learnt) cosines, those of each product's neighbours."""
        return _near(self)

    @cached_property
    def following(self) -> csr_matrix:
        """(learnt, learnt) chance that a basket with the one is followed by one with the other."""
        return _following(self)

    @cached_property
    def item_factors(self) -> np.ndarray:
        return _item_factors(self)

    @classmethod
    def of(cls, baskets: Baskets, day: int, settings: SourceSettings, wares: Wares | None = None) -> "Scene":
        """No purchase that arrived after ``day`` is looked at. ``wares``: of the items; unknown if not given."""
        seen = baskets.as_of(day)
        bought = seen.purchases()
        shape = len(baskets.customer_keys), len(baskets.items)
        weight = 0.5 ** ((day - bought.day) / settings.half_life_days)
        weights = csr_matrix((weight, (bought.customer, bought.item)), shape=shape)
        latest = np.full(shape[0], -1)
        np.maximum.at(latest, bought.customer, bought.day)
        now = bought.day == latest[bought.customer]
        last = csr_matrix((np.ones(now.sum()), (bought.customer[now], bought.item[now])), shape=shape)
        last.data[:] = 1
        buyers = np.bincount(weights.indices, minlength=shape[1])
        known = np.flatnonzero(buyers >= settings.least_buyers)
        learnt = np.sort(known[np.argsort(-buyers[known], kind="stable")[: settings.learnt_items]])
        wares = wares or Wares.unknown(shape[1])
        return cls(seen, item_facts(seen, day), weights, last, learnt, settings, wares)


def repeat(scene: Scene, customers: np.ndarray) -> csr_matrix:
    totals = np.asarray(scene.weights[customers].sum(axis=1)).ravel()
    return (diags(1 / np.maximum(totals, 1e-12)) @ scene.weights[customers]).tocsr()


def item_to_item(scene: Scene, customers: np.ndarray) -> csr_matrix:
    return _learnt_strongest(scene.weights[customers][:, scene.learnt], scene.near, scene)


def _near(scene: Scene) -> csr_matrix:
    own = scene.weights[:, scene.learnt].sign()
    norm = diags(1 / np.sqrt(np.maximum(np.asarray(own.sum(axis=0)).ravel(), 1)))
    return strongest(without_diagonal((norm @ (own.T @ own) @ norm).tocsr()), scene.settings.neighbours)


def sequence(scene: Scene, customers: np.ndarray) -> csr_matrix:
    last = scene.last[customers][:, scene.learnt]
    sizes = np.maximum(np.asarray(last.sum(axis=1)).ravel(), 1)
    return _learnt_strongest((diags(1 / sizes) @ last).tocsr(), scene.following, scene)


def _following(scene: Scene) -> csr_matrix:
    before, after = _steps(scene)
    starts = np.asarray(before.sum(axis=0)).ravel()
    # Five steps that lead nowhere are added to each product's own: of few steps little is known.
    return strongest((diags(1 / (starts + 5)) @ (before.T @ after)).tocsr(), scene.settings.neighbours)


def _steps(scene: Scene) -> tuple[csr_matrix, csr_matrix]:
    """(steps, learnt items) each: baskets, and the same customers' next ones."""
    bought = scene.bought
    key = bought.customer.astype(np.int64) << 32 | bought.day
    baskets, basket = np.unique(key, return_inverse=True)
    place = np.full(len(scene.seen.items), -1)
    place[scene.learnt] = np.arange(len(scene.learnt))
    known = place[bought.item] >= 0
    held = csr_matrix(
        (np.ones(known.sum()), (basket[known], place[bought.item[known]])), shape=(len(baskets), len(scene.learnt))
    )
    follows = np.flatnonzero((baskets[1:] >> 32) == (baskets[:-1] >> 32)) if len(baskets) > 1 else np.array([], int)
    return held[follows], held[follows + 1]


def content(scene: Scene, customers: np.ndarray, among: np.ndarray | None = None) -> csr_matrix:
    """Share of the customer's purchases that the item's category has x the item's share of what it sells now.

    among: (items,) bool, the items to choose from; all that sell if not given.
    """
    return _best_sellers(scene, customers, scene.facts.group, len(scene.seen.groups), among)


def brand(scene: Scene, customers: np.ndarray) -> csr_matrix:
    """As content, of brands."""
    return _best_sellers(scene, customers, scene.wares.brand, scene.wares.brands)


def _best_sellers(
    scene: Scene, customers: np.ndarray, group: np.ndarray, groups: int, among: np.ndarray | None = None
) -> csr_matrix:
    """``group``: (items,) which of ``groups`` each item is of, -1: none."""
    sold = scene.facts.columns["buyers_28d"]
    offered = np.flatnonzero((group >= 0) & (sold > 0) & (True if among is None else among))
    total = np.bincount(group[offered], sold[offered], groups)
    best = strongest(
        csr_matrix((sold[offered] / total[group[offered]], (group[offered], offered)), (groups, len(group))),
        scene.settings.neighbours,
    )
    known = np.flatnonzero(group >= 0)
    into = csr_matrix((np.ones(len(known)), (known, group[known])), shape=(len(group), groups))
    return strongest((repeat(scene, customers) @ into).tocsr(), scene.settings.groups) @ best


def text(scene: Scene, customers: np.ndarray) -> csr_matrix:
    words = scene.wares.words
    return _learnt_strongest((repeat(scene, customers) @ words).tocsr(), words[scene.learnt].T.tocsc(), scene)


def matrix_factorisation(scene: Scene, customers: np.ndarray) -> csr_matrix:
    items = scene.item_factors
    known = scene.weights[customers][:, scene.learnt].log1p()
    # A vector's sign is chance; the product of two is not.
    return _learnt_strongest(csr_matrix(known @ items.T), items, scene)


def _item_factors(scene: Scene) -> np.ndarray:
    """(factors, learnt items); no factor where there is too little to decompose."""
    from scipy.sparse.linalg import svds

    known = scene.weights[:, scene.learnt].log1p()
    factors = min(scene.settings.factors, min(known.shape) - 1)
    if factors < 1 or not known.nnz:
        return np.zeros((0, len(scene.learnt)))
    start = np.random.default_rng(scene.settings.seed).standard_normal(min(known.shape))
    return svds(known, k=factors, v0=start)[2]


def popular(scene: Scene, customers: np.ndarray) -> csr_matrix:
    items = scene.facts.popular[: scene.settings.taken]
    share = scene.facts.columns["basket_share"][items]
    row = np.repeat(np.arange(len(customers)), len(items))
    shape = len(customers), len(scene.seen.items)
    return csr_matrix((np.tile(share, len(customers)), (row, np.tile(items, len(customers)))), shape=shape)


MAKERS: dict[str, Callable[..., csr_matrix]] = {
    "repeat": repeat, "item_to_item": item_to_item, "sequence": sequence, "content": content, "brand": brand,
    "text": text, "matrix_factorisation": matrix_factorisation, "popular": popular,
}  # fmt: skip


def scored(scene: Scene, name: str, customers: np.ndarray, *more: np.ndarray) -> csr_matrix:
    """(customers, items): the ``taken`` strongest of each customer, above 0; ``more``: what the source takes."""
    return strongest(MAKERS[name](scene, customers, *more).tocsr(), scene.settings.taken)


def _learnt_strongest(left: csr_matrix, right: csr_matrix | np.ndarray, scene: Scene) -> csr_matrix:
    """The strongest of ``left @ right`` (customers, learnt items), at their places among all items."""
    parts = [_dense_strongest(dense(left[n : n + CHUNK] @ right), scene) for n in range(0, left.shape[0], CHUNK)]
    return vstack(parts, format="csr") if parts else csr_matrix((0, len(scene.seen.items)))


def _dense_strongest(scores: np.ndarray, scene: Scene) -> csr_matrix:
    n, shape = min(scene.settings.taken, scores.shape[1]), (len(scores), len(scene.seen.items))
    if not n:
        return csr_matrix(shape)
    some = np.argpartition(-scores, n - 1, axis=1)[:, :n]
    row, values = np.repeat(np.arange(len(scores)), n), np.take_along_axis(scores, some, axis=1).ravel()
    return csr_matrix((values, (row, scene.learnt[some.ravel()])), shape=shape)
