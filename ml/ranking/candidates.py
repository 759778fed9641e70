"""Candidates for the next basket: what a customer bought or wanted before, and what is popular; each with features."""

from dataclasses import dataclass

import numpy as np

from ml.ranking.baskets import Baskets, distinct
from ml.ranking.facts import Facts

HALF_LIVES = (7, 21, 60, 180)
"""Days after which a purchase counts half."""
BASKET_DECAYS = (0.8, 0.95, 0.98)
"""What a purchase counts for with each later basket of the customer."""
LATEST = (1, 3, 10)
"""In how many of the customer's last so many baskets the item was."""
OWN_NAMES = (
    *(f"decayed_{days}d" for days in HALF_LIVES), *(f"share_{days}d" for days in HALF_LIVES),
    *(f"basket_decayed_{decay}" for decay in BASKET_DECAYS), *(f"basket_share_{decay}" for decay in BASKET_DECAYS),
    *(f"in_last_{n}" for n in LATEST), "count", "share", "share_since_first", "baskets_since", "baskets_between",
    "baskets_since_to_between", "days_since", "days_since_first", "days_between", "days_since_to_between",
    "intents_7d", "intents_60d",
)  # fmt: skip
ITEM_NAMES = (
    "buyers_7d", "buyers_28d", "buyers_84d", "buyers", "basket_share", "line_share", "trend_7d", "trend_28d",
    "repurchase_rate", "days_bought", "days_between", "price", "share_of_group",
)  # fmt: skip
CUSTOMER_NAMES = ("baskets", "basket_size", "baskets_apart", "basket_recency")
GROUP_NAMES = ("group_share", "share_in_group", "group_days_since", "group_per_basket", "group_since_to_between")
FEATURES = (
    *OWN_NAMES, *(f"item_{name}" for name in ITEM_NAMES), "days_since_to_item_between",
    *(f"customer_{name}" for name in CUSTOMER_NAMES), *GROUP_NAMES,
)  # fmt: skip
NO_PURCHASE = ("baskets_since", "baskets_between", "baskets_since_to_between", "days_since", "days_since_first",
               "days_between", "days_since_to_between")  # fmt: skip
"""NaN for an item never bought; the other features of the customer's own are 0."""


@dataclass(frozen=True)
class Candidates:
    """Rows by customer, then item. customer, item: (rows,) int64; features: (rows, FEATURES) float32, NaN: unknown."""

    customer: np.ndarray
    item: np.ndarray
    features: np.ndarray

    def of(self, kept: np.ndarray) -> "Candidates":
        """These rows alone."""
        return Candidates(self.customer[kept], self.item[kept], self.features[kept])

    def pairs(self, items: int) -> np.ndarray:
        """(rows,) int64, rising: as of Baskets."""
        return self.customer * items + self.item

    def __getitem__(self, name: str) -> np.ndarray:
        return self.features[:, FEATURES.index(name)]


@dataclass(frozen=True)
class _Days:
    """The baskets of customers: starts (customers + 1,) places in ``customer`` and ``day``; rank: 0 is the last one."""

    starts: np.ndarray
    customer: np.ndarray
    day: np.ndarray
    rank: np.ndarray


def candidates(seen: Baskets, facts: Facts, as_of: np.ndarray, own: int, popular: int) -> Candidates:
    """Candidates of the customers who bought by ``as_of``: (customers,) a day for each of the baskets' names.

    ``seen``: nothing later than each customer's day. own: items of the customer's own, at most, the most decayed count
    first; popular: items of each of two measures of popularity that everybody gets. Facts are of one earlier day.
    """
    bought = seen.purchases()
    if not len(bought):
        return Candidates(*np.zeros((2, 0), np.int64), np.zeros((0, len(FEATURES)), np.float32))
    pair, start = _runs(seen.pair)
    days = _days_of(bought, len(seen.customer_keys))
    own_features = _own(seen, bought, days, as_of, pair, start)
    kept = _strongest(pair // len(seen.items), own_features, own)
    pair, own_features = pair[kept], {name: values[kept] for name, values in own_features.items()}
    everybody = _popular(facts, popular)
    customers = np.flatnonzero(np.diff(days.starts) > 0)
    offered = (customers[:, None] * len(seen.items) + everybody).ravel()
    whole = distinct(np.r_[pair, offered])
    at = np.searchsorted(whole, pair)
    customer, item = whole // len(seen.items), whole % len(seen.items)
    columns = {}
    for name in OWN_NAMES:
        columns[name] = np.full(len(whole), np.nan if name in NO_PURCHASE else 0.0)
        columns[name][at] = own_features[name]
    columns |= {f"item_{name}": facts.columns[name][item] for name in ITEM_NAMES}
    columns["days_since_to_item_between"] = _ratio(columns["days_since"], columns["item_days_between"])
    about = _customer(bought, days, as_of)
    columns |= {f"customer_{name}": about[name][customer] for name in CUSTOMER_NAMES}
    columns |= _group(bought, facts, days, as_of, customer, item, columns["decayed_60d"])
    features = np.empty((len(whole), len(FEATURES)), np.float32)
    for n, name in enumerate(FEATURES):
        features[:, n] = columns[name]
    bought_before = np.diff(days.starts)[customer] > 0
    return Candidates(customer[bought_before], item[bought_before], features[bought_before])


def _runs(sorted_values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(distinct values, place of the first of each)."""
    start = np.flatnonzero(np.r_[True, sorted_values[1:] != sorted_values[:-1]][: len(sorted_values)])
    return sorted_values[start], start


def _days_of(bought: Baskets, customers: int) -> _Days:
    key = distinct(bought.customer.astype(np.int64) << 32 | bought.day)
    customer, day = key >> 32, key & 0xFFFFFFFF
    starts = np.searchsorted(customer, np.arange(customers + 1))
    return _Days(starts, customer, day, starts[customer + 1] - 1 - np.arange(len(day)))


def _own(
    seen: Baskets, bought: Baskets, days: _Days, as_of: np.ndarray, pair: np.ndarray, start: np.ndarray
) -> dict[str, np.ndarray]:
    """OWN_NAMES of each of ``pair``, whose rows of ``seen`` begin at ``start``."""
    size, owner = len(pair), pair // max(len(seen.items), 1)
    place = np.searchsorted(pair, bought.pair)
    ago = as_of[bought.customer] - bought.day
    days_ago = as_of[days.customer] - days.day
    basket = np.searchsorted(days.customer << 32 | days.day, bought.customer.astype(np.int64) << 32 | bought.day)
    rank = days.rank[basket]
    found = {}

    def add(total: str, share: str, weight: np.ndarray, basket_weight: np.ndarray) -> None:
        found[total] = np.bincount(place, weight, size)
        found[share] = found[total] / np.maximum(np.bincount(days.customer, basket_weight, len(as_of))[owner], 1e-9)

    for life in HALF_LIVES:
        add(f"decayed_{life}d", f"share_{life}d", 0.5 ** (ago / life), 0.5 ** (days_ago / life))
    for decay in BASKET_DECAYS:
        add(f"basket_decayed_{decay}", f"basket_share_{decay}", decay**rank, decay**days.rank)
    for n in LATEST:
        found[f"in_last_{n}"] = np.bincount(place, rank < n, size)
    add("count", "share", np.ones(len(rank)), np.ones(len(days.rank)))
    count = found["count"]
    nearest, farthest = _least_most(place, rank, size)
    latest, first = _least_most(place, ago, size)
    found["share_since_first"] = np.where(count > 0, count / (np.nan_to_num(farthest) + 1), 0)
    found["baskets_since"], found["days_since"], found["days_since_first"] = nearest, latest, first
    with np.errstate(invalid="ignore", divide="ignore"):
        found["baskets_between"] = np.where(count > 1, (farthest - nearest) / (count - 1), np.nan)
        found["days_between"] = np.where(count > 1, (first - latest) / (count - 1), np.nan)
    found["baskets_since_to_between"] = _ratio(nearest, found["baskets_between"])
    found["days_since_to_between"] = _ratio(latest, found["days_between"])
    # Only here do rows count that are no purchases.
    wanted = np.repeat(np.arange(size), np.diff(np.r_[start, len(seen)]))
    ago = as_of[seen.customer] - seen.day
    for life in (7, 60):
        found[f"intents_{life}d"] = np.bincount(wanted, seen.intents * 0.5 ** (ago / life), size)
    return found


def _least_most(place: np.ndarray, values: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most of each place, whose rows follow each other; NaN where it has none."""
    least, most = np.full(size, np.nan), np.full(size, np.nan)
    here, start = _runs(place)
    if len(here):
        least[here], most[here] = np.minimum.reduceat(values, start), np.maximum.reduceat(values, start)
    return least, most


def _strongest(owner: np.ndarray, own: dict[str, np.ndarray], limit: int) -> np.ndarray:
    """Places, rising, of each customer's ``limit`` items of the highest decayed counts of purchases and intents."""
    strength = own["decayed_60d"] + own["decayed_7d"] + own["intents_60d"]
    order = np.lexsort((np.arange(len(owner)), -strength, owner))
    _, start = _runs(owner[order])
    within = np.arange(len(owner)) - np.repeat(start, np.diff(np.r_[start, len(owner)]))
    return np.sort(order[within < limit])


def _popular(facts: Facts, limit: int) -> np.ndarray:
    """Items, in order of their place: the first ``limit`` by share of baskets and by share of lines."""
    by_lines = np.argsort(-facts.columns["line_share"][np.sort(facts.popular)], kind="stable")[:limit]
    return np.unique(np.r_[facts.popular[:limit], np.sort(facts.popular)[by_lines]])


def _customer(bought: Baskets, days: _Days, as_of: np.ndarray) -> dict[str, np.ndarray]:
    count = np.diff(days.starts)
    first, last = np.full(len(count), np.nan), np.full(len(count), np.nan)
    has = count > 0
    first[has], last[has] = days.day[days.starts[:-1][has]], days.day[days.starts[1:][has] - 1]
    return {
        "baskets": count,
        "basket_size": np.bincount(bought.customer, minlength=len(count)) / np.maximum(count, 1),
        "baskets_apart": (last - first) / np.maximum(count - 1, 1),
        "basket_recency": as_of - last,
    }


def _group(
    bought: Baskets, facts: Facts, days: _Days, as_of: np.ndarray, customer: np.ndarray, item: np.ndarray,
    decayed: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """GROUP_NAMES of each customer and item: how the customer stands to the item's group."""
    groups = len(bought.groups) + 1
    key = bought.customer.astype(np.int64) * groups + facts.group[bought.item] + 1
    known, place = np.unique(key, return_inverse=True)
    ago = as_of[bought.customer] - bought.day
    weight = 0.5 ** (ago / 60)
    in_group, total = np.bincount(place, weight, len(known)), np.bincount(bought.customer, weight, len(as_of))
    on_days = distinct(place.astype(np.int64) << 32 | bought.day)
    place, day = on_days >> 32, on_days & 0xFFFFFFFF
    count = np.bincount(place, minlength=len(known))
    first, last = (values.astype(np.float64) for values in _least_most(place, day, len(known)))
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.where(count > 1, (last - first) / (count - 1), np.nan)
    wanted = customer * groups + facts.group[item] + 1
    at = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
    there = known[at] == wanted if len(known) else np.zeros(len(wanted), bool)
    since = np.where(there, as_of[customer] - last[at], np.nan)
    return {
        "group_share": np.where(there, in_group[at], 0) / np.maximum(total[customer], 1e-9),
        "share_in_group": np.where(there, decayed / np.maximum(in_group[at], 1e-9), 0),
        "group_days_since": since,
        "group_per_basket": np.where(there, count[at], 0) / np.maximum(np.diff(days.starts)[customer], 1),
        "group_since_to_between": np.where(there, _ratio(since, between[at]), np.nan),
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)
