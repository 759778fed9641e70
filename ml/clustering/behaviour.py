"""What clusters are made of: chosen features of a customer as of a day, by theme, and the model's embedding."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Measure:
    """A feature that clusters look at.

    is_heavy: a count or amount with a long tail, looked at by its logarithm.
    evidence: the feature that counts the events behind a ratio or mean; empty where the feature needs none.
    """

    theme: str
    name: str
    is_heavy: bool = False
    evidence: str = ""


_PURCHASES, _ORDERS, _SESSIONS = "purchase_count_365d", "order_count_365d", "session_count_365d"
_CONTACTS = "campaign_count_365d"
MEASURES = (
    Measure("buying", "purchase_days_365d", is_heavy=True),
    Measure("buying", "average_order_amount_365d", is_heavy=True, evidence=_ORDERS),
    Measure("buying", "items_per_line_365d", is_heavy=True, evidence=_PURCHASES),
    Measure("browsing", "session_count_365d", is_heavy=True),
    Measure("browsing", "session_depth_365d", is_heavy=True, evidence=_SESSIONS),
    Measure("browsing", "bounce_rate_365d", evidence=_SESSIONS),
    Measure("browsing", "search_per_session_365d", evidence=_SESSIONS),
    Measure("browsing", "cart_per_view_365d", evidence="view_count_365d"),
    Measure("browsing", "favourite_count_365d", is_heavy=True),
    Measure("prices", "price_rank_mean_365d", evidence=_PURCHASES),
    Measure("prices", "discounted_line_share_365d", evidence=_PURCHASES),
    Measure("prices", "coupon_rate_365d", evidence=_ORDERS),
    Measure("hours", "night_share_365d", evidence=_SESSIONS),
    Measure("hours", "morning_share_365d", evidence=_SESSIONS),
    Measure("hours", "evening_share_365d", evidence=_SESSIONS),
    Measure("hours", "weekend_share_365d", evidence=_SESSIONS),
    Measure("breadth", "category_diversity_365d", is_heavy=True),
    Measure("after_sale", "return_rate_365d", evidence=_ORDERS),
    Measure("after_sale", "sentiment_mean_365d", evidence="text_count_365d"),
    Measure("after_sale", "review_count_365d", is_heavy=True),
    Measure("campaigns", "open_rate_365d", evidence=_CONTACTS),
    Measure("campaigns", "click_rate_365d", evidence=_CONTACTS),
)
"""A year's worth: habits, not this week's mood. Nobody's age, sex or income, and none of what tiers and stages say."""
COLUMNS = tuple(dict.fromkeys([one.name for one in MEASURES] + [one.evidence for one in MEASURES if one.evidence]))
"""The columns of the features table that are read."""


@dataclass(frozen=True)
class Behaviour:
    """One row a customer, in the order of their keys.

    keys       (rows,) str
    columns    name of COLUMNS → (rows,) float64, NaN where null
    embedding  (rows, width) float64, NaN rows for customers without one; None where the day has none
    """

    keys: np.ndarray
    columns: dict[str, np.ndarray]
    embedding: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def rows(self, chosen: np.ndarray | slice) -> "Behaviour":
        return replace(
            self,
            keys=self.keys[chosen],
            columns={name: values[chosen] for name, values in self.columns.items()},
            embedding=None if self.embedding is None else self.embedding[chosen],
        )

    def sample(self, customers: int, seed: int) -> "Behaviour":
        """At most so many, drawn by the hash of key and seed: whoever is drawn on a day is drawn on the next."""
        if len(self) <= customers:
            return self
        salt = f"{seed}".encode()
        ranks = np.array([hashlib.blake2b(key.encode(), digest_size=8, key=salt).digest() for key in self.keys])
        return self.rows(np.sort(np.argsort(ranks, kind="stable")[:customers]))


def behaviour_of(features: pa.Table, embeddings: pa.Table | None = None) -> Behaviour:
    """From rows of the tables features (customer_key and COLUMNS) and embeddings, one a customer each, in any order."""
    features = features.sort_by("customer_key")
    keys = features["customer_key"].to_numpy()
    columns = {name: features[name].cast(pa.float64()).to_numpy() for name in COLUMNS}
    return Behaviour(keys, columns, None if embeddings is None else _placed(keys, embeddings))


def _placed(keys: np.ndarray, embeddings: pa.Table) -> np.ndarray:
    """(rows, width): the embedding of each key; NaN for keys without one."""
    lists = embeddings["embedding"].combine_chunks()
    flat = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)
    place = pa.compute.index_in(pa.array(keys, pa.string()), embeddings["customer_key"].combine_chunks())
    found = place.fill_null(-1).to_numpy()
    return np.where(found[:, None] >= 0, flat[found].astype(np.float64), np.nan)
