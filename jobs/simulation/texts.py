"""Every text that customers of the simulated shop write, with its known language, sentiment and topic."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from expectations.measures import TOPICS
from jobs.simulation.categories import CATEGORY_WORDS
from jobs.simulation.phrases import CLOSERS, OPENERS, REQUESTS, SAYINGS, SPAM

LANGUAGES = ("en", "zh")
SENTIMENTS = (-1, 0, 1)
_ADJECTIVES = {"en": ("", "cheap ", "best ", "black ", "small ", "new "), "zh": ("", "便宜的", "新款", "黑色")}


@dataclass(frozen=True)
class Texts:
    """All texts; runs of numbers by what they say. Each run is (first, count).

    kind: event type. sentiment: -1, 0, 1; topic: one of TOPICS, or empty (searches).
    """

    text: list[str]
    kind: list[str]
    language: list[str]
    sentiment: list[int]
    topic: list[str]
    reviews: np.ndarray
    """languages × sentiments × topics × 2; see ``pick``."""
    support: np.ndarray
    """languages × topics × 2."""
    search: np.ndarray
    """languages × categories × 2."""
    spam: np.ndarray
    """Spam reviews: one run."""

    def pick(self, runs: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """A number of a text out of each row's run (rows × 2), by ``chance`` in 0 … 1."""
        return (runs[..., 0] + (chance * runs[..., 1]).astype(np.int32)).astype(np.int32)


class _Builder:
    def __init__(self) -> None:
        self.order: list[tuple[str, str, str, int, str]] = []

    def add(self, kind: str, language: str, sentiment: int, topic: str, texts: list[str]) -> tuple[int, int]:
        first = len(self.order)
        self.order += [(text, kind, language, sentiment, topic) for text in dict.fromkeys(texts)]
        return first, len(self.order) - first


def make_texts() -> Texts:
    """The same texts for every shop: only who writes which is drawn."""
    made = _Builder()
    reviews = [made.add("review", lang, mood, topic, _reviews(lang, mood, topic))
               for lang, mood, topic in product(LANGUAGES, SENTIMENTS, TOPICS)]  # fmt: skip
    support = [
        made.add("support", lang, -1, topic, _messages(lang, topic)) for lang, topic in product(LANGUAGES, TOPICS)
    ]
    search = [made.add("search", lang, 0, "", [a + w for a in _ADJECTIVES[lang] for w in words[n].split(",")])
              for n, lang in enumerate(LANGUAGES) for words in CATEGORY_WORDS]  # fmt: skip
    spam = made.add("review", "en", 1, "quality", list(SPAM))
    columns = [list(column) for column in zip(*made.order, strict=True)]
    shape = (len(LANGUAGES), len(SENTIMENTS), len(TOPICS), 2)
    return Texts(*columns, np.array(reviews).reshape(shape), np.array(support).reshape(shape[0], shape[2], 2),
                 np.array(search).reshape(shape[0], -1, 2), np.array(spam))  # fmt: skip


def _reviews(language: str, sentiment: int, topic: str) -> list[str]:
    parts = OPENERS[language][sentiment], SAYINGS[language][topic][sentiment], CLOSERS[language][sentiment]
    joint = " " if language == "en" else ""
    return [joint.join(part for part in chosen if part) for chosen in product(*parts)]


def _messages(language: str, topic: str) -> list[str]:
    joint = " " if language == "en" else ""
    return [joint.join(chosen) for chosen in product(SAYINGS[language][topic][-1], REQUESTS[language])]
