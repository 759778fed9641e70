"""Rows of events → the compact columns of sequences, and what their order follows from."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.sequences import EVENT_TYPE_CODES, NO_HOUR, NO_PRICE, NO_TEXT
from jobs.behaviour.outliers import STEP
from jobs.behaviour.prices import EDGE
from jobs.reading.hashes import hash31

COLUMNS = [
    "source", "customer_key", "event_type", "event_time", "event_date", "event_hour", "product_hash", "category_hash",
    "brand_hash", "price", "amount", "channel", "source_file", "source_line",
]  # fmt: skip
"""What is read of events."""
TEXT_COLUMNS = ["source", "source_file", "source_line", "text_hash"]
"""What is read of text_scores."""
CODED = ("source", "customer_key", "event_type", "channel", "source_file")
"""Of those, what comes dictionary-encoded."""

CHANNELS = 2**16 - 1
EPOCH = date(1970, 1, 1)
EPOCH_WEEKDAY = EPOCH.weekday()
DECIMAL_SCALE = 10_000

Arrays = dict[str, np.ndarray]


@dataclass
class Customers:
    """Every customer met so far, numbered in that order; ``kept``: how many of their events are."""

    keys: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    kept: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))

    def numbers(self, keys: pa.DictionaryArray) -> np.ndarray:
        """(rows,) int32: the number of each row's customer. Who is new is numbered from the last on."""
        known = pc.index_in(keys.dictionary, self.keys)
        is_new = pc.is_null(known)
        new = keys.dictionary.filter(is_new)
        numbers = _filled(known, 0).astype(np.int32)
        numbers[_filled(is_new, False)] = np.arange(len(self.keys), len(self.keys) + len(new), dtype=np.int32)
        self.keys = pa.concat_arrays([self.keys, new])
        self.kept = np.concatenate([self.kept, np.zeros(len(new), np.int32)])
        return numbers[_filled(keys.indices, 0)]


@dataclass
class Texts:
    """Every text of the events met so far, by its hash, numbered in that order."""

    numbers: dict[str, int] = field(default_factory=dict)

    def rows(self, file: np.ndarray, line: np.ndarray, scores: pa.Table, files: "Files") -> np.ndarray:
        """(rows,) int32: the number of each event's text, found by its file and line; NO_TEXT for events without.

        ``scores``: rows of text_scores with TEXT_COLUMNS, of the same deliveries.
        """
        found = np.full(len(file), NO_TEXT, np.int32)
        if not len(scores):
            return found
        hashes = _whole(scores["text_hash"])
        new = [self.numbers.setdefault(text, len(self.numbers)) for text in hashes.dictionary.to_pylist()]
        numbers = np.array(new, np.int32)[_filled(hashes.indices, 0)]
        whose = _place(files.of(_whole(scores["source"]), _whole(scores["source_file"])), _whole(scores["source_line"]))
        order, places = np.argsort(whose, kind="stable"), _place(file, line)
        at = np.searchsorted(whose, places, sorter=order).clip(max=len(whose) - 1)
        is_text = whose[order[at]] == places
        found[is_text] = numbers[order[at[is_text]]]
        return found


def _place(file: np.ndarray, line: np.ndarray | pa.Array) -> np.ndarray:
    """File and line in one number: a file has fewer than 2^40 lines."""
    return (file.astype(np.int64) << 40) + np.asarray(line)


@dataclass
class Files:
    """Every source file met so far, numbered in that order. How they sort by name is asked when they are sorted."""

    numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    def of(self, source: pa.DictionaryArray, file: pa.DictionaryArray) -> np.ndarray:
        """(rows,) int32: the number of each row's (source, file)."""
        width = max(len(file.dictionary), 1)
        pairs = _filled(source.indices, 0).astype(np.int64) * width + _filled(file.indices, 0)
        found, inverse = np.unique(pairs, return_inverse=True)
        named = [(source.dictionary[int(n // width)].as_py(), file.dictionary[int(n % width)].as_py()) for n in found]
        return np.array([self.numbers.setdefault(name, len(self.numbers)) for name in named], np.int32)[inverse]

    @property
    def ranks(self) -> np.ndarray:
        """number → place by (source, file) among all files met so far."""
        ranks = np.empty(len(self.numbers), np.int32)
        ranks[[self.numbers[name] for name in sorted(self.numbers)]] = np.arange(len(ranks), dtype=np.int32)
        return ranks


def compact(
    rows: pa.Table, scores: pa.Table, snapshot: date, customers: Customers, files: Files, texts: Texts
) -> Arrays:
    """The arrays of EVENT_ARRAYS for ``rows``, with customer, time (µs), file and line beside them."""
    column = {name: _whole(rows[name]) for name in COLUMNS}
    day = _filled(column["event_date"].cast(pa.int32()), 0)
    time = _filled(column["event_time"].cast(pa.int64()), 0)
    file, line = files.of(column["source"], column["source_file"]), _filled(column["source_line"], 0)
    return {
        "customer": customers.numbers(column["customer_key"]),
        "time": time,
        "file": file,
        "line": line,
        "text_row": texts.rows(file, line, scores, files),
        "event_type": _coded(column["event_type"], EVENT_TYPE_CODES.__getitem__, np.uint8),
        **{
            name: _filled(column[name], 0).astype(np.uint32) for name in ("product_hash", "category_hash", "brand_hash")
        },
        "price_bucket": price_buckets(_decimals(column["price"])),
        "amount": _decimals(column["amount"]).astype(np.float32),
        "channel": _coded(column["channel"], channel_code, np.uint16),
        "hour": _filled(column["event_hour"], NO_HOUR).astype(np.int8),
        "weekday": ((day + EPOCH_WEEKDAY) % 7).astype(np.uint8),
        "age_days": ((snapshot - EPOCH).days - day).astype(np.uint16),
        "event_seconds": (time // 1_000_000).astype(np.uint32),
    }


def price_buckets(prices: np.ndarray) -> np.ndarray:
    """int16: buckets 5 % wide, edges where event_profile has them; NO_PRICE for 0."""
    there = prices > 0
    logs = np.log(prices, out=np.zeros_like(prices), where=there) / math.log(STEP)
    return np.where(there, np.floor(logs + EDGE), NO_PRICE).astype(np.int16)


def channel_code(channel: str) -> int:
    """The same number for the same channel in every snapshot, whatever others there are."""
    return 1 + hash31(channel) % CHANNELS


def _coded(texts: pa.DictionaryArray, code: Callable[[str], int], dtype: type) -> np.ndarray:
    """``code`` of each text, asked once a distinct one; 0 for null."""
    codes = np.array([*map(code, texts.dictionary.to_pylist()), 0], dtype)
    return codes[_filled(texts.indices, len(codes) - 1)]


def _decimals(values: pa.Array) -> np.ndarray:
    """float64 of decimals of 18 digits; 0 for null. By their lower word: a cast takes ten times as long."""
    values = pc.fill_null(values, 0)
    words = np.frombuffer(values.buffers()[1], np.int64)[2 * values.offset : 2 * (values.offset + len(values)) : 2]
    return words / DECIMAL_SCALE


def _whole(values: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def _filled(values: pa.Array, default: object) -> np.ndarray:
    return pc.fill_null(values, default).to_numpy(zero_copy_only=False)
