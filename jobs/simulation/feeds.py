"""What the files of a simulated delivery are called, and the texts behind the numbers of rows. Simulated throughout."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from expectations.events import EVENT_TYPES
from jobs.reading.hashes import hash31
from jobs.simulation import catalogue as sold
from jobs.simulation.categories import CATEGORY_NAMES
from jobs.simulation.rows import FEEDS, Rows
from jobs.simulation.world import World

FILES = {
    "contacts": "contacts.csv.gz",
    "messages": "messages.jsonl.gz",
    "orders": "orders.csv.gz",
    "web": "web.parquet",
}
FIRST_LINE = {"contacts": 2, "messages": 1, "orders": 2, "web": 1}
"""Line of a file's first row: a csv begins with its header."""
CURRENCY = "EUR"


def file_of(feed: str, day: date) -> str:
    """The feed's file of the day, relative to the source's landing."""
    return f"ds={day}/{FILES[feed]}"


assert sorted(FILES.values()) == [FILES[feed] for feed in FEEDS]  # the order in which the lake keeps them


@dataclass(frozen=True)
class Names:
    """For each number in a column of rows its text (Arrow strings), and of some the hash (``int32``)."""

    texts: dict[str, pa.Array]
    hashes: dict[str, np.ndarray]

    @classmethod
    def of(cls, world: World, customers: pa.Array) -> "Names":
        """``customers``: what stands for each customer, a key or an id."""
        wares, campaigns = world.catalogue, world.campaigns
        category = np.array(CATEGORY_NAMES, object)[wares.category]
        brand = np.array(wares.brand_names, object)[wares.brand]
        texts = {
            "kind": EVENT_TYPES, "product": wares.ids(), "category": CATEGORY_NAMES, "brand": wares.brand_names,
            "campaign": [campaigns.id(n) for n in range(campaigns.count)], "channel": sold.CHANNELS,
            "device": sold.DEVICES, "country": sold.COUNTRIES, "payment": sold.PAYMENTS, "text": world.texts.text,
        }  # fmt: skip
        hashed = {"product": wares.ids(), "category": category, "brand": brand, "device": sold.DEVICES,
                  "payment": sold.PAYMENTS}  # fmt: skip
        known = {text: hash31(text) for values in hashed.values() for text in dict.fromkeys(values)}
        return cls(
            {"customer": customers} | {name: pa.array(list(values), pa.string()) for name, values in texts.items()},
            {name: np.array([known[text] for text in values], np.int32) for name, values in hashed.items()},
        )

    def coded(self, name: str, numbers: np.ndarray) -> pa.DictionaryArray:
        """The texts of ``numbers``, null for -1, over those texts alone that occur."""
        values = self.texts[name]
        place = np.full(len(values) + 1, -1, np.int32)  # -1 reaches the last
        place[numbers] = 0
        place[-1] = -1
        used = np.flatnonzero(place == 0)
        place[used] = np.arange(len(used))
        codes = place[numbers]
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), values.take(pa.array(used)))

    def hashed(self, name: str, numbers: np.ndarray) -> pa.Array:
        """The hashes of the texts of ``numbers``; null for -1."""
        return pa.array(self.hashes[name][np.maximum(numbers, 0)], mask=numbers < 0)


def money(cents: np.ndarray, is_null: np.ndarray) -> pa.Array:
    """Cents → decimal(18,4) of whole currency."""
    return decimals(cents * 100, is_null)


def decimals(ten_thousandths: np.ndarray, is_null: np.ndarray) -> pa.Array:
    """Whole ten-thousandths → decimal(18,4)."""
    words = np.empty((len(ten_thousandths), 2), np.int64)
    words[:, 0], words[:, 1] = ten_thousandths, ten_thousandths >> 63  # little-endian, sign-extended to 128 bits
    valid = pa.array(~is_null).buffers()[1]
    return pa.Array.from_buffers(pa.decimal128(18, 4), len(words), [valid, pa.py_buffer(words)])


def received(world: World, rows: Rows, day: int) -> np.ndarray:
    """When the shop recorded each row, in seconds since 1970: two seconds later, or early on the day it arrived."""
    begin = world.plan.first_second + 86_400 * day
    return np.where(rows["time"] < begin, begin + rows["time"] % 3600, rows["time"] + 2)


def price(world: World, rows: Rows) -> np.ndarray:
    """List price of each row's product in cents; 0 where there is none."""
    return np.where(rows["product"] >= 0, world.catalogue.price[np.maximum(rows["product"], 0)], 0)
