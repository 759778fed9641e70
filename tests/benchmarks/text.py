"""How well the sentiment of texts agrees with what their writers rated, and how many texts a second are scored."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from expectations.errors import UnavailableError
from expectations.version import REPOSITORY
from jobs.text.encode import scorer_of
from jobs.text.encoder import encoder_name
from jobs.text.settings import TextSettings

REVIEWS = REPOSITORY.parent / "shared" / "data" / "reviews"
ENGLISH_TEXTS = 3000
BATCH = 500


def measure(folder: Path) -> dict[str, float]:
    """AUC of the sentiment against ratings (4 and 5 good, 1 and 2 bad; English) and labels (Chinese); texts a second.

    A text a second is one vector, sentiment and topic of an English review (300 characters) in one process; median of
    batches of 500. UnavailableError without the two files of reviews.
    """
    english, chinese = english_reviews().sample(ENGLISH_TEXTS, random_state=7), chinese_reviews()
    score(english["text"][:8].tolist() + chinese["text"][:8].tolist())  # what loads once is loaded
    found, seconds = [], []
    for n in range(0, ENGLISH_TEXTS, BATCH):
        began = time.perf_counter()
        found += score(english["text"][n : n + BATCH].tolist())
        seconds.append(time.perf_counter() - began)
    # Chinese sentiment looks at characters alone: no need to wait for vectors of all of them.
    scorer = scorer_of(TextSettings(), encoder_name(TextSettings().encoder))
    texts = chinese["text"].tolist()
    scores = scorer.sentiment.of(texts, ["zh"] * len(texts), np.empty((len(texts), 0)))
    return {
        "sentiment_auc_english": auc(english["is_good"], found),
        "sentiment_auc_chinese": auc(chinese["is_good"], scores),
        "texts_per_s": BATCH / float(np.median(seconds)),
    }


def english_reviews() -> pd.DataFrame:
    """text, is_good of clothing reviews with a text and a rating other than 3."""
    rows = _read("womens_clothing.csv.gz").dropna(subset="Review Text")
    rows = rows[rows["Rating"] != 3]
    return pd.DataFrame({"text": rows["Review Text"], "is_good": rows["Rating"] > 3})


def chinese_reviews() -> pd.DataFrame:
    """text, is_good of restaurant deliveries."""
    rows = _read("waimai_10k.csv.gz")
    return pd.DataFrame({"text": rows["review"], "is_good": rows["label"] == 1})


def _read(name: str) -> pd.DataFrame:
    file = REVIEWS / name
    if not file.exists():
        raise UnavailableError(f"{file} is not there: agreement with ratings cannot be measured")
    return pd.read_csv(file)


def score(texts: list[str]) -> list[float | None]:
    """The sentiment of each text, by the whole way that the job takes."""
    columns = [pa.array(texts), pa.array(texts), pa.nulls(len(texts), pa.list_(pa.float32()))]
    batch = pa.record_batch(columns, names=["text_hash", "text", "vector"])
    scorer = scorer_of(TextSettings(), encoder_name(TextSettings().encoder))
    return scorer.score(batch).column("sentiment").to_pylist()


def auc(is_good: pd.Series, scores: list[float | None]) -> float:
    """Share of pairs, one good and one bad, of which the good one scores higher; a text without a score counts as 0."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_good, [0.0 if score is None else score for score in scores]))
