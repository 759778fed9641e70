"""What all sources offer each customer, in one table of rows."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from ml.ranking.baskets import is_member
from ml.recommending.sources import SOURCES, Scene, scored

PLACE_SCALE = 5.0
"""A source's first place counts 1, its sixth half: 1 / (1 + place / PLACE_SCALE)."""
NAMES = (
    *(f"{name}_score" for name in SOURCES), *(f"{name}_place" for name in SOURCES),
    "basket_share", "trend", "repurchase_rate", "baskets", "basket_size", "days_since", "days_since_to_between",
    "bought_days", "basket_share_own",
)  # fmt: skip


@dataclass(frozen=True)
class Offered:
    """Rows by customer, then item. customer: (rows,) places among those asked for; item: (rows,) places of items.

    features  (rows, NAMES) float64; owned: (rows,) bool, whether the customer has bought it before
    """

    customer: np.ndarray
    item: np.ndarray
    features: np.ndarray
    owned: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.features[:, NAMES.index(name)]


def offered(scene: Scene, customers: np.ndarray, day: int) -> Offered:
    """The candidates of ``customers`` (places, rising) as of ``day``, the scene's."""
    items = len(scene.seen.items)
    tables = {name: scored(scene, name, customers) for name in SOURCES}
    pairs = {name: _pairs(table, items) for name, table in tables.items()}
    whole = np.unique(np.concatenate(list(pairs.values())))
    features = np.zeros((len(whole), len(NAMES)))
    for n, (name, table) in enumerate(tables.items()):
        at = np.searchsorted(whole, pairs[name])
        features[at, n] = table.data
        features[at, len(SOURCES) + n] = 1 / (1 + _places(table) / PLACE_SCALE)
    customer, item = whole // items, whole % items
    owned = is_member(_pairs(scene.weights[customers].sorted_indices(), items), whole)
    features[:, 2 * len(SOURCES) :] = _context(scene, customers, customer, item, day)
    return Offered(customer, item, features, owned)


def _pairs(table: csr_matrix, items: int) -> np.ndarray:
    row = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    return row.astype(np.int64) * items + table.indices


def _places(table: csr_matrix) -> np.ndarray:
    """0 for each row's strongest, in the order of the table's entries."""
    row = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    order = np.lexsort((table.indices, -table.data.round(12), row))
    places = np.empty(len(row))
    places[order] = np.arange(len(row)) - table.indptr[row[order]]
    return places


def _context(scene: Scene, customers: np.ndarray, customer: np.ndarray, item: np.ndarray, day: int) -> np.ndarray:
    """(rows, 9): what is known of the item and of the customer, and of the two together."""
    items, (baskets, size) = scene.weights.shape[1], scene.habits
    columns, who = scene.facts.columns, customers[customer]
    pair, last, count, first = scene.own_days
    at = np.minimum(np.searchsorted(pair, who * np.int64(items) + item), max(len(pair) - 1, 0))
    known = (pair[at] == who * np.int64(items) + item) if len(pair) else np.zeros(len(who), bool)
    days = np.where(known, count[at], 0)
    since = np.where(known, day - last[at], 365.0)
    between = np.where(known & (count[at] > 1), (last[at] - first[at]) / np.maximum(count[at] - 1, 1), 0.0)
    due = np.where(between > 0, np.minimum(since / np.maximum(between, 1), 5.0), 0.0)
    return np.column_stack([
        columns["basket_share"][item], np.log(columns["trend_28d"][item]), columns["repurchase_rate"][item],
        np.log1p(baskets[who]), np.log1p(size[who]), np.log1p(since), due, np.log1p(days),
        days / np.maximum(baskets[who], 1),
    ])  # fmt: skip
