"""Who bought what on which day, in arrays: what rankings are made of. A basket is what a customer bought on a day."""

from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.behaviour import CUSTOMER_PRODUCT
from expectations.errors import DataError
from ml.home import HomePath, partition_days
from ml.partitions import CODED, read_as

Kind = Literal["product", "category"]
HISTORY_DAYS = 365
"""Days up to a cutoff from which purchases are taken."""
EPOCH = date(1970, 1, 1)


class NamesNothing(DataError):
    """No event names an item of the kind that is asked for."""


@dataclass(frozen=True)
class Baskets:
    """Rows by customer, item, day: int32 places in the arrays of names, which are sorted; days since 1970.

    customer_keys, items, groups  str: what ``customer``, ``item`` and ``group`` count through
    customer, item, group         (rows,) group: of a product its category, of a category its first part; -1: none
    day, arrival                  (rows,) int32: of the purchase, and of its delivery
    bought                        (rows,) bool; else only put into the cart or marked as a favourite
    intents                       (rows,) float32: cart and favourite events
    price                         (rows,) float32: money a purchase line
    """

    customer_keys: np.ndarray
    items: np.ndarray
    groups: np.ndarray
    customer: np.ndarray
    item: np.ndarray
    group: np.ndarray
    day: np.ndarray
    arrival: np.ndarray
    bought: np.ndarray
    intents: np.ndarray
    price: np.ndarray

    def __len__(self) -> int:
        return len(self.day)

    @property
    def pair(self) -> np.ndarray:
        """(rows,) int64: one number a customer and item, rising."""
        return self.customer.astype(np.int64) * len(self.items) + self.item

    def where(self, kept: np.ndarray) -> "Baskets":
        """These rows alone (a mask, or places that rise, or a slice); names stay."""
        rows = {f.name: getattr(self, f.name)[kept] for f in fields(self)[3:]}
        return replace(self, **rows)

    def as_of(self, day: int) -> "Baskets":
        """What had happened and had arrived by ``day``, within HISTORY_DAYS."""
        return self.where((self.day > day - HISTORY_DAYS) & (self.day <= day) & (self.arrival <= day))

    def purchases(self) -> "Baskets":
        """One row for each day on which a customer bought an item, however many deliveries told of it."""
        bought = self.where(self.bought)
        pair = bought.pair
        return bought.where(np.r_[True, (pair[1:] != pair[:-1]) | (bought.day[1:] != bought.day[:-1])][: len(pair)])

    def of_customers(self, places: np.ndarray) -> "Baskets":
        """Customers at ``places``, which rise, alone: they are counted anew from 0."""
        start, end = np.searchsorted(self.customer, places), np.searchsorted(self.customer, places, side="right")
        owner = np.repeat(np.arange(len(places), dtype=np.int32), end - start)
        part = self.where(np.arange(len(owner)) + (start - np.r_[0, np.cumsum(end - start)[:-1]])[owner])
        return replace(part, customer_keys=self.customer_keys[places], customer=owner)

    def with_customers(self, keys: np.ndarray) -> tuple["Baskets", np.ndarray]:
        """These rows among the customers of ``keys`` too, who may have bought nothing; and the place of each key."""
        known = np.unique(np.concatenate([self.customer_keys.astype(str), keys.astype(str)]))
        place = np.searchsorted(known, self.customer_keys.astype(str)).astype(np.int32)
        whole = replace(self, customer_keys=known.astype(object), customer=place[self.customer])
        return whole, np.searchsorted(known, keys.astype(str))


@dataclass(frozen=True)
class Targets:
    """A basket a customer, to be foretold. pairs: (rows,) int64, sorted; sizes: (customers,) items in it, 0: none."""

    pairs: np.ndarray
    sizes: np.ndarray
    items: int

    @property
    def customers(self) -> np.ndarray:
        """Places of those who have one."""
        return np.flatnonzero(self.sizes)

    def of_customers(self, places: np.ndarray) -> "Targets":
        """The baskets of these customers alone; the others have none."""
        sizes = np.zeros_like(self.sizes)
        sizes[places] = self.sizes[places]
        return Targets(self.pairs[sizes[self.pairs // self.items] > 0], sizes, self.items)

    def holds(self, pairs: np.ndarray) -> np.ndarray:
        """Whether each of ``pairs`` is in the customer's basket."""
        return is_member(self.pairs, pairs)


def distinct(values: np.ndarray) -> np.ndarray:
    """Each value once, rising. Fast where long stretches rise already."""
    ordered = np.sort(values, kind="stable")
    return ordered[np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)]]


def is_member(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Whether each of ``wanted`` is in ``known``, which is sorted."""
    if not len(known):
        return np.zeros(len(wanted), bool)
    return known[np.minimum(np.searchsorted(known, wanted), len(known) - 1)] == wanted


def next_baskets(baskets: Baskets, cutoff: int, horizon_days: int) -> Targets:
    """What each customer bought on their first day after ``cutoff``, if within ``horizon_days`` and arrived by then."""
    last = cutoff + horizon_days
    after = baskets.where(baskets.bought & (baskets.day > cutoff) & (baskets.day <= last) & (baskets.arrival <= last))
    first = np.full(len(baskets.customer_keys), last + 1)
    np.minimum.at(first, after.customer, after.day)
    return targets_of(after.where(after.day == first[after.customer]))


def targets_of(chosen: Baskets) -> Targets:
    """Every customer's rows as one basket."""
    pairs = distinct(chosen.pair)
    items = len(chosen.items)
    return Targets(pairs, np.bincount(pairs // items, minlength=len(chosen.customer_keys)), items)


def day_number(day: date) -> int:
    return (day - EPOCH).days


def read_baskets(kind: Kind, until: date, home: HomePath = None) -> Baskets:
    """All that had arrived by the end of ``until``; DataError where no event names a product (or a category)."""
    days = [day for day in partition_days(CUSTOMER_PRODUCT, home) if day <= until]
    rows = _read(days, home)
    path = rows["category"]
    item, group = (rows["product_id"], path) if kind == "product" else (path, _first_part(path))
    known = pc.is_valid(item)
    rows, item, group = rows.filter(known), item.filter(known), group.filter(known)
    if not len(rows):
        raise NamesNothing(
            f"lake/{CUSTOMER_PRODUCT.name} names no {kind} up to {until}: run `python -m jobs aggregate` for its days; "
            f"where a shop's events name no {kind}, there is none to recommend"
        )
    keys, customer = _coded(rows["customer_key"])
    items, item = _coded(item)
    groups, group = _coded(group)
    count = rows["purchase_count"].to_numpy()
    amount = pc.cast(rows["purchase_amount"], pa.float64()).to_numpy()
    day, arrival = (pc.cast(rows[name], pa.int32()).to_numpy() for name in ("last_event_date", "arrival_date"))
    price = (amount / np.maximum(count, 1)).astype(np.float32)
    intents = rows["intent_count"].to_numpy().astype(np.float32)
    found = Baskets(keys, items, groups, customer, item, group, day, arrival, count > 0, intents, price)
    return found.where(np.lexsort((arrival, day, item, customer)))


def _first_part(path: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.list_element(pc.split_pattern(pc.cast(path, pa.string()), ".", max_splits=1), 0)


def _coded(texts: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """(distinct texts, sorted; place of each row's text among them, -1 for none)."""
    coded = pc.dictionary_encode(texts)
    coded = coded.unify_dictionaries().combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    names = np.array(coded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names.astype(str), kind="stable")
    place = np.empty(len(names) + 1, np.int32)
    place[order], place[-1] = np.arange(len(names)), -1
    return names[order], place[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)]


def _read(days: list[date], home: HomePath) -> pa.Table:
    types = dict.fromkeys(("customer_key", "product_id", "category"), CODED)
    types |= dict.fromkeys(("arrival_date", "last_event_date"), pa.date32())
    types |= dict.fromkeys(("purchase_count", "intent_count"), pa.int64())
    return read_as(CUSTOMER_PRODUCT, days, types | {"purchase_amount": pa.decimal128(18, 4)}, home)
