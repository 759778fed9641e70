"""A short name for each cluster, from what sets its centre apart from the average customer."""

import numpy as np

from ml.clustering.behaviour import MEASURES
from ml.clustering.space import THEME_WEIGHTS

LEAST_APART = 0.25
"""Standard deviations of all customers from which a measure is a trait of a cluster."""
TRAITS = 2
"""In a name, of different themes; more only where two clusters would be named alike."""
AVERAGE = "average customers"
WORDS = {
    "purchase_days_365d": ("buys often", "buys rarely"),
    "average_order_amount_365d": ("large orders", "small orders"),
    "items_per_line_365d": ("many units of a product", "single units"),
    "session_count_365d": ("visits often", "visits rarely"),
    "session_depth_365d": ("long visits", "short visits"),
    "bounce_rate_365d": ("visits of one event", "visits of several events"),
    "search_per_session_365d": ("searches much", "searches little"),
    "cart_per_view_365d": ("fills carts", "fills no carts"),
    "favourite_count_365d": ("marks favourites", "marks no favourites"),
    "price_rank_mean_365d": ("dear products", "cheap products"),
    "discounted_line_share_365d": ("discounts", "full prices"),
    "coupon_rate_365d": ("coupons", "no coupons"),
    "night_share_365d": ("at night", "not at night"),
    "morning_share_365d": ("in the morning", "not in the morning"),
    "evening_share_365d": ("in the evening", "not in the evening"),
    "weekend_share_365d": ("at weekends", "on weekdays"),
    "category_diversity_365d": ("many categories", "few categories"),
    "return_rate_365d": ("returns much", "returns little"),
    "sentiment_mean_365d": ("content", "discontent"),
    "review_count_365d": ("writes reviews", "writes no reviews"),
    "open_rate_365d": ("opens campaigns", "ignores campaigns"),
    "click_rate_365d": ("follows campaigns", "follows no campaigns"),
}
"""Measure → words for much of it, and for little."""
SAME = {"session_count_365d": "purchase_days_365d"}
"""Measure → that which tells the same where both lie equally far apart: visits, where each is a purchase."""
NEARLY = 0.05
PLACES = {measure.name: place for place, measure in enumerate(MEASURES)}


def names_of(ids: tuple[int, ...], centres: np.ndarray, known: dict[int, str]) -> tuple[str, ...]:
    """One a cluster, no two alike. ``known``: names given before; they stay with their ids, whatever has moved.

    centres  (clusters, dimensions of the space)
    """
    taken = {one: known[one] for one in ids if one in known}
    for one, centre in zip(ids, centres, strict=True):
        if one not in taken:
            told = traits(centre)
            names = [", ".join(told[:n]) or AVERAGE for n in range(min(TRAITS, len(told)), len(told) + 1)]
            taken[one] = next((name for name in names if name not in taken.values()), f"{names[0]} ({one})")
    return tuple(taken[one] for one in ids)


def traits(centre: np.ndarray) -> list[str]:
    """What is said of one centre, the strongest first, one a theme."""
    apart = centre[: len(MEASURES)] / THEME_WEIGHTS
    told: dict[str, str] = {}
    for place in np.argsort(-np.abs(apart).round(9), kind="stable"):
        name = MEASURES[place].name
        if abs(apart[place]) >= LEAST_APART and not _is_told(name, apart):
            told.setdefault(MEASURES[place].theme, WORDS[name][int(apart[place] < 0)])
    return list(told.values())


def _is_told(name: str, apart: np.ndarray) -> bool:
    """Whether the measure in SAME tells it."""
    return name in SAME and bool(np.isclose(apart[PLACES[name]], apart[PLACES[SAME[name]]], rtol=NEARLY))
