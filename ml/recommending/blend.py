"""How sources are blended: a boosting over their scores, learnt on what was bought after an earlier day, judged on
customers it has not seen, and shipped only where it beats personal frequency.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from ml.ranking.baskets import Baskets, Targets, is_member, next_baskets
from ml.ranking.judging import judge, mean_interval, top
from ml.recommending.candidates import Offered, offered
from ml.recommending.sources import SOURCES, Scene, SourceSettings
from ml.recommending.wares import Wares

FREQUENCY, BLEND = "personal_frequency", "blend"
NOT_BOUGHT = 5
LEAST_JUDGED = 50
"""Customers with a next basket, in each of two halves, below which nothing is learnt: personal frequency ships."""


@dataclass(frozen=True)
class Row:
    """How one ranking did on the judged customers: (value, low, high) of its recall and of its gain over frequency.

    coverage: share of the products on offer in somebody's list; novelty: mean -log2 of the share of customers who
    bought the product (bits; Zhou et al. 2010); repeat_share: of the places listed, those bought before.
    """

    ranking: str
    recall: tuple[float, float, float]
    gain: tuple[float, float, float]
    coverage: float
    novelty: float
    repeat_share: float


@dataclass(frozen=True)
class Blend:
    """``model`` None: too little to learn from. ``ships``: BLEND or FREQUENCY."""

    model: HistGradientBoostingClassifier | None
    ships: str
    rows: tuple[Row, ...]

    def probability(self, found: Offered) -> np.ndarray:
        """(rows,) that the item is in the next basket, given that one comes within the window; NaN without a model."""
        return np.full(len(found.item), np.nan) if self.model is None else chance(self.model, found.features)

    def order(self, found: Offered) -> np.ndarray:
        """(rows,) the higher, the sooner shown."""
        return self.probability(found) if self.ships == BLEND else frequency(found)


def frequency(found: Offered) -> np.ndarray:
    """Personal frequency, then popularity: what any blend has to beat."""
    return found["repeat_score"] + 1e-6 * found["basket_share"]


def learn(
    baskets: Baskets, day: int, horizon_days: int, places: int, most: int, settings: SourceSettings,
    wares: Wares | None = None, seed: int = 0,
) -> Blend:  # fmt: skip
    """A blend learnt on the ``horizon_days`` up to ``day``; nothing later is looked at.

    most: customers to learn from and to judge on, the first by their hashed keys.
    Judged across halves of the customers, each by a blend that has not seen it; what ships has learnt from both.
    """
    start = day - horizon_days
    scene = Scene.of(baskets, start, settings, wares)
    targets = next_baskets(baskets, start, horizon_days)
    bought_before = np.flatnonzero(np.diff(scene.weights.indptr))
    judged = np.intersect1d(targets.customers, bought_before)[:most]
    if len(judged) < 2 * LEAST_JUDGED:
        return Blend(None, FREQUENCY, ())
    found = offered(scene, judged, start)
    label = _labels(found, judged, targets)
    rows = _judged(_by_others(found, label, seed), found, judged, targets, scene, places, seed)
    gain = next(row.gain for row in rows if row.ranking == BLEND)
    return Blend(_fitted(found, np.ones(len(label), bool), label, seed), BLEND if gain[1] > 0 else FREQUENCY, rows)


def _by_others(found: Offered, label: np.ndarray, seed: int) -> np.ndarray:
    """(rows,) probability by a blend that learnt from the other half of the customers.

    Every second one is of the first half; they stand in the order of their hashed keys.
    """
    told, first = np.empty(len(label)), found.customer % 2 == 0
    for half in (first, ~first):
        told[half] = chance(_fitted(found, ~half, label, seed), found.features[half])
    return told


def _fitted(found: Offered, rows: np.ndarray, label: np.ndarray, seed: int) -> HistGradientBoostingClassifier:
    """Learns from ``rows`` (a mask): all that was bought, and of the many that was not one in NOT_BOUGHT."""
    kept = np.flatnonzero(rows & (label | ((found.customer + found.item) % NOT_BOUGHT == 0)))
    model = HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=15, min_samples_leaf=20, l2_regularization=2.0, random_state=seed,
        early_stopping=False,
    )  # fmt: skip
    return model.fit(found.features[kept], label[kept])


def chance(model: HistGradientBoostingClassifier, features: np.ndarray) -> np.ndarray:
    """(rows,) probability where all counts that was not bought: its odds are those among the kept by NOT_BOUGHT less.

    King, Zeng 2001. Weights would say the same, but binning weighted columns takes longer than all the trees.
    """
    likely = model.predict_proba(features)[:, 1]
    return likely / (likely + NOT_BOUGHT * (1 - likely))


def _labels(found: Offered, customers: np.ndarray, targets: Targets) -> np.ndarray:
    return targets.holds(customers[found.customer].astype(np.int64) * targets.items + found.item)


def _judged(
    blended: np.ndarray, found: Offered, customers: np.ndarray, targets: Targets, scene: Scene,
    places: int, seed: int,
) -> tuple[Row, ...]:  # fmt: skip
    """One row a ranking that lists anything: the blend, personal frequency, and every source alone."""
    orders = {BLEND: blended, FREQUENCY: frequency(found)}
    orders |= {name: found[f"{name}_score"] for name in SOURCES}
    buyers = np.diff(scene.weights.tocsc().indptr) / max((np.diff(scene.weights.indptr) > 0).sum(), 1)
    on_offer = int((buyers > 0).sum())
    owned = np.sort(_owned_pairs(scene, targets.items))
    lists = {name: _lists(order, found, customers, targets.items, places) for name, order in orders.items()}
    lists = {name: pairs for name, pairs in lists.items() if len(pairs)}
    judged = {name: judge(pairs, targets, owned, customers, on_offer, places) for name, pairs in lists.items()}
    base = judged[FREQUENCY].values["recall"]
    return tuple(
        Row(
            ranking=name,
            recall=mean_interval([judged[name].values["recall"]], [customers], seed),
            gain=mean_interval([judged[name].values["recall"] - base], [customers], seed),
            coverage=judged[name].coverage,
            novelty=float(np.mean(-np.log2(np.maximum(buyers[pairs % targets.items], 1e-9)))),
            repeat_share=float(is_member(owned, pairs).mean()),
        )
        for name, pairs in lists.items()
    )


def _owned_pairs(scene: Scene, items: int) -> np.ndarray:
    row = np.repeat(np.arange(scene.weights.shape[0]), np.diff(scene.weights.indptr))
    return row.astype(np.int64) * items + scene.weights.indices


def _lists(order: np.ndarray, found: Offered, customers: np.ndarray, items: int, places: int) -> np.ndarray:
    """Pairs listed, by customer, best first; what a ranking has nothing to say of is not listed."""
    best = top(found.customer, order, places)
    best = best[order[best] > 0]
    return customers[found.customer[best]].astype(np.int64) * items + found.item[best]
