"""Event sequences of many customers side by side, without padding: what the encoders read.

Events of one second of one customer, such as the lines of a basket, are one token: their order means nothing. So are
those of a day where the source tells no time. The arrays stay mapped; only the rows of a batch are ever copied.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from expectations.sequences import NO_HOUR, NO_PRICE, NO_TEXT
from ml.examples import Inputs
from ml.sequences import Sequences, open_sequences

NUMBERS = (
    "log_events", "log_amount", "log_gap_days", "is_first", "log_age_days", "has_hour",
    "hour_sine", "hour_cosine", "weekday_sine", "weekday_cosine", "season_sine", "season_cosine",
)  # fmt: skip
"""Numbers of a token: how much, and when."""

FIELDS = ("event_type", "product_hash", "category_hash", "brand_hash", "price_bucket", "channel")
"""What of an event is looked up in tables."""

PRICE_STEP, PRICE_LOWEST = 4, -160
"""Price buckets of 5 % are taken four at a time; below e^(-160 ln 1.05), some .0004, all are one."""

DAY_SECONDS, YEAR_DAYS = 86_400, 365.25


@dataclass(frozen=True)
class Buckets:
    """Rows of the table of each of FIELDS; row 0 of each is for none, more codes than rows share them."""

    event_type: int = 32
    product_hash: int = 4096
    category_hash: int = 512
    brand_hash: int = 512
    price_bucket: int = 128
    channel: int = 32

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(getattr(self, name) for name in FIELDS)


@dataclass(frozen=True)
class Batch:
    """Tokens of some rows of the inputs, oldest first, row after row.

    rows         (rows,) int64: which rows of the inputs, in the order in which they stand here
    offsets      (rows + 1,) int64: tokens of row n are offsets[n] … offsets[n + 1] - 1
    row_of       (tokens,) int64: whose token it is, as a place in ``rows``
    codes        (events · FIELDS,) int32: rows of one table that holds those of all FIELDS
    bags         (tokens,) int64: where in ``codes`` each token begins
    numbers      (tokens, NUMBERS) float32
    by_time      (tokens,) int64: all first tokens, then all second ones …, longest row first
    step_sizes   (steps,) int64, always on the CPU: how many rows have a token at that step
    texts        (texts, width) float32: vectors of what was written
    text_tokens  (texts,) int64: to which token each belongs
    """

    rows: Tensor
    offsets: Tensor
    row_of: Tensor
    codes: Tensor
    bags: Tensor
    numbers: Tensor
    by_time: Tensor
    step_sizes: Tensor
    texts: Tensor
    text_tokens: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on ``device``; copied while it computes where memory can be pinned."""
        if device.type == "cpu":
            return self
        moved = {
            field.name: getattr(self, field.name).pin_memory().to(device, non_blocking=True)
            for field in fields(self)
            if field.name != "step_sizes"
        }
        return replace(self, **moved)

    @property
    def lengths(self) -> Tensor:
        """(rows,): tokens of each."""
        return self.offsets.diff()


class Reader:
    """Batches of rows of ``inputs``; DataError if the sequences of a cutoff are missing."""

    def __init__(self, inputs: Inputs, buckets: Buckets) -> None:
        cutoffs, self._which = np.unique(inputs.cutoffs.astype("datetime64[D]"), return_inverse=True)
        self._snapshots = [open_sequences(inputs.home, cutoff.astype(object)) for cutoff in cutoffs]
        self._places = np.empty(len(inputs), np.int64)
        self.events = np.zeros(len(inputs), np.int64)
        for n, snapshot in enumerate(self._snapshots):
            mine = self._which == n
            places = snapshot.places(inputs.customer_keys[mine])
            self._places[mine] = places
            self.events[mine] = np.where(places >= 0, snapshot.lengths[places], 0) if len(snapshot) else 0
        self._buckets = buckets
        self._bases = np.concatenate([[0], np.cumsum(buckets.sizes[:-1])])

    @property
    def text_width(self) -> int:
        """Numbers of a text's vector; 0 if there is no text."""
        return max((snapshot.text_vectors.shape[1] for snapshot in self._snapshots), default=0)

    def read(self, rows: np.ndarray) -> Batch:
        """The tokens of ``rows``, which stand ordered by cutoff in what comes back: see Batch.rows."""
        rows = rows[np.argsort(self._which[rows], kind="stable")]
        parts = [self._part(snapshot, rows[self._which[rows] == n]) for n, snapshot in enumerate(self._snapshots)]
        offsets = np.concatenate([[0], np.cumsum(self.events[rows])])
        events = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return _batch(rows, offsets, events, self._codes(events))

    def _part(self, snapshot: Sequences, rows: np.ndarray) -> dict[str, np.ndarray]:
        _, events = snapshot.packed(self._places[rows])
        written = events["text_row"] != NO_TEXT
        width = self.text_width
        vectors = np.zeros((written.sum(), width), np.float32)
        if written.any() and snapshot.text_vectors.shape[1] == width:
            vectors = snapshot.text_vectors[events["text_row"][written]].astype(np.float32)
        return {**events, "written": written, "vectors": vectors}

    def _codes(self, events: dict[str, np.ndarray]) -> np.ndarray:
        """(events, FIELDS) int32."""
        price = events["price_bucket"].astype(np.int32)
        steps = np.where(price == NO_PRICE, 0, 1 + np.maximum(price - PRICE_LOWEST, 0) // PRICE_STEP)
        values = {**events, "price_bucket": steps.astype(np.uint32)}
        codes = np.empty((len(price), len(FIELDS)), np.int32)
        for n, (name, size, base) in enumerate(zip(FIELDS, self._buckets.sizes, self._bases, strict=True)):
            code = values[name].astype(np.uint32)
            codes[:, n] = base + np.where(code > 0, 1 + (code - np.uint32(1)) % np.uint32(size - 1), 0)
        return codes


def shuffled(events: np.ndarray, batch_rows: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows in batches of like length, so that each takes few steps; both are drawn anew each time.

    Like length within pools of some batches only: batches all of short or of long histories would pull to and fro.
    """
    pool = 4 * batch_rows
    order = generator.permutation(len(events))
    batches = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(events[rows], kind="stable")]
        batches += [rows[n : n + batch_rows] for n in range(0, len(rows), batch_rows)]
    for n in generator.permutation(len(batches)):
        yield batches[n]


def in_order(rows: int, batch_rows: int) -> Iterator[np.ndarray]:
    """Every row once, as they stand."""
    for start in range(0, rows, batch_rows):
        yield np.arange(start, min(start + batch_rows, rows))


def _batch(rows: np.ndarray, event_offsets: np.ndarray, events: dict[str, np.ndarray], codes: np.ndarray) -> Batch:
    seconds = events["event_seconds"]
    begins = np.empty(len(seconds), bool)
    begins[1:] = seconds[1:] != seconds[:-1]
    begins[event_offsets[:-1][np.diff(event_offsets) > 0]] = True
    starts = np.flatnonzero(begins)
    token_of = np.cumsum(begins) - 1
    offsets = np.concatenate([[0], token_of + 1])[event_offsets]
    lengths = np.diff(offsets)
    row_of = np.repeat(np.arange(len(rows)), lengths)
    position = np.arange(len(starts)) - offsets[row_of]
    values = {
        "rows": rows,
        "offsets": offsets,
        "row_of": row_of,
        "codes": codes.ravel(),
        "bags": starts * len(FIELDS),
        "numbers": _numbers(events, starts, position == 0),
        "by_time": _by_time(offsets, lengths),
        "step_sizes": np.bincount(position),
        "texts": events["vectors"],
        "text_tokens": token_of[events["written"]],
    }
    return Batch(**{name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in values.items()})


def _by_time(offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Places of tokens by position, within a position by length of the row, longest first."""
    longest_first = np.argsort(-lengths, kind="stable")
    ordered = lengths[longest_first]
    ends = np.cumsum(ordered)
    position = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - ordered, ordered)
    place = position + np.repeat(offsets[:-1][longest_first], ordered)
    return place[np.argsort(position.astype(np.uint16), kind="stable")]


def _numbers(events: dict[str, np.ndarray], starts: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    """(tokens, NUMBERS) float32; a token's time is that of its first event."""
    if not len(starts):
        return np.zeros((0, len(NUMBERS)), np.float32)
    seconds = events["event_seconds"][starts].astype(np.float64)
    gap = np.where(is_first, 0.0, np.diff(seconds, prepend=seconds[:1]))
    hour = events["hour"][starts].astype(np.float32)
    amount = np.add.reduceat(events["amount"].astype(np.float64), starts)
    has_hour = hour != NO_HOUR
    columns = {
        "log_events": np.log1p(np.diff(starts, append=len(events["hour"]))),
        "log_amount": np.sign(amount) * np.log1p(np.abs(amount)),
        "log_gap_days": np.log1p(np.maximum(gap, 0.0) / DAY_SECONDS),
        "is_first": is_first,
        "log_age_days": np.log1p(events["age_days"][starts].astype(np.float32)),
        "has_hour": has_hour,
    }
    cycles = {"hour": hour / 24, "weekday": events["weekday"][starts] / 7, "season": seconds / DAY_SECONDS / YEAR_DAYS}
    for name, turns in cycles.items():
        known = has_hour if name == "hour" else 1.0
        columns[f"{name}_sine"] = known * np.sin(2 * np.pi * turns)
        columns[f"{name}_cosine"] = known * np.cos(2 * np.pi * turns)
    return np.stack([columns[name] for name in NUMBERS], axis=1, dtype=np.float32, casting="unsafe")
