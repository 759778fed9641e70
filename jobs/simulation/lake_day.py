"""A simulated day → the lake's tables, as ingestion of its files would make them."""

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.events import EVENT_TYPES, EVENTS, INGEST_REPORT, QUARANTINE, SESSION_TYPES
from jobs.lake import LakeTable
from jobs.reading.keys import CustomerKeys
from jobs.schemas import arrow_schema
from jobs.simulation.feeds import CURRENCY, FIRST_LINE, Names, decimals, file_of, money, price, received
from jobs.simulation.plan import SOURCE
from jobs.simulation.rows import FEED_OF_KIND, FEEDS, Rows, size_of
from jobs.simulation.run import Written
from jobs.simulation.world import World

_IN_VISIT = np.array([name in SESSION_TYPES for name in EVENT_TYPES])
# Columns whose values hardly repeat: a dictionary of them would be as long as they are.
_NOT_ENCODED = {"event_time", "arrival_time", "source_line", "is_session_start", "is_bounce"}


def encoded_schema() -> pa.Schema:
    """The events table's schema with dictionaries in the place of strings."""
    fields = [
        field.with_type(pa.dictionary(pa.int32(), pa.string())) if field.type == pa.string() else field
        for field in arrow_schema(EVENTS)
    ]
    return pa.schema(fields)


def events_of(world: World, names: Names, key_id: str, day: int, rows: Rows) -> pa.Table:
    """Rows of the events contract, in the order of its key. ``rows``: of one delivery, in delivery order."""
    size, feed, when = size_of(rows), FEED_OF_KIND[rows["kind"]], world.plan.date_of(day)
    one = partial(_repeated, size)
    product, no_product = rows["product"], rows["product"] < 0
    category = np.where(no_product, -1, world.catalogue.category[product])
    brand = np.where(no_product, -1, world.catalogue.brand[product])
    lines = (
        np.arange(size) - np.searchsorted(feed, np.arange(len(FEEDS)))[feed] + np.array(list(FIRST_LINE.values()))[feed]
    )
    columns = {
        "source": one(SOURCE), "customer_key": names.coded("customer", rows["customer"]), "key_id": one(key_id),
        "event_type": names.coded("kind", rows["kind"]), "event_time": _times(rows["time"]),
        "event_date": pa.array((rows["time"] // 86_400).astype(np.int32)).view(pa.date32()),
        "event_hour": pa.array((rows["time"] % 86_400 // 3600).astype(np.int32)),
        "arrival_date": pa.array(np.full(size, np.datetime64(when)), pa.date32()),
        "arrival_time": _times(received(world, rows, day)),
        **_sessions(rows),
        "order_id": _numbered(rows["order"]),
        "product_id": names.coded("product", product),
        "category": names.coded("category", category), "brand": names.coded("brand", brand),
        **{f"{name}_hash": names.hashed(name, product) for name in ("product", "category", "brand")},
        "device_hash": names.hashed("device", rows["device"]), "payment_hash": names.hashed("payment", rows["payment"]),
        "campaign_id": names.coded("campaign", rows["campaign"]),
        "quantity": decimals(rows["quantity"].astype(np.int64) * 10_000, rows["quantity"] < 0),
        "price": money(price(world, rows), _has_no_price(rows)),
        "amount": money(rows["amount"], rows["amount"] < 0),
        "discount_amount": money(rows["discount"], rows["discount"] < 0),
        "currency": one(CURRENCY),
        **{name: names.coded(name, rows[name]) for name in ("channel", "device", "country")},
        "payment_method": names.coded("payment", rows["payment"]),
        "text": names.coded("text", rows["text"]),
        "rating": pa.array((rows["stars"] - 1) / 4, mask=rows["stars"] < 0),
        "source_file": pa.DictionaryArray.from_arrays(
            pa.array(feed.astype(np.int32)), pa.array([file_of(name, when) for name in FEEDS])
        ),
        "source_line": pa.array(lines.astype(np.int64)),
    }  # fmt: skip
    schema = encoded_schema()
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _has_no_price(rows: Rows) -> np.ndarray:
    """Messages and contacts tell no price."""
    return (rows["product"] < 0) | (FEED_OF_KIND[rows["kind"]] <= FEEDS.index("messages"))


def _repeated(size: int, text: str) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), pa.array([text]))


def _times(seconds: np.ndarray) -> pa.Array:
    return pa.array(seconds * 1_000_000).view(pa.timestamp("us", tz="UTC"))


def _numbered(numbers: np.ndarray) -> pa.DictionaryArray:
    """Numbers as texts, null for -1. Equal numbers need not stand together."""
    some = np.flatnonzero(numbers >= 0)
    distinct, place = np.unique(numbers[some], return_inverse=True)
    codes = np.full(len(numbers), -1, np.int32)
    codes[some] = place
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(distinct).cast(pa.string()))


def _sessions(rows: Rows) -> dict[str, pa.Array]:
    """The columns that jobs.reading.sessions fills; a visit lies on one day and names itself."""
    some = np.flatnonzero((rows["session"] >= 0) & _IN_VISIT[rows["kind"]])
    session, second = rows["session"][some], rows["time"][some] % 86_400
    order = np.argsort(session << 17 | second, kind="stable")
    session, second, some = session[order], second[order], some[order]
    first = np.append(True, session[1:] != session[:-1])[: len(some)]
    last = np.append(first[1:], True)[: len(some)]
    codes, step = np.full(size_of(rows), -1, np.int32), np.zeros(size_of(rows), np.int32)
    codes[some] = np.cumsum(first) - 1
    step[some] = np.where(first, 0, np.diff(second, prepend=0))
    is_start, is_bounce = np.zeros((2, size_of(rows)), bool)
    is_start[some], is_bounce[some] = first, first & last
    ids = pa.array(session[first]).cast(pa.string())
    return {
        "session_id": pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), ids),
        "is_session_start": pa.array(is_start),
        "is_bounce": pa.array(is_bounce),
        "session_step_seconds": pa.array(step),
    }


def write_parquet(rows: pa.Table, path: Path) -> None:
    """As the lake's other files read: strings are strings again, encoded by their dictionaries."""
    encoded = [name for name in rows.column_names if name not in _NOT_ENCODED]
    pq.write_table(rows, path, compression="zstd", compression_level=1, use_dictionary=encoded,
                   dictionary_pagesize_limit=1 << 26, store_schema=False)  # fmt: skip


def report_of(world: World, mapping_digest: str, day: int, rows: Rows) -> pa.Table:
    """The day's ingest report: every row kept. No file was delivered, so the digest is that of plan and file name."""
    when, counts = world.plan.date_of(day), np.bincount(FEED_OF_KIND[rows["kind"]], minlength=len(FEEDS))
    with_text = np.bincount(FEED_OF_KIND[rows["kind"]], rows["text"] >= 0, minlength=len(FEEDS))
    schema, reports = arrow_schema(INGEST_REPORT), []
    blank = {pa.string(): "", pa.int64(): 0, pa.float64(): 0.0}
    for n, feed in enumerate(FEEDS):
        file, size = file_of(feed, when), int(counts[n])
        digest = hashlib.sha256(f"{world.plan!r} {file}".encode()).hexdigest()
        told = {"source": SOURCE, "source_file": file, "file_digest": digest, "is_complete": True, "feed": feed,
                "mapping_digest": mapping_digest, "rows_read": size, "rows_kept": size, "arrival_date": when,
                "rows_with_text": int(with_text[n])}  # fmt: skip
        reports.append({field.name: told.get(field.name, blank.get(field.type)) for field in schema})
    return pa.Table.from_pylist(reports, schema=schema)


class LakeWriter:
    """Writes simulated days into the lake of a home."""

    def __init__(self, world: World, events: LakeTable, keys: CustomerKeys, mapping_digest: str):
        self.world, self.events, self.key_id, self.mapping_digest = world, events, keys.key_id, mapping_digest
        self.names = Names.of(world, pa.array(map(keys.key, world.customers.ids()), pa.string()))

    def write(self, day: int, rows: Rows) -> Written:
        """Replaces the day in events, quarantine and ingest_report."""
        when, home = self.world.plan.date_of(day), self.events.home
        events = events_of(self.world, self.names, self.key_id, day, rows)
        self.events.write_file(when, partial(write_parquet, events))
        LakeTable(home, QUARANTINE).write_arrow(when, arrow_schema(QUARANTINE).empty_table())
        LakeTable(home, INGEST_REPORT).write_arrow(when, report_of(self.world, self.mapping_digest, day, rows))
        return Written(len(events))
