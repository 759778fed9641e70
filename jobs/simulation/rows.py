"""Events while they are made: one NumPy array a column, numbers instead of texts."""

import numpy as np

from expectations.events import EVENT_TYPES

Rows = dict[str, np.ndarray]

# Column → type. -1 stands for "none" everywhere; kind is a place in EVENT_TYPES; time is in seconds since 1970 (UTC);
# amount and discount are in cents; stars 1 … 5; arrival is the day number of the delivery.
COLUMNS = {
    "arrival": np.int32, "kind": np.int8, "customer": np.int32, "time": np.int64, "session": np.int64,
    "order": np.int64, "product": np.int32, "quantity": np.int32, "amount": np.int64, "discount": np.int64,
    "campaign": np.int16, "channel": np.int8, "device": np.int8, "country": np.int8, "payment": np.int16,
    "text": np.int32, "stars": np.int8,
}  # fmt: skip
KIND = {name: n for n, name in enumerate(EVENT_TYPES)}

# The files that a day's events are delivered in, in the order of their names.
FEEDS = ("contacts", "messages", "orders", "web")
_FEED_OF = {"purchase": "orders", "return": "orders", "review": "messages", "support": "messages",
            "campaign_send": "contacts", "campaign_open": "contacts", "campaign_click": "contacts",
            "coupon_redeem": "contacts"}  # fmt: skip
FEED_OF_KIND = np.array([FEEDS.index(_FEED_OF.get(name, "web")) for name in EVENT_TYPES], np.int8)


def make(size: int, **columns: np.ndarray | int) -> Rows:
    """Rows with the given columns, the others "none"."""
    rows = {}
    for name, kind in COLUMNS.items():
        value = columns.pop(name, -1)
        rows[name] = np.full(size, value, kind) if np.ndim(value) == 0 else np.asarray(value).astype(kind, copy=False)
    if columns:
        raise ValueError(f"no such columns: {', '.join(columns)}")
    return rows


def concat(parts: list[Rows]) -> Rows:
    """The rows of all parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS} if parts else make(0)


def take(rows: Rows, which: np.ndarray) -> Rows:
    """The rows that a mask or a list of places chooses."""
    return {name: values[which] for name, values in rows.items()}


def size_of(rows: Rows) -> int:
    return len(rows["kind"])


def in_delivery_order(rows: Rows) -> Rows:
    """Sorted by file, then time: as the files of a delivery hold them."""
    first = rows["time"].min() if size_of(rows) else 0
    key = FEED_OF_KIND[rows["kind"]].astype(np.int64) << 40 | (rows["time"] - first)
    return take(rows, np.argsort(key, kind="stable"))


def split_by_arrival(rows: Rows) -> dict[int, Rows]:
    """Day number of the delivery → its rows."""
    rows = take(rows, np.argsort(rows["arrival"], kind="stable"))
    days, first = np.unique(rows["arrival"], return_index=True)
    ends = [*first, size_of(rows)][1:]
    return {
        int(day): {name: values[a:b] for name, values in rows.items()}
        for day, a, b in zip(days, first, ends, strict=True)
    }
