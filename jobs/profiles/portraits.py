"""Every segment in words and numbers: size, what sets it apart, what it wants, how it feels, how it behaves."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from expectations.behaviour import FEATURES
from expectations.portraits import SEGMENT_KINDS
from jobs.profiles.apart import Difference, differences
from jobs.risk.listing import count

REVENUE = "purchase_amount_365d"
TEXTS, MOOD = "text_count_365d", "sentiment_mean_365d"
STEPS = ("view", "search", "add_to_cart", "purchase", "return", "review", "support")
"""Of a typical journey, in its order: event types with a count of 90 days among the features."""
SHOWN = {"difference": 8, "category": 5, "tag": 8}
"""Fact → how many are told, the most telling first."""
LEAST_TOLD = 3
"""Customers of a segment who must share what its summary says of them."""
CUSTOMER_COLUMNS = ("customer_key", "value_tier", "lifecycle_stage", "cluster_id")


@dataclass(frozen=True)
class Fact:
    """A row of segment_portraits without its date and segment; ``rank`` within its fact, ``others``: value of those."""

    fact: str
    words: str
    rank: int = 1
    item: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    others: float | None = None


def portraits(
    customers: pd.DataFrame, tags: pd.DataFrame, compared: list[str], day: date,
    cluster_names: dict[str, str] | None = None,
) -> list[dict]:  # fmt: skip
    """Rows of the segment_portraits contract.

    customers  one row each: CUSTOMER_COLUMNS, favourite_category, features of ``compared``, STEPS, revenue and mood
    tags       customer_key, tag
    cluster_names  segment → what the summary of a cluster begins with
    """
    owner = pd.Index(customers["customer_key"]).get_indexer(tags["customer_key"])
    rows = []
    for kind in SEGMENT_KINDS:
        names = _segments(customers, kind)
        for segment in sorted(names.dropna().unique(), key=str):
            inside = (names == segment).to_numpy(bool, na_value=False)
            carried = [tags.loc[(owner >= 0) & side[owner], "tag"] for side in (inside, ~inside)]
            name = (cluster_names or {}).get(str(segment), "") if kind == "cluster" else ""
            facts = portrait(customers, inside, carried, differences(customers[compared], inside), name)
            about = {"snapshot_date": day, "segment_kind": kind, "segment": str(segment)}
            rows += [about | vars(fact) for fact in facts]
    return rows


def _segments(customers: pd.DataFrame, kind: str) -> pd.Series:
    """The segment of each customer, as text; missing where there is none."""
    return customers["cluster_id"].astype("Int64").astype("string") if kind == "cluster" else customers[kind]


def portrait(
    customers: pd.DataFrame, inside: np.ndarray, tags: list[pd.Series], apart: list[Difference], name: str = ""
) -> list[Fact]:
    """The facts of one segment, its summary first. ``tags``: of its customers, and of all others, one row a carrier."""
    mine, people = customers[inside], (int(inside.sum()), int((~inside).sum()))
    wanted = [customers.loc[side, "favourite_category"].dropna() for side in (inside, ~inside)]
    told = [
        *_sizes(mine, customers),
        *(_difference(found, rank) for rank, found in enumerate(apart[: SHOWN["difference"]], start=1)),
        *_shares("category", wanted, people, "want {} most"),
        *_shares("tag", tags, people, "carry the tag {}"),
        *_mood(mine),
        *_journey(mine),
    ]
    return [Fact("summary", f"{name[0].upper()}{name[1:]}. {_summary(told)}" if name else _summary(told)), *told]


def _sizes(mine: pd.DataFrame, everybody: pd.DataFrame) -> Iterator[Fact]:
    share, total = len(mine) / len(everybody), float(everybody[REVENUE].sum())
    revenue = float(mine[REVENUE].sum()) / total if total else 0.0
    yield Fact("size", count(len(mine), "customer"), value=float(len(mine)))
    yield Fact("customer_share", f"{share:.1%} of all customers", value=share)
    yield Fact("revenue_share", f"{revenue:.1%} of what was paid within 365 days", value=revenue)


def _difference(found: Difference, rank: int) -> Fact:
    words = (
        f"{in_words(found)}: {found.value:+.2f} standard deviations, 95 % interval {found.low:+.2f} … {found.high:+.2f}"
    )
    return Fact("difference", words, rank, found.feature, found.value, found.low, found.high)


def in_words(found: Difference) -> str:
    """Means in words: 356 events in the last 90 days (others 95)."""
    from ml.reasons.words import PURCHASE, number
    from ml.reasons.words import in_words as told

    others = number(found.outside, FEATURES.column(found.feature).unit)
    return f"{told(found.feature, found.inside, PURCHASE)} (others {others})"


def _shares(fact: str, items: list[pd.Series], people: tuple[int, int], words: str) -> Iterator[Fact]:
    """How many of the segment have each item, first those whose share exceeds that of all others most surely.

    ``items``, ``people``: of the segment, and of all others. Of equals the first by name.
    """
    mine, theirs = (side.value_counts() for side in items)
    told = []
    for item, n in mine.items():
        share, low, high = n / people[0], *_wilson(n, people[0])
        others, _, most = _share_of(int(theirs.get(item, 0)), people[1])
        # The least that the difference may be (Newcombe 1998).
        least = share - others - np.hypot(share - low, most - others)
        told.append((-round(float(least), 12), str(item), share, low, high, others if people[1] else None))
    for rank, (_, item, share, low, high, others) in enumerate(sorted(told)[: SHOWN[fact]], start=1):
        beside = "" if others is None else f" (others {others:.0%})"
        yield Fact(fact, f"{share:.0%} {words.format(item)}{beside}", rank, item, share, low, high, others)


def _share_of(hits: int, people: int) -> tuple[float, float, float]:
    """(share, low, high); of nobody 0."""
    return (hits / people, *_wilson(hits, people)) if people else (0.0, 0.0, 0.0)


def _wilson(hits: int, people: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    share, spread = hits / people, z * z / people
    middle = (share + spread / 2) / (1 + spread)
    reach = z * np.sqrt(share * (1 - share) / people + spread / people / 4) / (1 + spread)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def _mood(mine: pd.DataFrame) -> Iterator[Fact]:
    """Of the segment's texts, each counted once; nothing where nobody wrote."""
    known = mine[mine[MOOD].notna() & (mine[TEXTS] > 0)]
    if len(known):
        mood, texts = float(np.average(known[MOOD], weights=known[TEXTS])), int(known[TEXTS].sum())
        yield Fact("sentiment", f"mood {mood:+.2f} on a scale of -1 to 1, in {texts:,} texts", value=mood)


def _journey(mine: pd.DataFrame) -> Iterator[Fact]:
    """Steps that the segment's customers take at all, in their usual order."""
    from ml.reasons.words import PURCHASE
    from ml.reasons.words import in_words as told

    steps = [(step, float(mine[f"{step}_count_90d"].mean())) for step in STEPS]
    for rank, (step, mean) in enumerate([(step, mean) for step, mean in steps if mean > 0], start=1):
        yield Fact("journey", f"{told(f'{step}_count_90d', mean, PURCHASE)}, per customer", rank, step, mean)


def _summary(told: list[Fact]) -> str:
    """Size and revenue, the strongest differences, and what is wanted and carried more often than by others."""
    by_fact: dict[str, list[Fact]] = {}
    for fact in told:
        by_fact.setdefault(fact.fact, []).append(fact)
    sizes = [by_fact[name][0].words for name in ("size", "customer_share", "revenue_share")]
    apart = [fact.words.split(":")[0] for fact in by_fact.get("difference", [])[:3]]
    people = by_fact["size"][0].value
    wants, tags = ([f.item for f in by_fact.get(name, []) if _is_telling(f, people)] for name in ("category", "tag"))
    parts = [
        f"{sizes[0]}, {sizes[1]}, {sizes[2]}",
        "on average " + "; ".join(apart) if apart else "much like everybody else",
        "more often than others wants " + " and ".join(wants[:2]) if wants else "",
        "more often than others tagged " + ", ".join(tags[:3]) if tags else "",
    ]
    return ". ".join(part[0].upper() + part[1:] for part in parts if part) + "."


def _is_telling(fact: Fact, people: float) -> bool:
    """Whether the share lies beyond that of all others, and is of some of the segment's ``people``."""
    return round(fact.value * people) >= LEAST_TOLD and (fact.others is None or fact.low > fact.others)
