"""What matrix factorisation is good for on a shop: recommendations against popularity, and inputs of the model."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np

from ml.baselines import BASELINES
from ml.dataset import HORIZON_DAYS, Examples, examples
from ml.evaluate import bootstrap_interval, paired_gain
from ml.home import HomePath
from ml.interactions import Interactions, bought_after, place_of, read_interactions
from ml.matrix_factors import Factors

TOP = 10
"""Products that are recommended to a customer."""


@dataclass(frozen=True)
class Recall:
    """Mean share of what a customer bought in the window that stood among TOP recommendations (of at most TOP).

    ``gain``: over popularity, on the same customers, with its 95 % interval.
    """

    recall: float
    gain: tuple[float, float, float]


def recommendation_recalls(factors: Factors, cutoff: date, seed: int, home: HomePath = None) -> dict[str, Recall]:
    """Recall of the HORIZON_DAYS after ``cutoff``, of customers who wanted something before and bought in them.

    Recommender → recall: popularity (the same products for everybody), own_history (what the customer wanted most,
    then popularity), factors. ``…_new``: of products, and among products, that the customer had not wanted before.
    """
    seen = read_interactions(cutoff, factors.settings.history_days, home)
    after = bought_after(cutoff, HORIZON_DAYS, home)
    customers = np.flatnonzero(place_of(after.customer_keys, seen.customer_keys) >= 0)
    bought = _bought(seen, after, customers)
    known = [set(_row(seen, customer)) for customer in customers]
    new = [some - had for some, had in zip(bought, known, strict=True)]
    popular = np.argsort(-seen.weights.getnnz(axis=0), kind="stable")
    lists = {
        "popularity": [popular[:TOP]] * len(customers),
        "own_history": [_own(seen, customer, popular) for customer in customers],
        "factors": _recommended(factors, seen, customers, new_only=False),
    }
    found = _judged(lists, bought, seed)
    lists = {
        "popularity_new": [_without(popular, had) for had in known],
        "factors_new": _recommended(factors, seen, customers, new_only=True),
    }
    return found | _judged(lists, new, seed)


def _bought(seen: Interactions, after: Interactions, customers: np.ndarray) -> list[set[int]]:
    """What each bought, as columns of ``seen``; products nobody wanted before have numbers of their own."""
    places = place_of(seen.product_ids, after.product_ids)
    places = np.where(places >= 0, places, len(seen.product_ids) + np.arange(len(places)))
    rows = place_of(after.customer_keys, seen.customer_keys[customers])
    return [set(places[_row(after, row)].tolist()) for row in rows]


def _row(seen: Interactions, customer: int) -> list[int]:
    start, end = seen.weights.indptr[customer : customer + 2]
    return seen.weights.indices[start:end].tolist()


def _own(seen: Interactions, customer: int, popular: np.ndarray) -> list[int]:
    start, end = seen.weights.indptr[customer : customer + 2]
    had, weight = seen.weights.indices[start:end], seen.weights.data[start:end]
    rank = np.empty(len(popular), np.int64)
    rank[popular] = np.arange(len(popular))
    wanted = had[np.lexsort((rank[had], -weight))][:TOP].tolist()
    return wanted + _without(popular, set(wanted))[: TOP - len(wanted)]


def _without(popular: np.ndarray, had: set[int]) -> list[int]:
    return [product for product in popular[: TOP + len(had)].tolist() if product not in had][:TOP]


def _recommended(factors: Factors, seen: Interactions, customers: np.ndarray, new_only: bool) -> list[np.ndarray]:
    ids, _ = factors.recommend(seen, customers, TOP, new_only)
    return list(place_of(seen.product_ids, ids.ravel()).reshape(ids.shape))


def _judged(lists: dict[str, list], bought: list[set[int]], seed: int) -> dict[str, Recall]:
    """Recall of each recommender, over those who bought something that counts; the first is what gains are over."""
    counted = [n for n, some in enumerate(bought) if some]
    values = {
        name: np.array([len(bought[n] & {*map(int, chosen[n])}) / min(TOP, len(bought[n])) for n in counted])
        for name, chosen in lists.items()
    }
    first = next(iter(values.values()))
    return {
        name: Recall(v.mean(), ((v - first).mean(), *bootstrap_interval(_mean_gain, v, first, seed)))
        for name, v in values.items()
    }


def _mean_gain(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float((ours - theirs).mean())


def gain_as_inputs(
    factors: Factors, cutoffs: tuple[date, ...], seed: int, home: HomePath = None
) -> tuple[float, float, float]:
    """Test AUC of gradient boosting with customers' factors beside the features, less that without: (gain, low, high).

    ``cutoffs``: test, validation, training ones, as of Splits. Paired: both are tested on the same resampled customers.
    """
    test, _, *train = cutoffs
    without, beside = [], []
    for days in (train, [test]):
        parts = [(examples([day], home), customer_factors(factors, day, home)) for day in sorted(days)]
        keys, features, is_buyer, spend = (
            np.concatenate([getattr(part, name) for part, _ in parts])
            for name in ("customer_keys", "features", "is_buyer", "spend")
        )
        without.append(Examples(keys, features, is_buyer, spend))
        columns = np.concatenate([of_day(part.customer_keys) for part, of_day in parts])
        beside.append(Examples(keys, np.hstack([features, columns]), is_buyer, spend))
    predicted = [_boosted(train, test.features, seed) for train, test in (beside, without)]
    return paired_gain(without[1], *predicted, seed)["auc"]


def customer_factors(factors: Factors, cutoff: date, home: HomePath = None) -> Callable[[np.ndarray], np.ndarray]:
    """A function: customer keys → (keys, factors) as of ``cutoff``; nil for who wanted nothing by then."""
    seen = read_interactions(cutoff, factors.settings.history_days, home)
    known = np.vstack([factors.fold_in(seen), np.zeros((1, factors.settings.factors), np.float32)])
    return lambda keys: known[place_of(seen.customer_keys, keys)]


def _boosted(train: Examples, features: np.ndarray, seed: int) -> np.ndarray:
    model = BASELINES["gradient_boosting"](seed)
    return model.fit(train.features, train.is_buyer, train.spend).predict(features)
