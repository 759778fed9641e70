"""A simulated day → the files that a shop would deliver, which jobs/sources/simulated_shop.yaml maps."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from jobs.simulation import rows as table
from jobs.simulation.broken import ORDER_COLUMNS, BrokenRow, broken_rows
from jobs.simulation.dimensions import campaigns, customers, products
from jobs.simulation.feeds import FIRST_LINE, Names, file_of, money, price, received
from jobs.simulation.rows import FEED_OF_KIND, FEEDS, KIND, Rows, size_of
from jobs.simulation.run import Written
from jobs.simulation.world import World

# Event type → the shop's own word for it.
WORDS = {
    "purchase": "sale", "return": "refund", "view": "view", "search": "search", "add_to_cart": "cart",
    "remove_from_cart": "uncart", "favourite": "like", "campaign_send": "sent", "campaign_open": "opened",
    "campaign_click": "clicked", "coupon_redeem": "redeemed", "review": "review", "support": "support",
}  # fmt: skip
_OF_ALL = ("customer", "at", "received", "channel", "country")
COLUMNS = {
    feed: {name: name for name in _OF_ALL} | own
    for feed, own in {
        "contacts": {"action": "kind", "campaign": "campaign"},
        "messages": {"about": "kind", "order": "order", "product": "product", "text": "text", "stars": "stars"},
        "web": {"action": "kind", "visit": "visit", "product": "product", "list_price": "list_price", "query": "text",
                "device": "device"},
    }.items()
} | {"orders": {name: name for name in ORDER_COLUMNS}}  # fmt: skip
"""Feed → column of its file → what ``LandingWriter`` calls it."""
_CENTS = pa.decimal128(18, 2)


def write_dimensions(world: World, landing: Path) -> None:
    """dimensions/products.csv, customers.csv and campaigns.csv."""
    folder = landing / "dimensions"
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in (("products", products), ("customers", customers), ("campaigns", campaigns)):
        (folder / f"{name}.csv").write_bytes(_csv(made(world)))


class LandingWriter:
    """Writes simulated days into the landing folder of a home."""

    def __init__(self, world: World, landing: Path):
        self.world, self.landing = world, landing
        self.names = Names.of(world, pa.array(world.customers.ids(), pa.string()))
        self.words = pa.array([WORDS[name] for name in KIND], pa.string())

    def write(self, day: int, rows: Rows) -> Written:
        """The day's files; what they hold, and the broken rows among it."""
        when, feed, broken = self.world.plan.date_of(day), FEED_OF_KIND[rows["kind"]], []
        (self.landing / f"ds={when}").mkdir(parents=True, exist_ok=True)
        for n, name in enumerate(FEEDS):
            part, file = table.take(rows, feed == n), file_of(name, when)
            if name == "orders":
                broken = broken_rows(self.world.plan, day, file, FIRST_LINE[name] + size_of(part), size_of(part))
            columns = self._columns(part, day)
            content = _content(name, pa.table({to: columns[of] for to, of in COLUMNS[name].items()}), broken)
            (self.landing / file).unlink(missing_ok=True)
            if content:
                (self.landing / file).write_bytes(content)
        return Written(size_of(rows), tuple(broken))

    def _columns(self, rows: Rows, day: int) -> dict[str, pa.Array]:
        """Every column that a feed may hold, as texts, times and money."""
        named = ("customer", "product", "campaign", "channel", "device", "country", "payment", "text")
        return {name: self.names.coded(name, rows[name]).cast(pa.string()) for name in named} | {
            "at": _times(rows["time"]), "received": _times(received(self.world, rows, day)),
            "kind": self.words.take(pa.array(rows["kind"])),
            "visit": _numbers(rows["session"]), "order": _numbers(rows["order"]), "pieces": _numbers(rows["quantity"]),
            "list_price": money(price(self.world, rows), rows["product"] < 0).cast(_CENTS),
            "paid": money(rows["amount"], rows["amount"] < 0).cast(_CENTS),
            "rebate": money(rows["discount"], rows["discount"] < 0).cast(_CENTS),
            "stars": _numbers(rows["stars"]),
        }  # fmt: skip


def _content(feed: str, rows: pa.Table, broken: list[BrokenRow]) -> bytes:
    """The file's bytes; none for a day without a message, which comes without the file."""
    if feed == "web":
        out = io.BytesIO()
        pq.write_table(rows, out, compression="zstd", compression_level=1)
        return out.getvalue()
    if feed == "messages":
        return _gzip(_json_lines(rows)) if len(rows) else b""
    surplus = "".join(f"{row.text}\n" for row in broken) if feed == "orders" else ""
    return _gzip(_csv(rows) + surplus.encode())


def _json_lines(rows: pa.Table) -> bytes:
    texts = pa.table({name: rows[name].cast(pa.string()) for name in rows.column_names})
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in texts.to_pylist()).encode()


def _times(seconds: np.ndarray) -> pa.Array:
    return pa.array(seconds).cast(pa.timestamp("s"))


def _numbers(numbers: np.ndarray) -> pa.Array:
    """Numbers as texts; null for -1."""
    return pa.array(numbers, mask=numbers < 0).cast(pa.string())


def _csv(rows: pa.Table) -> bytes:
    texts = pa.table({name: rows[name].cast(pa.string()) for name in rows.column_names})
    out = io.BytesIO()
    out.write((",".join(texts.column_names) + "\n").encode())
    pa_csv.write_csv(texts, out, pa_csv.WriteOptions(include_header=False, quoting_style="none"))
    return out.getvalue()


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=1, mtime=1)  # a fixed time: equal rows make equal bytes
