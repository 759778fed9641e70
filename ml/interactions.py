"""Who wanted which product as of a date: customers × products, from what had arrived by then."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from expectations.behaviour import CUSTOMER_PRODUCT, PURCHASE_WEIGHT
from expectations.errors import DataError
from ml.home import HomePath, partition_days
from ml.partitions import CODED, read_as

KEYS = ("customer_key", "product_id")


@dataclass(frozen=True)
class Interactions:
    """weights  (customers, products) float32: PURCHASE_WEIGHT × purchase lines + cart and favourite events; above 0
    customer_keys, product_ids: sorted, str
    """

    customer_keys: np.ndarray
    product_ids: np.ndarray
    weights: csr_matrix

    def rows(self, customers: np.ndarray) -> "Interactions":
        """These customers alone, in this order."""
        return Interactions(self.customer_keys[customers], self.product_ids, self.weights[customers])

    def of_products(self, product_ids: np.ndarray) -> csr_matrix:
        """``weights`` with these products as its columns; products not among them are left out."""
        places = place_of(product_ids, self.product_ids)
        kept = self.weights.tocoo()
        known = places[kept.col] >= 0
        shape = len(self.customer_keys), len(product_ids)
        return csr_matrix((kept.data[known], (kept.row[known], places[kept.col[known]])), shape=shape, dtype=np.float32)


def place_of(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(wanted,) int64: where each of ``wanted`` stands in ``known``; -1 where it does not."""
    return pc.fill_null(pc.index_in(pa.array(wanted, pa.string()), pa.array(known, pa.string())), -1).to_numpy()


def read_interactions(cutoff: date, history_days: int, home: HomePath = None) -> Interactions:
    """What had arrived in the ``history_days`` up to and including ``cutoff``; DataError if there is nothing."""
    first = cutoff - timedelta(days=history_days - 1)
    rows = _read([day for day in partition_days(CUSTOMER_PRODUCT, home) if first <= day <= cutoff], home)
    weight = PURCHASE_WEIGHT * rows["purchase_count"].to_numpy() + rows["intent_count"].to_numpy()
    if not weight.any():
        raise DataError(
            f"lake/{CUSTOMER_PRODUCT.name}: nobody wanted a product in the {history_days} days up to {cutoff}: run "
            "`python -m jobs aggregate` for them; a shop whose events name no product has no factors"
        )
    return _interactions(rows, weight)


def bought_after(cutoff: date, days: int, home: HomePath = None) -> Interactions:
    """Purchase lines by customer and product in the ``days`` days after ``cutoff``, as they arrived in them."""
    window = [cutoff + timedelta(days=n) for n in range(1, days + 1)]
    known = set(partition_days(CUSTOMER_PRODUCT, home))
    if missing := [day for day in window if day not in known]:
        raise DataError(
            f"lake/{CUSTOMER_PRODUCT.name} lacks {len(missing)} of the {days} days after {cutoff}, the first "
            f"{missing[0]}: choose an earlier cutoff, or ingest and aggregate them"
        )
    rows = _read(window, home)
    late = pc.less_equal(rows["last_event_date"], pa.scalar(cutoff)).to_numpy()
    return _interactions(rows, np.where(late, 0, rows["purchase_count"].to_numpy()))


def _interactions(rows: pa.Table, weight: np.ndarray) -> Interactions:
    """Sums by customer and product, in order of both. Whole numbers: no order of addition changes them."""
    wanted = weight > 0
    (customers, row), (products, column) = (_numbered(rows[name].filter(pa.array(wanted))) for name in KEYS)
    weights = csr_matrix(
        (weight[wanted].astype(np.float32), (row, column)), shape=(len(customers), len(products)), dtype=np.float32
    )
    return Interactions(customers, products, weights)


def _numbered(texts: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """(distinct texts, sorted; number of each row's text)."""
    whole = texts.combine_chunks()
    whole = pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) and whole.num_chunks else whole
    used = pc.unique(whole.indices).to_numpy()
    names = np.array(whole.dictionary.to_pylist(), dtype=object)
    order = used[np.argsort(names[used].astype(str), kind="stable")] if len(used) else used
    place = np.zeros(len(names), np.int64)
    place[order] = np.arange(len(order))
    return names[order], place[whole.indices.to_numpy()]


def _read(days: list[date], home: HomePath) -> pa.Table:
    counts = {"purchase_count": pa.int64(), "intent_count": pa.int64(), "last_event_date": pa.date32()}
    return read_as(CUSTOMER_PRODUCT, days, dict.fromkeys(KEYS, CODED) | counts, home)
