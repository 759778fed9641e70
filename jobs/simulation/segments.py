"""The behaviour segments that customers are drawn from: how they differ in all that a shop can observe."""

from dataclasses import dataclass

import numpy as np

from expectations.measures import DAY_PARTS

DEPARTMENTS = ("kitchen", "garden", "fashion", "toys", "electronics", "beauty", "grocery", "sports")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """How customers of one segment behave on average.

    share             of all customers
    order_rate        orders per day alive, relative to the other segments'
    lifetime_days     1 / mean drop-out rate
    browse_per_order  visits without an order per visit with one
    steps             mean events of a visit beyond its first
    day_parts         weights of night, morning, afternoon, evening
    weekdays          weights of Monday … Sunday
    departments       weights of the departments shopped in most; the others share a tenth
    price_tiers       weights of the five price tiers, cheapest first
    discount          share of lines bought with a discount
    coupon            share of orders after a campaign that redeem its coupon
    mobile, app, store  share of mobile devices; of app visits among mobile ones; of orders placed in a store
    lines, pieces     mean lines of an order, and pieces of a line, beyond the first
    return_rate       share of lines returned
    campaign_effect   mean log multiplier of the rates for a week after a campaign contact
    """

    name: str
    share: float
    order_rate: float
    lifetime_days: float
    browse_per_order: float
    steps: float
    day_parts: tuple[float, float, float, float]
    weekdays: tuple[float, float, float, float, float, float, float]
    departments: dict[str, float]
    price_tiers: tuple[float, float, float, float, float]
    discount: float
    coupon: float
    mobile: float
    app: float
    store: float
    lines: float
    pieces: float
    return_rate: float
    campaign_effect: float


SEGMENTS = (
    Segment(name="bargain_hunters", share=0.20, order_rate=0.9, lifetime_days=400, browse_per_order=9, steps=3.0,
            day_parts=(1, 4, 5, 6), weekdays=(1, 1, 1.3, 1, 1, 0.8, 0.8), departments={"grocery": 3, "kitchen": 2},
            price_tiers=(6, 3, 1, 0.2, 0.1), discount=0.6, coupon=0.5, mobile=0.6, app=0.5, store=0.1,
            lines=1.5, pieces=0.5, return_rate=0.05, campaign_effect=0.45),
    Segment(name="loyal_families", share=0.14, order_rate=2.2, lifetime_days=900, browse_per_order=5, steps=2.6,
            day_parts=(0.3, 3, 4, 5), weekdays=(0.7, 0.7, 0.7, 0.8, 1, 1.6, 1.5),
            departments={"grocery": 3, "toys": 2, "garden": 2}, price_tiers=(1, 3, 4, 2, 0.5), discount=0.25,
            coupon=0.3, mobile=0.5, app=0.7, store=0.25, lines=2.2, pieces=0.7, return_rate=0.04,
            campaign_effect=0.15),
    Segment(name="night_gamers", share=0.12, order_rate=0.8, lifetime_days=350, browse_per_order=10, steps=3.2,
            day_parts=(6, 0.6, 2, 7), weekdays=(0.9, 0.9, 0.9, 0.9, 1.1, 1.2, 1.1),
            departments={"electronics": 6, "sports": 1}, price_tiers=(0.5, 1, 3, 4, 2), discount=0.2, coupon=0.15,
            mobile=0.3, app=0.3, store=0.02, lines=0.5, pieces=0.1, return_rate=0.08, campaign_effect=-0.10),
    Segment(name="premium", share=0.08, order_rate=1.4, lifetime_days=800, browse_per_order=6, steps=2.4,
            day_parts=(0.5, 4, 4, 4), weekdays=(1, 1, 1, 1, 1, 1, 0.9), departments={"fashion": 3, "beauty": 3},
            price_tiers=(0.1, 0.2, 1, 3, 6), discount=0.05, coupon=0.05, mobile=0.7, app=0.6, store=0.2,
            lines=1.2, pieces=0.2, return_rate=0.12, campaign_effect=0.05),
    Segment(name="window_shoppers", share=0.22, order_rate=0.4, lifetime_days=250, browse_per_order=22, steps=2.8,
            day_parts=(1, 3, 4, 6), weekdays=(0.9, 0.9, 0.9, 0.9, 1, 1.3, 1.3), departments={"fashion": 3, "sports": 2},
            price_tiers=(2, 3, 3, 1, 0.5), discount=0.4, coupon=0.3, mobile=0.8, app=0.3, store=0.03,
            lines=0.4, pieces=0.1, return_rate=0.15, campaign_effect=0.30),
    Segment(name="lunch_professionals", share=0.14, order_rate=1.2, lifetime_days=600, browse_per_order=5, steps=1.8,
            day_parts=(0.2, 4, 7, 1.5), weekdays=(1.3, 1.3, 1.2, 1.2, 1, 0.5, 0.5),
            departments={"kitchen": 3, "electronics": 2, "beauty": 1}, price_tiers=(0.5, 2, 4, 3, 1), discount=0.15,
            coupon=0.2, mobile=0.2, app=0.2, store=0.05, lines=1.0, pieces=0.2, return_rate=0.06,
            campaign_effect=0.20),
    Segment(name="gift_buyers", share=0.10, order_rate=0.5, lifetime_days=300, browse_per_order=8, steps=3.5,
            day_parts=(0.5, 2, 5, 6), weekdays=(0.9, 0.9, 1, 1, 1.2, 1.1, 0.9), departments={"toys": 4, "beauty": 2},
            price_tiers=(0.5, 2, 4, 3, 1), discount=0.2, coupon=0.2, mobile=0.5, app=0.2, store=0.15,
            lines=0.8, pieces=0.4, return_rate=0.10, campaign_effect=-0.20),
)  # fmt: skip


def per_segment(field: str) -> np.ndarray:
    """The field of every segment, in their order; one row a segment where it is a tuple."""
    return np.array([getattr(segment, field) for segment in SEGMENTS], float)


def hour_weights() -> np.ndarray:
    """Segments × 24: share of visits by hour; a day part's weight is spread evenly over its hours."""
    weights = np.zeros((len(SEGMENTS), 24))
    for part, (first, last) in enumerate(DAY_PARTS.values()):
        weights[:, first : last + 1] = per_segment("day_parts")[:, [part]] / (last - first + 1)
    return weights / weights.sum(axis=1, keepdims=True)


def department_weights() -> np.ndarray:
    """Segments × departments: share of visits by department."""
    weights = np.zeros((len(SEGMENTS), len(DEPARTMENTS)))
    for row, segment in zip(weights, SEGMENTS, strict=True):
        for name, weight in segment.departments.items():
            row[DEPARTMENTS.index(name)] = weight
        row *= 0.9 / row.sum()
    return weights + 0.1 / len(DEPARTMENTS)


def lookup(weights: np.ndarray, size: int = 4096) -> np.ndarray:
    """Rows × ``size``: the outcome at each of ``size`` equal steps of probability, to draw by one look-up."""
    cumulated = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    steps = (np.arange(size) + 0.5) / size
    return np.array([np.searchsorted(row, steps) for row in cumulated], np.int16)
