"""What is beyond the usual: the bounds of every rule, and the one scale on which all of them are told."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class RiskSettings:
    """What decides a risk alert. Meaning and unit of each field stand in ``DESCRIPTIONS``, which BI reads too."""

    window_days: int = 30
    history_days: int = 90
    medium_from: float = 1 / 2
    high_from: float = 2 / 3
    most_listed: int = 1000
    listed_share: float = 0.01
    velocity_minutes: float = 60
    velocity_orders: float = 5
    velocity_payments: float = 3
    takeover_surprise: float = 5
    return_times: float = 4
    return_least_share: float = 0.1
    return_confidence: float = 0.95
    review_day_count: float = 5
    review_copies: float = 3
    review_crowd_surprise: float = 6
    review_similarity: float = 0.8
    bot_least_events: int = 30
    bot_events_per_minute: float = 15
    bot_visit_events: float = 150
    anomaly_deviations: float = 6
    labelled_probability: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.medium_from < self.high_from < 1:
            raise ValueError(
                f"medium_from ({self.medium_from:g}) must lie below high_from ({self.high_from:g}), both within 0..1"
            )
        for name in ("listed_share", "return_confidence", "return_least_share", "review_similarity"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} ({getattr(self, name):g}) must lie in 0..1, above 0")
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ValueError(f"{field.name} must be above 0")

    @property
    def least_ratio(self) -> float:
        """How many times its bound a value has to be for band medium."""
        return self.medium_from / (1 - self.medium_from)


DESCRIPTIONS = {
    "window_days": ("days", "an alert is of an event of so many days up to the snapshot"),
    "history_days": ("days", "orders of so many days before the window tell what is usual of a customer"),
    "medium_from": ("score", "risk score from here is band medium; below, nobody is listed"),
    "high_from": ("score", "risk score from here is band high"),
    "most_listed": ("customers", "at most so many customers are listed by kind"),
    "listed_share": ("share", "at most such a share of the snapshot's customers is listed by kind, but ten"),
    "velocity_minutes": ("minutes", "orders within such a time are one burst"),
    "velocity_orders": ("orders", "so many orders in a burst score a half"),
    "velocity_payments": ("methods", "so many payment methods in a burst score a half"),
    "takeover_surprise": ("powers of ten", "an order as rare as one in 10 to such a power scores a half"),
    "return_times": ("ratio", "such a multiple of the shop's odds that a line comes back scores a half"),
    "return_least_share": ("share", "no share of lines sent back below scores a half, however low the shop's"),
    "return_confidence": ("probability", "a customer's share of returns counts as what it exceeds at such confidence"),
    "review_day_count": ("reviews", "so many reviews by a customer on a day score a half"),
    "review_copies": ("reviews", "so many reviews of nearly one text by a customer score a half"),
    "review_crowd_surprise": (
        "powers of ten",
        "a text from so many customers on a day as one day in 10 to such a power brings scores a half",
    ),
    "review_similarity": ("share", "texts are nearly equal if they share such a share of their groups of letters"),
    "bot_least_events": ("events", "the speed of a visit is judged from so many events on"),
    "bot_events_per_minute": ("events a minute", "a visit as fast scores a half"),
    "bot_visit_events": ("events", "a visit as long scores a half"),
    "anomaly_deviations": ("deviations", "an isolation score so many robust deviations above the median scores a half"),
    "labelled_probability": ("probability", "so likely a fraud by the cases that the shop has marked scores a half"),
}


def beyond(value: np.ndarray, bound: np.ndarray | float) -> np.ndarray:
    """value / (value + bound): 0 for 0, a half at the bound, two thirds at twice the bound, towards 1 without end."""
    value = np.maximum(np.asarray(value, np.float64), 0)
    return value / (value + bound)
