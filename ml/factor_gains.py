"""What matrix factorisation is good for on a shop: recommendations against popularity, and inputs of the model."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from ml.cohorts import Parts
from ml.comparing.resamples import Resamples, interval
from ml.examples import Examples
from ml.forecast import Forecast
from ml.home import HomePath
from ml.interactions import Interactions, bought_after, place_of, read_interactions
from ml.matrix_factors import Factors
from ml.models import make
from ml.promotion import paired_gain
from ml.ranked_sums import weighted_mean

TOP = 10
"""Products that are recommended to a customer."""

BOOSTING = "gradient_boosting"
RESAMPLES = 200


@dataclass(frozen=True)
class Recall:
    """Mean share of what a customer bought in the window that stood among TOP recommendations (of at most TOP).

    ``gain``: over popularity, on the same customers, with its 95 % interval.
    """

    recall: float
    gain: tuple[float, float, float]


def recommendation_recalls(
    factors: Factors, cutoff: date, horizon_days: int, seed: int, home: HomePath = None
) -> dict[str, Recall]:
    """Recall of the ``horizon_days`` after ``cutoff``, of customers who wanted something before and bought in them.

    Recommender → recall: popularity (the same products for everybody), own_history (what the customer wanted most,
    then popularity), factors. ``…_new``: of products, and among products, that the customer had not wanted before.
    """
    seen = read_interactions(cutoff, factors.settings.history_days, home)
    after = bought_after(cutoff, horizon_days, home)
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
    return {name: Recall(v.mean(), ((v - first).mean(), *_interval(v - first, seed))) for name, v in values.items()}


def _interval(gains: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of the mean of customers' gains."""
    draws = Resamples.of((np.arange(len(gains)),), RESAMPLES, seed)
    return interval(weighted_mean(gains, draws.counts.astype(np.float64)))


def gain_as_inputs(factors: Factors, parts: Parts, seed: int, home: HomePath = None) -> tuple[float, float, float]:
    """Test AUC of gradient boosting with customers' factors beside the features, less that without: (gain, low, high).

    Paired: both are tested on the same resampled customers.
    """
    test = parts.tests[-1]
    ours, theirs = (
        _boosted(*given, seed)
        for given in ([_beside(factors, part, home) for part in (parts.train, parts.valid, test)],
                      [parts.train, parts.valid, test])
    )  # fmt: skip
    gain = paired_gain("auc", test, ours, theirs, seed)
    return gain.value, gain.low, gain.high


def _beside(factors: Factors, examples: Examples, home: HomePath) -> Examples:
    """``examples`` with the factors of each customer, as of each cutoff, as further features."""
    inputs, columns = examples.inputs, np.zeros((len(examples), factors.settings.factors))
    for cutoff in np.unique(inputs.cutoffs):
        rows = inputs.cutoffs == cutoff
        of_day = customer_factors(factors, cutoff.astype("datetime64[D]").item(), home)
        columns[rows] = of_day(inputs.customer_keys[rows])
    return replace(examples, inputs=replace(inputs, features=np.hstack([inputs.features, columns])))


def customer_factors(factors: Factors, cutoff: date, home: HomePath = None) -> Callable[[np.ndarray], np.ndarray]:
    """A function: customer keys → (keys, factors) as of ``cutoff``; nil for who wanted nothing by then."""
    seen = read_interactions(cutoff, factors.settings.history_days, home)
    known = np.vstack([factors.fold_in(seen), np.zeros((1, factors.settings.factors), np.float32)])
    return lambda keys: known[place_of(seen.customer_keys, keys)]


def _boosted(train: Examples, valid: Examples, test: Examples, seed: int) -> Forecast:
    model = make(BOOSTING, seed)
    model.fit(train, valid)
    return model.predict(test.inputs)
