"""Event sequences: the last events of each customer as of a date, as flat arrays that training maps into memory.

One folder a snapshot date, ``lake/sequences/snapshot_date=D``, of one ``NAME.npy`` an array and ``about.json``. Packed:
the events of customer n are the places offsets[n] … offsets[n+1]-1 of every event array, oldest first. Texts' vectors
stand apart, once each: events name their row.
"""

from dataclasses import dataclass

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Column, Table
from expectations.events import CUSTOMER_KEY, EVENT_TYPES


@dataclass(frozen=True)
class SequenceArray:
    """One file of a snapshot. ``dtype``: NumPy's name of the element; empty: bytes as wide as the longest key."""

    name: str
    dtype: str
    description: str
    unit: str = ""


EVENT_TYPE_CODES = {event_type: code for code, event_type in enumerate(EVENT_TYPES, start=1)}
"""event_type → its number in the arrays: a new type goes to the end, or every model that was trained reads others."""

NO_HOUR = -1
NO_PRICE = -1000
NO_TEXT = -1

CUSTOMER_ARRAYS = (
    SequenceArray("customer_keys", "", "Customers with an event in the look-back, in order of customer_key."),
    SequenceArray("offsets", "int64", "Where each customer's events begin; one more than customers, the last the end."),
)
EVENT_ARRAYS = (
    SequenceArray("event_type", "uint8", "What happened: place in the contract's event types, from 1."),
    SequenceArray("product_hash", "uint32", "As in events; 0 for none."),
    SequenceArray("category_hash", "uint32", "As in events; 0 for none."),
    SequenceArray("brand_hash", "uint32", "As in events; 0 for none."),
    SequenceArray("price_bucket", "int16", f"floor(ln(price) / ln(1.05)): 5 % wide; {NO_PRICE} for none or 0."),
    SequenceArray("amount", "float32", "Money for the line; 0 for none.", "currency"),
    SequenceArray("channel", "uint16", "1 + 31 bits of SHA-256 of channel modulo 65,535; 0 for none."),
    SequenceArray(
        "hour", "int8", f"Hour in the shop's time zone; {NO_HOUR} where the source tells none.", "hour of day"
    ),
    SequenceArray("weekday", "uint8", "Day of the week of event_date; 0 is Monday."),
    SequenceArray("age_days", "uint16", "Days from event_date to snapshot_date.", "days"),
    SequenceArray("event_seconds", "uint32", "event_time since 1970 (UTC), to the second.", "seconds"),
    SequenceArray("text_row", "int32", "Row of text_hashes and text_vectors for what was written; -1 for nothing."),
)
TEXT_ARRAYS = (
    SequenceArray("text_hashes", "", "text_hash of every distinct text of the events, sorted."),
    SequenceArray(
        "text_vectors", "float16", "(texts, width): their vectors, as in text_vectors; 0 where none is kept."
    ),
)

SEQUENCES = Table(
    name="sequences",
    description="The last events of each customer as of a date; written as arrays, see expectations/sequences.py.",
    grain="one row per customer with an event in the look-back and snapshot date",
    key=("customer_key",),
    partition="snapshot_date",
    columns=(
        CUSTOMER_KEY,
        SNAPSHOT_DATE,
        Column(name="offset", type="int64", minimum=0, description="Place of the customer's oldest event."),
    ),
)
"""Where the folders lie and how they are put in place. Not a Parquet table: no gate reads it."""
