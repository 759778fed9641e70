"""Columns of a source → typed columns of the events table, by the feed's mapping. Pure; keeps the order of rows."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.events import EVENT_TYPES
from jobs.reading.clean_ids import clean
from jobs.reading.coded import Coded, bools, joined, tidy
from jobs.reading.feed import NUMBERS, TEXTS, Feed
from jobs.reading.hashes import hashes
from jobs.reading.keys import CustomerKeys
from jobs.reading.mapping import Mapping
from jobs.reading.numbers import price_of, read_numbers, to_decimal
from jobs.reading.products import NO_PRODUCTS, Products
from jobs.reading.repeats import repeats
from jobs.reading.threads import each
from jobs.reading.times import read_times

_HASHED = {"product_hash": "product_id", "category_hash": "category", "brand_hash": "brand", "device_hash": "device",
           "payment_hash": "payment_method"}  # fmt: skip
_SIGNED = ("quantity", "amount")
_DECIMALS = ("quantity", "amount", "price", "discount_amount")


@dataclass
class Mapped:
    """Typed columns by name; the rows that each failed conversion or drop policy hit; the rows it spoiled by column.

    ``unknown_product``: rows whose product the delivered products do not hold. ``customer_ids``: cleaned, in the order
    of the dictionary of column customer_key.
    """

    columns: dict[str, pa.Array]
    unknown_product: np.ndarray
    customer_ids: Coded = field(default_factory=lambda: Coded.constant(None, 0))
    failed: dict[str, np.ndarray] = field(default_factory=dict)
    spoiled: dict[str, np.ndarray] = field(default_factory=dict)
    dropped: dict[str, np.ndarray] = field(default_factory=dict)

    def fail(self, rule: str, mask: np.ndarray, *targets: str) -> None:
        """Rows in ``mask`` broke ``rule``, so that ``targets`` are null there: converted away, not missing."""
        if mask.any():
            self.failed[rule] = self.failed.get(rule, False) | mask
            for target in targets:
                self.spoiled[target] = self.spoiled.get(target, False) | mask

    def broken(self, rules: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Broken ``rules`` of the contract and failed conversions; what was spoiled does not count as missing too."""
        for target, mask in self.spoiled.items():
            if f"{target}_missing" in rules:
                rules[f"{target}_missing"] = rules[f"{target}_missing"] & ~mask
        return {rule: self.failed.get(rule, False) | rules.get(rule, False) for rule in self.failed | rules}


def map_rows(
    rows: dict[str, Coded | pa.Array], size: int, feed: Feed, mapping: Mapping, keys: CustomerKeys, arrival: date,
    products: Products = NO_PRODUCTS,
) -> Mapped:  # fmt: skip
    """Every one of the ``size`` rows as an event; what cannot be converted is null and named in ``failed``."""
    names = _text_columns(feed)
    text = dict(zip(names, each(lambda name: _texts(rows[name]).mapped(tidy), names, size), strict=True))
    out = Mapped({"arrival_date": pa.array(np.full(size, np.datetime64(arrival)), pa.date32())}, np.zeros(size, bool))
    out.dropped = {policy: np.zeros(size, bool) for policy in feed.drop_policies}
    parts = (
        lambda: _map_customers(out, text, feed, keys, size),
        lambda: _map_times(out, rows, feed, mapping.timezone, size),
        lambda: _map_texts(out, text, feed, mapping, products, size),
        lambda: _map_types_and_numbers(out, rows, text, feed, size),
        lambda: _drop_repeats(out, rows, feed, size),
    )
    each(lambda part: part(), parts, size)  # each fills columns of its own
    return out


def local_times(column: Coded | pa.Array, feed: Feed, timezone: str) -> pa.Array:
    """Local time of each row by the feed's formats; null where there is none.

    ``timezone``: the shop's, for typed times that name a zone.
    """
    return read_times(_tidied(column), feed.time_formats, feed.assumed_year, timezone).local


def _text_columns(feed: Feed) -> list[str]:
    of_targets = [c for name in ("customer_id", *TEXTS) for c in feed.columns.get(name, ())]
    return list(dict.fromkeys([*of_targets, *feed.type_columns]))


def _texts(column: Coded | pa.Array) -> Coded:
    return column if isinstance(column, Coded) else Coded.of(column.cast(pa.string()))


def _tidied(column: Coded | pa.Array) -> Coded | pa.Array:
    return column.mapped(tidy) if isinstance(column, Coded) else column


def _map_customers(out: Mapped, text: dict[str, Coded], feed: Feed, keys: CustomerKeys, size: int) -> None:
    ids = clean(text[feed.columns["customer_id"][0]], feed.ids.get("customer_id"))
    out.customer_ids = ids
    out.columns |= {"customer_key": keys.of_ids(ids).arrow(), "key_id": Coded.constant(keys.key_id, size).arrow()}
    if feed.drop_without_customer:
        out.dropped["no_customer"] = ids.is_null


def _map_texts(
    out: Mapped, text: dict[str, Coded], feed: Feed, mapping: Mapping, products: Products, size: int
) -> None:
    texts = {name: Coded.constant(feed.constants.get(name), size) for name in TEXTS}
    if "currency" not in feed.constants:
        texts["currency"] = Coded.constant(mapping.currency, size)
    for name in texts.keys() & feed.columns.keys():
        texts[name] = clean(joined([text[column] for column in feed.columns[name]]), feed.ids.get(name))
    out.unknown_product = products.fill(texts)
    out.columns |= {name: texts[name].arrow() for name in TEXTS}
    out.columns |= {name: hashes(texts[of]) for name, of in _HASHED.items()}
    out.columns["source"] = Coded.constant(mapping.source, size).arrow()


def _drop_repeats(out: Mapped, rows: dict[str, Coded | pa.Array], feed: Feed, size: int) -> None:
    if feed.drop_duplicates:
        out.dropped["duplicate"] = repeats(rows, size)


def _map_types_and_numbers(
    out: Mapped, rows: dict[str, Coded | pa.Array], text: dict[str, Coded], feed: Feed, size: int
) -> None:
    _map_types(out, text, feed, size)
    _map_numbers(out, rows, feed, size)


def _map_types(out: Mapped, text: dict[str, Coded], feed: Feed, size: int) -> None:
    rule, code = feed.event_type, {name: n for n, name in enumerate(EVENT_TYPES)}
    codes = np.full(size, code.get(rule.default, -1), np.int32)
    if rule.column:
        known = [code[rule.values[value]] if value in rule.values else code.get(rule.default, -1)
                 for value in text[rule.column].values.to_pylist()]  # fmt: skip
        codes = text[rule.column].of_rows(np.array(known, np.int32), code.get(rule.default, -1))
        out.fail("event_type_unknown", (codes < 0) & ~text[rule.column].is_null, "event_type")
    taken = np.zeros(size, bool)
    for when in rule.when:
        hit = text[when.column].where(bools(pc.starts_with(text[when.column].values, when.prefix))) & ~taken
        taken |= hit
        if when.drop:
            out.dropped[when.drop] |= hit
        else:
            codes = np.where(hit, np.int32(code[when.becomes]), codes)
    out.columns["event_type"] = Coded(codes, pa.array(EVENT_TYPES)).compact().arrow()


def _map_times(out: Mapped, rows: dict[str, Coded | pa.Array], feed: Feed, timezone: str, size: int) -> None:
    out.columns["arrival_time"] = pa.nulls(size, pa.timestamp("us", tz="UTC"))
    for name in ("event_time", "arrival_time"):
        if name in feed.columns:
            column = _tidied(rows[feed.columns[name][0]])
            read = read_times(column, feed.time_formats, feed.assumed_year, timezone)
            out.columns[name] = read.utc
            out.fail(f"{name}_not_a_time", read.unread, name, *(["event_date"] if name == "event_time" else []))
            if name == "event_time":
                out.columns |= {"event_date": read.date, "event_hour": read.hour}


def _map_numbers(out: Mapped, rows: dict[str, Coded | pa.Array], feed: Feed, size: int) -> None:
    given = {name: _sum(out, name, rows, feed.columns[name]) for name in NUMBERS if name in feed.columns}
    if feed.negative_returns:
        is_return = bools(pc.equal(out.columns["event_type"].cast(pa.string()), "return"))
        given |= {name: np.where(is_return, -given[name], given[name]) for name in _SIGNED if name in given}
    given |= {name: np.full(size, value) for name, value in feed.constants.items() if name in NUMBERS}
    if "unit_price" in given:
        given["price"] = given["unit_price"]
        with np.errstate(invalid="ignore", over="ignore"):  # an endless price of no items is no number
            given["amount"] = given["quantity"] * given["unit_price"]
    if {"amount", "quantity"} <= given.keys():
        price = given.get("price", np.full(size, np.nan))
        if np.isnan(price).any():
            given["price"] = np.where(np.isnan(price), price_of(given["amount"], given["quantity"]), price)
    for name in _DECIMALS:
        out.columns[name], too_large = to_decimal(given.get(name), size)
        out.fail(f"{name}_too_large", too_large, name)
    lowest, highest = feed.rating_scale
    rating = (given["rating"] - lowest) / (highest - lowest) if "rating" in given else np.full(size, np.nan)
    out.columns["rating"] = pa.array(rating, from_pandas=True)


def _sum(out: Mapped, target: str, rows: dict[str, Coded | pa.Array], columns: tuple[str, ...]) -> np.ndarray:
    """The columns' numbers added up, blanks left out; NaN where all are blank."""
    total = None
    for column in columns:
        number, wrong = read_numbers(_texts(rows[column]))
        out.fail(f"{column}_not_a_number", wrong, *(["amount", "price"] if target == "unit_price" else [target]))
        total = number if total is None else np.where(np.isnan(total), number, total + np.nan_to_num(number))
    return total
