"""Strings of a source's columns → typed columns of the events table, by the feed's mapping. Pure; keeps row order."""

import hashlib
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.events import EVENTS
from jobs.reading.keys import CustomerKeys
from jobs.reading.mapping import EventTypeRule, Feed, Mapping
from jobs.schemas import arrow_schema

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_LARGEST = 1e13  # what a decimal(18,4) can hold
_TEXTS = (
    "session_id", "order_id", "product_id", "category", "brand", "campaign_id", "currency", "channel", "device",
    "country", "payment_method", "text",
)  # fmt: skip
_HASHED = {"product_hash": "product_id", "category_hash": "category", "brand_hash": "brand", "device_hash": "device",
           "payment_hash": "payment_method"}  # fmt: skip


@dataclass
class Mapped:
    """Typed columns by name; the rows that each failed conversion or drop policy hit; the rows it spoiled by column."""

    columns: dict[str, pa.Array]
    failed: dict[str, np.ndarray] = field(default_factory=dict)
    spoiled: dict[str, np.ndarray] = field(default_factory=dict)
    dropped: dict[str, np.ndarray] = field(default_factory=dict)

    def fail(self, rule: str, mask: np.ndarray, *targets: str) -> None:
        """Rows in ``mask`` broke ``rule``, so that ``targets`` are null there: converted away, not missing."""
        self.failed[rule] = mask
        for target in targets:
            self.spoiled[target] = self.spoiled.get(target, False) | mask

    def broken(self, rules: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Broken ``rules`` of the contract and failed conversions; what was spoiled does not count as missing too."""
        for target, mask in self.spoiled.items():
            if f"{target}_missing" in rules:
                rules[f"{target}_missing"] = rules[f"{target}_missing"] & ~mask
        return {rule: self.failed.get(rule, False) | rules.get(rule, False) for rule in self.failed | rules}


def map_rows(rows: pa.Table, feed: Feed, mapping: Mapping, keys: CustomerKeys, arrival: date) -> Mapped:
    """Every row of ``rows`` as an event; what cannot be converted is null and named in ``failed``."""
    text = {name: pc.utf8_trim_whitespace(_one(rows[name])) for name in rows.column_names}
    out = Mapped({})
    customer = _blank_to_null(text[feed.columns["customer_id"][0]])
    if feed.customer_id_suffix:
        customer = pc.replace_substring_regex(customer, _escaped(feed.customer_id_suffix) + "$", "")
    _map_types(out, text, feed.event_type, len(rows))
    _map_times(out, text, feed, mapping.timezone)
    _map_texts(out, text, feed, mapping, len(rows))
    _map_numbers(out, text, feed, len(rows))
    if feed.drop_without_customer:
        out.dropped["no_customer"] = ~_bools(pc.is_valid(customer))
    if feed.drop_duplicates:
        out.dropped["duplicate"] = duplicates(rows)
    out.columns |= {
        "source": _constant(mapping.source, len(rows)),
        "customer_key": keyed(customer, keys),
        "key_id": _constant(keys.key_id, len(rows)),
        "arrival_date": pa.array(np.full(len(rows), np.datetime64(arrival)), pa.date32()),
    }
    return out


def keyed(customer_id: pa.Array, keys: CustomerKeys) -> pa.Array:
    """customer_id → customer_key; every distinct id is hashed once. Null stays null."""
    encoded = customer_id.dictionary_encode()
    hashed = pa.array([keys.key(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return hashed.take(encoded.indices)


def duplicates(rows: pa.Table) -> np.ndarray:
    """True for every row that repeats an earlier one in all columns of the file."""
    numbered = rows.append_column("__row", pa.array(np.arange(len(rows))))
    first = numbered.group_by(rows.column_names, use_threads=False).aggregate([("__row", "min")])["__row_min"]
    repeated = np.ones(len(rows), bool)
    repeated[first.to_numpy()] = False
    return repeated


def _map_types(out: Mapped, text: dict[str, pa.Array], rule: EventTypeRule, size: int) -> None:
    event_type = _constant(rule.default or None, size)
    if rule.column:
        known = pc.index_in(text[rule.column], pa.array(list(rule.values)))
        mapped = pa.array(list(rule.values.values()), pa.string()).take(known)
        event_type = pc.coalesce(mapped, event_type)
    taken = np.zeros(size, bool)
    for when in rule.when:
        hit = _bools(pc.starts_with(text[when.column], when.prefix)) & ~taken
        taken |= hit
        if when.drop:
            out.dropped[when.drop] = hit
        else:
            event_type = pc.if_else(pa.array(hit), when.becomes, event_type)
    out.columns["event_type"] = event_type
    written = _bools(pc.is_valid(_blank_to_null(text[rule.column]))) if rule.column else np.ones(size, bool)
    out.fail("event_type_unknown", written & ~_bools(pc.is_valid(event_type)), "event_type")


def _map_times(out: Mapped, text: dict[str, pa.Array], feed: Feed, timezone: str) -> None:
    size = len(text[feed.columns["event_time"][0]])
    for name in ("event_time", "arrival_time"):
        if name not in feed.columns:
            out.columns[name] = pa.nulls(size, pa.timestamp("us", tz="UTC"))
            continue
        written = text[feed.columns[name][0]]
        local, hour = times(written, feed.time_formats)
        # An hour that the clock skips or repeats is read as the earlier of its two meanings.
        zoned = pc.assume_timezone(local, timezone, ambiguous="earliest", nonexistent="earliest")
        out.columns[name] = zoned.cast(pa.timestamp("us", tz="UTC"))
        unreadable = _bools(pc.is_valid(_blank_to_null(written))) & ~_bools(pc.is_valid(local))
        out.fail(f"{name}_not_a_time", unreadable, *(("event_time", "event_date") if name == "event_time" else ()))
        if name == "event_time":
            out.columns["event_date"] = local.cast(pa.date32(), safe=False) if size else pa.array([], pa.date32())
            out.columns["event_hour"] = hour


def times(written: pa.Array, formats: tuple[str, ...]) -> tuple[pa.Array, pa.Array]:
    """Text → local times by the first format that fits, and their hours; null where none does or tells an hour.

    Every distinct text is read once. A time counts only if it is written back as it stood: the parser takes
    30 February for 1 March, 24 for the year 24.
    """
    encoded = written.dictionary_encode()
    local, hour = pa.nulls(len(encoded.dictionary), pa.timestamp("us")), pa.nulls(len(encoded.dictionary), pa.int32())
    for form in formats:
        read = _times(encoded.dictionary, form)
        if "%H" in form or "%I" in form:
            fresh = pc.if_else(pc.is_null(local), pc.hour(read).cast(pa.int32()), pa.scalar(None, pa.int32()))
            hour = pc.coalesce(hour, fresh)
        local = pc.coalesce(local, read)
    return local.take(encoded.indices), hour.take(encoded.indices)


def _times(texts: pa.Array, form: str) -> pa.Array:
    padded = form.replace("%-", "%")
    read = pc.strptime(texts, format=padded, unit="s", error_is_null=True)
    again, stood = pc.utf8_lower(pc.strftime(read, format=padded)), pc.utf8_lower(texts)
    if padded != form:  # %-d, %-m: one digit will do
        again, stood = (pc.replace_substring_regex(t, r"\b0(\d)(\D|$)", r"\1\2") for t in (again, stood))
    kept = pc.if_else(pc.equal(again, stood), read, pa.scalar(None, read.type))
    return kept.cast(pa.timestamp("us"))


def _map_texts(out: Mapped, text: dict[str, pa.Array], feed: Feed, mapping: Mapping, size: int) -> None:
    for name in _TEXTS:
        parts = [_blank_to_null(text[column]) for column in feed.columns.get(name, ())]
        out.columns[name] = _joined(parts) if parts else _nulls(size)
    for name, of in _HASHED.items():
        out.columns[name] = hashed(out.columns[of])
    if "currency" not in feed.columns:
        out.columns["currency"] = _constant(mapping.currency, size)


def _joined(parts: list[pa.Array]) -> pa.Array:
    """A path of the parts that are there, parted by dots."""
    if len(parts) == 1:
        return parts[0]
    return _blank_to_null(pc.binary_join_element_wise(*parts, ".", null_handling="skip"))


def hashed(text: pa.Array) -> pa.Array:
    """31 bits of SHA-256 of each text, every distinct text hashed once. Null stays null."""
    encoded = text.dictionary_encode()
    return pa.array([hash31(value) for value in encoded.dictionary.to_pylist()], pa.int32()).take(encoded.indices)


def hash31(text: str) -> int:
    """The first 4 bytes of SHA-256 of the text in UTF-8, big-endian, with the top bit cleared."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


def _map_numbers(out: Mapped, text: dict[str, pa.Array], feed: Feed, size: int) -> None:
    numbers = {}
    for name in ("quantity", "unit_price", "amount", "price", "discount_amount", "rating"):
        target = "amount" if name == "unit_price" else name
        parts = [_number(out, c, text[c], target) for c in feed.columns.get(name, ())]
        if parts:
            numbers[name] = parts[0]
            for part in parts[1:]:
                numbers[name] = pc.add(numbers[name], part)
    if feed.negative_returns:
        sign = pc.if_else(pc.equal(out.columns["event_type"], "return"), -1.0, 1.0)
        for name in numbers.keys() & {"quantity", "amount"}:
            numbers[name] = pc.multiply(numbers[name], sign)
    if "amount" not in numbers and {"quantity", "unit_price"} <= numbers.keys():
        numbers["amount"] = pc.multiply(numbers["quantity"], numbers["unit_price"])
    numbers.setdefault("price", numbers.get("unit_price"))
    for name in ("quantity", "amount", "price", "discount_amount"):
        out.columns[name] = _decimal(out, name, numbers.get(name), size)
    out.columns["price"] = pc.coalesce(out.columns["price"], _price(out.columns["amount"], out.columns["quantity"]))
    out.columns["rating"] = numbers.get("rating", pa.nulls(size, pa.float64()))


def _price(amount: pa.Array, quantity: pa.Array) -> pa.Array:
    """amount / quantity to four places; null for no items, or where it is more than a price can hold."""
    items = pc.if_else(pc.greater(quantity, 0), quantity, pa.scalar(None, quantity.type)).cast(pa.float64())
    price = pc.round(pc.divide(amount.cast(pa.float64()), items), 4)
    return pc.if_else(pc.less(pc.abs(price), _LARGEST), price, None).cast(amount.type, safe=False)


def _number(out: Mapped, column: str, text: pa.Array, target: str) -> pa.Array:
    filled = _blank_to_null(text)
    is_number = pc.match_substring_regex(filled, _NUMBER)
    out.fail(f"{column}_not_a_number", _bools(pc.invert(is_number)), target)
    return pc.if_else(is_number, filled, pa.scalar(None, pa.string())).cast(pa.float64())


def _decimal(out: Mapped, name: str, number: pa.Array | None, size: int) -> pa.Array:
    kind = arrow_schema(EVENTS).field(name).type
    if number is None:
        return pa.nulls(size, kind)
    fits = pc.less(pc.abs(number), _LARGEST)
    out.fail(f"{name}_too_large", _bools(pc.invert(fits)), name)
    # + 0.0 turns -0.0 into 0.0
    return pc.add(pc.if_else(fits, number, pa.scalar(None, pa.float64())), 0.0).cast(kind, safe=False)


def _one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else combined.chunk(0)


def _blank_to_null(text: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _constant(value: str | None, size: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), size)


def _nulls(size: int) -> pa.Array:
    return pa.nulls(size, pa.string())


def _bools(mask: pa.Array) -> np.ndarray:
    """A mask as NumPy booleans, null counting as False."""
    return pc.fill_null(mask, False).to_numpy(zero_copy_only=False)


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if not c.isalnum() else c for c in text)
