"""What a text is about: the declared topic whose seed phrases its vector is nearest to, if any is near enough."""

import numpy as np

from expectations.measures import TOPICS
from jobs.text.encoder import Encoder

SEEDS: dict[str, tuple[str, ...]] = {
    "delivery": (
        "The delivery was late", "My parcel has not arrived yet", "Where is my order? Tracking shows no movement",
        "Shipping was fast", "The courier left the package at the wrong address",
    ),
    "quality": (
        "The quality is poor and it broke after a week", "Well made from good material",
        "The fabric is thin and looks cheap", "It arrived damaged and does not work", "Excellent quality, very durable",
    ),
    "price": (
        "It is too expensive for what you get", "Great value for the money", "Is there a discount or a coupon code?",
        "The price went up", "Cheapest price, on sale",
    ),
    "fit": (
        "It runs small, order a size up", "It fits perfectly, true to size", "Too tight in the waist and too long",
        "The shoes are too big for me", "Which size should I order?",
    ),
    "service": (
        "Customer service was rude and did not help", "The support team answered quickly and was friendly",
        "Nobody replies to my emails or picks up the phone", "The staff in the shop were very helpful",
        "I want to complain about how I was treated",
    ),
    "refund": (
        "I want my money back", "I would like to return this item for a refund",
        "I sent it back and have not received my refund", "How do I return or exchange my order?",
        "You charged me twice, please refund me",
    ),
}  # fmt: skip
"""Phrases that customers write about each topic, in several moods, so that the topic and not the mood is near."""
BOUND = 0.35
"""Least cosine with the nearest phrase. Chosen on sentences of known topic and on search words that have none: below it
one in five of the latter is told a topic, above 0.4 one in four of the former none (docs/text.md)."""


class Topics:
    """The declared topics in an encoder's space; embed the phrases once, then ask for as many texts as come."""

    def __init__(self, encoder: Encoder):
        self._names = [topic for topic in TOPICS for _ in SEEDS[topic]]
        self._phrases = encoder.encode([phrase for topic in TOPICS for phrase in SEEDS[topic]])

    def of(self, vectors: np.ndarray) -> list[str | None]:
        """(n, d) unit vectors → the topic of each, or None."""
        if not len(vectors):
            return []
        cosine = vectors @ self._phrases.T
        nearest = cosine.argmax(axis=1)
        return [self._names[k] if row[k] >= BOUND else None for row, k in zip(cosine, nearest, strict=True)]
