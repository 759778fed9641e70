"""What is known of items as of a day: popularity now and before, how often they are bought again, their price."""

from dataclasses import dataclass

import numpy as np

from ml.ranking.baskets import Baskets

POPULAR_DAYS = 56
"""Days whose baskets say what is popular."""


@dataclass(frozen=True)
class Facts:
    """columns: name → (items,) float64; group: (items,) the item's group as last seen, -1: none or never seen.

    popular: items that were bought in POPULAR_DAYS, by falling ``basket_share``, then by name.
    """

    columns: dict[str, np.ndarray]
    group: np.ndarray
    popular: np.ndarray


def item_facts(seen: Baskets, day: int) -> Facts:
    """Facts as of ``day``, of what was ``seen`` by then."""
    size = len(seen.items)
    bought = seen.purchases()
    columns = {
        "buyers_7d": _buyer_share(bought, day - 7, day),
        "buyers_28d": _buyer_share(bought, day - 28, day),
        "buyers_84d": _buyer_share(bought, day - 84, day - 28),
        "buyers": _buyer_share(bought, -1, day),
        **_shares(bought, day),
        **_repurchase(bought),
        "price": np.bincount(bought.item, bought.price, size) / np.maximum(np.bincount(bought.item, minlength=size), 1),
    }
    # Smoothed by what one buyer in ten thousand would make.
    columns["trend_7d"] = (columns["buyers_7d"] + 1e-4) / (columns["buyers_84d"] + 1e-4)
    columns["trend_28d"] = (columns["buyers_28d"] + 1e-4) / (columns["buyers_84d"] + 1e-4)
    group = np.full(size, -1, np.int32)
    late = np.argsort(seen.day, kind="stable")
    group[seen.item[late]] = seen.group[late]
    in_group = np.bincount(group + 1, columns["buyers_28d"], len(seen.groups) + 1)[group + 1]
    columns["share_of_group"] = columns["buyers_28d"] / np.maximum(in_group, 1e-9)
    ranked = np.argsort(-columns["basket_share"], kind="stable")
    return Facts(columns, group, ranked[columns["basket_share"][ranked] > 0])


def _buyer_share(bought: Baskets, after: int, until: int) -> np.ndarray:
    """Share of the customers who bought in (after, until] that bought the item."""
    window = bought.where((bought.day > after) & (bought.day <= until))
    items = window.item[_first_of_each(window.pair)]
    return np.bincount(items, minlength=len(bought.items)) / max(len(_first_of_each(window.customer)), 1)


def _shares(bought: Baskets, day: int) -> dict[str, np.ndarray]:
    """basket_share: of recent baskets, those that hold the item; line_share: the same, each basket's lines adding to 1.

    Small baskets say more in line_share, as they do in recall.
    """
    window = bought.where(bought.day > day - POPULAR_DAYS)
    _, basket, lines = np.unique(
        window.customer.astype(np.int64) << 32 | window.day, return_inverse=True, return_counts=True
    )
    size, total = len(bought.items), max(len(lines), 1)
    return {
        "basket_share": np.bincount(window.item, minlength=size) / total,
        "line_share": np.bincount(window.item, 1 / lines[basket] if len(lines) else None, size) / total,
    }


def _repurchase(bought: Baskets) -> dict[str, np.ndarray]:
    """repurchase_rate: share of buyers who bought on a second day (smoothed); days_between: mean gap, NaN for none."""
    pair = bought.pair
    start = _first_of_each(pair)
    count = np.diff(np.r_[start, len(pair)])
    item, size = bought.item[start], len(bought.items)
    span = bought.day[start + count - 1] - bought.day[start]
    buyers, again = np.bincount(item, minlength=size), np.bincount(item, count > 1, size)
    gaps = np.bincount(item, count - 1, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.where(gaps > 0, np.bincount(item, span, size) / gaps, np.nan)
    return {
        "repurchase_rate": (again + 0.5) / (buyers + 5),
        "days_bought": np.bincount(item, count, size) / np.maximum(buyers, 1),
        "days_between": between,
    }


def _first_of_each(rising: np.ndarray) -> np.ndarray:
    """Places of the first of each value."""
    return np.flatnonzero(np.r_[True, rising[1:] != rising[:-1]][: len(rising)])
