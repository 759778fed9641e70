"""What is known of products beside who buys them: their brands, and the words of their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from expectations.behaviour import CUSTOMER_PRODUCT
from ml.home import HomePath, partition_days
from ml.partitions import CODED, read_as

WORD = r"(?u)[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]{2,}"
"""A word of two letters or more; a Chinese character, since no spaces part those words."""


@dataclass(frozen=True)
class Wares:
    """brand: (items,) int32, which of ``brands`` each product is of, -1: none known.

    words: (items, terms) TF-IDF of the product's name, of length 1; rows of 0 where it has none (Salton, Buckley 1988).
    """

    brand: np.ndarray
    brands: int
    words: csr_matrix

    @classmethod
    def unknown(cls, items: int) -> "Wares":
        return cls(np.full(items, -1, np.int32), 0, csr_matrix((items, 0)))


def read_wares(items: np.ndarray, names: Mapping[str, str], day: date, home: HomePath = None) -> Wares:
    """Of ``items``, by the events that had arrived by ``day``; ``names``: product → name, of those that have one."""
    brand, brands = _brands(items, day, home)
    return Wares(brand, brands, word_weights([names.get(item, "") for item in items]))


def _brands(items: np.ndarray, day: date, home: HomePath) -> tuple[np.ndarray, int]:
    """What the newest delivery that names a product's brand says."""
    days = [one for one in partition_days(CUSTOMER_PRODUCT, home) if one <= day]
    rows = read_as(CUSTOMER_PRODUCT, days, {"product_id": CODED, "brand": CODED}, home)
    rows = rows.filter(pc.is_valid(rows["brand"])).combine_chunks()
    found = np.full(len(items), -1, np.int32)
    if not len(rows):
        return found, 0
    product, brand = (rows[name].combine_chunks() for name in ("product_id", "brand"))
    place = pc.index_in(product.dictionary, pa.array(items, pa.string())).fill_null(-1).to_numpy()
    place, code = place[product.indices.to_numpy()], brand.indices.to_numpy()
    found[place[place >= 0]] = code[place >= 0]  # in the order of deliveries: the last one stays
    return found, len(brand.dictionary)


def word_weights(names: list[str]) -> csr_matrix:
    """(names, terms): TF-IDF, of length 1."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    known, which = np.unique(np.array(names, dtype=str), return_inverse=True)
    try:
        return TfidfVectorizer(token_pattern=WORD).fit_transform(known)[which]
    except ValueError:  # there is no word in any of them
        return csr_matrix((len(names), 0))
