"""Event sequences of many customers side by side, without padding: what the encoders read.

Events of one second of one customer, such as the lines of a basket, are one token: their order means nothing. So are
those of a day where the source tells no time.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from expectations.sequences import NO_HOUR

NUMBERS = (
    "log_events", "log_amount", "log_gap_days", "is_first", "log_age_days", "has_hour",
    "hour_sine", "hour_cosine", "weekday_sine", "weekday_cosine", "season_sine", "season_cosine",
)  # fmt: skip
"""Numbers of a token: how much, and when."""

FIELDS = ("event_type", "product_hash", "category_hash", "brand_hash", "price_bucket", "channel")
"""What of an event is looked up in tables."""

DAY_SECONDS, YEAR_DAYS = 86_400, 365.25


@dataclass(frozen=True)
class Buckets:
    """Rows of the table of each of FIELDS: a code is taken modulo these; 0 is none, and few others fall on it."""

    event_type: int = 32
    product_hash: int = 1024
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


def pack(
    rows: np.ndarray,
    offsets: np.ndarray,
    codes: np.ndarray,
    starts: np.ndarray,
    events: dict[str, np.ndarray],
    texts: np.ndarray,
    text_tokens: np.ndarray,
) -> Batch:
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
        "texts": texts,
        "text_tokens": text_tokens,
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
    """(tokens, NUMBERS) float32. ``events``: amount of every event; the rest of each token's first."""
    if not len(starts):
        return np.zeros((0, len(NUMBERS)), np.float32)
    seconds = events["event_seconds"].astype(np.float64)
    gap = np.where(is_first, 0.0, np.diff(seconds, prepend=seconds[:1]))
    hour = events["hour"].astype(np.float32)
    amount = np.add.reduceat(events["amount"].astype(np.float64), starts)
    has_hour = hour != NO_HOUR
    columns = {
        "log_events": np.log1p(np.diff(starts, append=len(events["amount"]))),
        "log_amount": np.sign(amount) * np.log1p(np.abs(amount)),
        "log_gap_days": np.log1p(np.maximum(gap, 0.0) / DAY_SECONDS),
        "is_first": is_first,
        "log_age_days": np.log1p(events["age_days"].astype(np.float32)),
        "has_hour": has_hour,
    }
    cycles = {"hour": hour / 24, "weekday": events["weekday"] / 7, "season": seconds / DAY_SECONDS / YEAR_DAYS}
    for name, turns in cycles.items():
        known = has_hour if name == "hour" else 1.0
        angle = 2 * np.pi * (turns % 1).astype(np.float32)
        columns[f"{name}_sine"] = known * np.sin(angle)
        columns[f"{name}_cosine"] = known * np.cos(angle)
    return np.stack([columns[name] for name in NUMBERS], axis=1, dtype=np.float32, casting="unsafe")
