"""Review abuse: many reviews on a day, many of one text, one text from many customers on a day."""

import numpy as np
import pandas as pd
from scipy.stats import poisson

from jobs.risk.copies import near_groups, normalised
from jobs.risk.listing import Found, count
from jobs.risk.settings import RiskSettings, beyond

COLUMNS = ["customer_key", "event_date", "score", "by", "number", "usual"]


def find_reviewers(reviews: pd.DataFrame, settings: RiskSettings) -> Found:
    """``reviews``: see jobs.risk.reading.reviews. Each customer's strongest sign counts, the others are told beside."""
    reviews = reviews.assign(group=text_groups(reviews["text"], settings.review_similarity))
    signs = pd.concat([_of_a_day(reviews, settings), _copies(reviews, settings), _crowds(reviews, settings)])
    told = dict(list(signs[signs["score"] >= settings.medium_from].groupby("customer_key")))
    return Found("review_abuse", signs, lambda row: _words(told[row.customer_key]))


def text_groups(texts: pd.Series, similarity: float) -> np.ndarray:
    """(texts,) numbers of groups of near-equal texts; -1 for no text. In order of the texts, so that runs agree."""
    plain = texts.fillna("").map(normalised)
    distinct = np.array(sorted(set(plain) - {""}), dtype=object)
    groups = near_groups(distinct, similarity)
    place = pd.Index(distinct).get_indexer(plain)
    return np.where(place >= 0, groups[place] if len(groups) else -1, -1)


def _of_a_day(reviews: pd.DataFrame, settings: RiskSettings) -> pd.DataFrame:
    found = reviews.groupby(["customer_key", "event_date"], observed=True).size().reset_index(name="number")
    return _signs(found, "day", beyond(found["number"], settings.review_day_count))


def _copies(reviews: pd.DataFrame, settings: RiskSettings) -> pd.DataFrame:
    """Of nearly one text; dated by the last of them."""
    texts = reviews[reviews["group"] >= 0].groupby(["customer_key", "group"], observed=True)["event_date"]
    found = texts.agg(["size", "max"]).reset_index().rename(columns={"size": "number", "max": "event_date"})
    return _signs(found, "copies", beyond(found["number"], settings.review_copies))


def _crowds(reviews: pd.DataFrame, settings: RiskSettings) -> pd.DataFrame:
    """Customers of a text on a day against what its other days bring, one at least: by how rare Poisson makes that."""
    once = reviews[reviews["group"] >= 0].drop_duplicates(["customer_key", "event_date", "group"])
    daily = once.groupby(["group", "event_date"]).size().reset_index(name="number")
    days = max(reviews["event_date"].nunique() - 1, 1)
    others = daily.groupby("group")["number"].transform("sum") - daily["number"]
    daily["usual"] = np.maximum(others / days, 1)
    rarity = -poisson.logsf(daily["number"] - 1, daily["usual"]) / np.log(10)
    daily["score"] = beyond(rarity, settings.review_crowd_surprise)
    found = once.merge(daily[daily["score"] >= settings.medium_from], on=["group", "event_date"])
    return _signs(found, "crowd", found["score"])


def _signs(found: pd.DataFrame, by: str, score: np.ndarray) -> pd.DataFrame:
    return found.assign(by=by, score=score).reindex(columns=COLUMNS)


def _words(signs: pd.DataFrame) -> list[str]:
    texts = {
        "day": lambda row: f"{count(row.number, 'review')} on {row.event_date}",
        "copies": lambda row: f"{count(row.number, 'review')} of nearly one text",
        "crowd": lambda row: f"{count(row.number, 'customer')} wrote nearly one text on {row.event_date} "
        f"(usual {row.usual:.1f})",
    }  # fmt: skip
    strongest = signs.sort_values(["score", "event_date"], ascending=[False, True], kind="stable")
    rows = strongest.drop_duplicates("by")
    return [texts[by](row) for by, (_, row) in zip(rows["by"], rows.iterrows(), strict=True)]
