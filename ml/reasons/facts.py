"""Features that say one thing of a customer, by the customer's own numbers, so that it is told once.

Where every visit is a purchase, visits are the orders again; and who has bought nothing for 114 days has no orders, no
money and no products of the last 90 days either.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from expectations.behaviour import FEATURE_NAMES
from ml.reasons.words import family, parts_of

Numbers = Callable[[str], np.ndarray | None]
"""A feature's name → (rows,) the customers' numbers, NaN where missing; None for what is no number of theirs."""

TWINS = {
    "session_count": ("order_count", "purchase_days"),
    "event_count": ("purchase_count",),
    "event_recency_days": ("recency_days",),
    "event_velocity": ("amount_velocity",),
    "session_depth": ("purchase_per_session",),
}
"""Feature, without its window → those that tell the same wherever their numbers agree."""
AGREES = 0.25
"""Two numbers agree if they differ by at most this share of the larger."""
SILENT = "recency_days"
NOTHING_BOUGHT = ("purchases", "spend", "basket", "discounts", "assortment")
NOTHING_SEEN = ("visits", "cart", "times")
"""Families of which nothing is left within a window in which a customer has not bought, or was not seen at all."""


def told_by(names: Sequence[str], numbers: Numbers, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(known, told): known (features,) names; told (rows, names) places in it: the feature that tells each one's fact.

    Its own place, unless the customer's numbers make it the same as another's.
    """
    known = list(dict.fromkeys((*names, *FEATURE_NAMES)))
    told = np.tile(np.arange(len(names)), (rows, 1))
    for column, name in enumerate(names):
        for other, holds in _same(name, numbers):
            told[holds, column] = known.index(other)
    return np.array(known, dtype=object), told


def _same(name: str, numbers: Numbers) -> Iterable[tuple[str, np.ndarray]]:
    """(feature, (rows,) where it says what ``name`` says), the last that holds counts."""
    (base, days), own = parts_of(name), numbers(name)
    if own is None:
        return
    for twin in TWINS.get(base, ()):
        other = f"{twin}_{days}d" if days else twin
        if (theirs := numbers(other)) is not None:
            yield other, agree(own, theirs)
    since = _since(family(name), numbers) if days else None
    if since is not None:
        yield SILENT, ((own == 0) | np.isnan(own)) & (np.where(np.isnan(since), np.inf, since) >= days)


def _since(of: str, numbers: Numbers) -> np.ndarray | None:
    """(rows,) days since what a family counts; None for one of which a silent customer may have something."""
    return numbers(SILENT if of in NOTHING_BOUGHT else "event_recency_days" if of in NOTHING_SEEN else "")


def agree(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(rows,) whether two numbers are nearly the same; two missing ones are."""
    near = np.abs(one - other) <= AGREES * np.maximum(np.abs(one), np.abs(other))
    return near | (np.isnan(one) & np.isnan(other))


def reads_backwards(feature: str, values: np.ndarray, typical: float, usual_gaps: np.ndarray) -> np.ndarray:
    """(rows,) whether it would say the opposite of leaving, or nothing of it: bought today (usual gap 205); 2 orders
    (typical 1); spends 8 times as fast; nothing refunded; age unknown.

    A model may mean it (a first order says little of the next), but nobody can act on it.
    """
    base, _ = parts_of(feature)
    if base == "recency_days":
        return values < np.where(np.isfinite(usual_gaps), usual_gaps, typical)
    if base == "event_recency_days":
        return values < typical
    seen = family(feature) == "visits" and base.endswith(("_count", "_velocity"))
    more = (values > typical) & (seen or family(feature) in ("purchases", "spend"))
    nothing = {"returns": values == 0, "person": np.isnan(values)}
    return more | nothing.get(family(feature), False)


def once_a_family(names: Sequence[str], values: np.ndarray, order: Iterable[int]) -> list[int]:
    """Of ``order`` (places of ``names``), one a family, the earliest; ``values`` (names,) of one customer."""
    own = {name: np.array([value]) for name, value in zip(names, values, strict=True)}
    known, told = told_by(names, own.get, 1)
    first: dict[str, int] = {}
    for place in order:
        first.setdefault(family(known[told[0, place]]), int(place))
    return list(first.values())
