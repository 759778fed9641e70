"""Events → the last of each customer as packed arrays. NumPy and Arrow in this process: no engine sorts a year.

Deliveries are read from the newest backwards, some millions of rows at a time. What a delivery not read yet can hold
happened before a known moment; so events come in stretches of time, the latest first. Each stretch is sorted, cut to
what every customer still lacks, and put aside on disk; at the end each array is put together and written once.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.sequences import EVENT_ARRAYS, NO_TEXT
from jobs.behaviour.sequence_columns import Arrays, Customers, Files, Texts, compact

WESTMOST = timedelta(hours=12)
"""How far behind UTC a shop's clock can be: its day ends that much later."""


@dataclass(frozen=True)
class SequenceSettings:
    """max_events     events kept of a customer, the latest
    lookback_days  days up to and including the snapshot date that they are taken from
    texts          whether events name their texts' vectors; the texts must have been encoded
    """

    max_events: int = 128
    lookback_days: int = 365
    texts: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.max_events <= 4096:
            raise ValueError(f"max_events must lie between 1 and 4096, found {self.max_events}")
        if not 1 <= self.lookback_days <= 365:
            raise ValueError(f"lookback_days must lie between 1 and 365, found {self.lookback_days}")


def first_day(snapshot: date, settings: SequenceSettings) -> date:
    """The first event date that the sequences as of ``snapshot`` may hold."""
    return snapshot - timedelta(days=settings.lookback_days - 1)


def write_sequences(
    slices: Iterable[tuple[date, pa.Table, pa.Table]],
    snapshot: date,
    settings: SequenceSettings,
    scratch: Path,
    target: Path,
) -> tuple[int, int]:
    """Writes the arrays into ``target``, text_vectors left out: (customers, events).

    ``slices``: deliveries from the newest backwards, as (first arrival date, rows of events, rows of text_scores). Each
    may hold events of earlier days, which wait for the deliveries of those. ``scratch``: an empty folder for what is
    put aside.
    """
    customers, files, texts, stretches, waiting = Customers(), Files(), Texts(), 0, None
    for first_arrival, rows, scores in slices:
        inside = _within(rows, first_day(snapshot, settings), snapshot)
        part = compact(inside, scores, snapshot, customers, files, texts)
        del rows, inside  # before the next slice is read
        part = part if waiting is None else _joined(part, waiting)
        complete = part["time"] >= _unread_before(first_arrival)
        waiting = _chosen(part, ~complete)
        _put_aside(_chosen(part, complete), customers, files, settings.max_events, scratch / f"{stretches}")
        stretches += 1
    if waiting is not None:
        _put_aside(waiting, customers, files, settings.max_events, scratch / f"{stretches}")
        stretches += 1
    count, events = _assemble(customers, [scratch / f"{n}" for n in range(stretches)], target)
    _number_texts(texts, target)
    about = asdict(settings) | {"arrays": {array.name: array.dtype for array in EVENT_ARRAYS}}
    about |= {"customers": count, "events": events}
    (target / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    return count, events


def _within(rows: pa.Table, first: date, last: date) -> pa.Table:
    day = rows["event_date"]
    inside = pc.and_(pc.greater_equal(day, pa.scalar(first)), pc.less_equal(day, pa.scalar(last)))
    return rows if pc.all(inside).as_py() else rows.filter(inside)


def _unread_before(first_arrival: date) -> int:
    """Deliveries before ``first_arrival`` hold nothing of this moment (µs since 1970) or later.

    They hold no later event date, and a date ends at the latest where the clock is the farthest behind.
    """
    moment = datetime.combine(first_arrival, time(), UTC) + WESTMOST
    return int(moment.timestamp()) * 1_000_000


def _joined(first: Arrays, second: Arrays) -> Arrays:
    return {name: np.concatenate([values, second[name]]) for name, values in first.items()}


def _chosen(part: Arrays, rows: np.ndarray) -> Arrays:
    return {name: values[rows] for name, values in part.items()}


def _put_aside(part: Arrays, customers: Customers, files: Files, max_events: int, folder: Path) -> None:
    """Writes what the customers still lack of ``part``, which must be earlier than all that was put aside before.

    Beside the events' arrays: customer, and back, how many later events of the customer there are.
    """
    order = np.flatnonzero(customers.kept[part["customer"]] < max_events)
    order = order[_order(_chosen(part, order), files.ranks)]
    customer = part["customer"][order]
    starts = np.flatnonzero(np.diff(customer, prepend=-1))
    counts = np.diff(starts, append=len(customer))
    later = np.repeat(starts + counts - 1, counts) - np.arange(len(customer))
    back = later + customers.kept[customer]
    keep = back < max_events
    whose = customer[starts]
    customers.kept[whose] = np.minimum(customers.kept[whose] + counts, max_events)
    folder.mkdir()
    np.save(folder / "customer.npy", customer[keep])
    np.save(folder / "back.npy", back[keep].astype(np.uint16))
    for array in EVENT_ARRAYS:
        np.save(folder / f"{array.name}.npy", part[array.name][order[keep]])


def _order(part: Arrays, ranks: np.ndarray) -> np.ndarray:
    """Row numbers by customer, then time, source, file and line."""
    order = np.lexsort((part["line"], ranks[part["file"]], part["time"]))
    # By halves of the number: NumPy sorts 16 bits in one pass, and stably.
    for shift in (0, 16):
        half = ((part["customer"] >> shift) & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(half[order], kind="stable")]
    return order


def _assemble(customers: Customers, stretches: list[Path], target: Path) -> tuple[int, int]:
    """Writes every array in order of customer_key, then of time: (customers, events)."""
    by_key = pc.sort_indices(customers.keys).to_numpy()
    by_key = by_key[customers.kept[by_key] > 0]  # a key may have been met on rows outside the look-back alone
    offsets = np.concatenate([[0], np.cumsum(customers.kept[by_key], dtype=np.int64)])
    ends = np.zeros(len(customers.keys), np.int64)
    ends[by_key] = offsets[1:]
    np.save(target / "customer_keys.npy", _fixed_width(customers.keys.take(pa.array(by_key))))
    np.save(target / "offsets.npy", offsets)
    for folder in stretches:
        places = ends[np.load(folder / "customer.npy")] - 1 - np.load(folder / "back.npy")
        np.save(folder / "places.npy", places)
    for array in EVENT_ARRAYS:
        values = np.empty(offsets[-1], array.dtype)
        for folder in stretches:
            values[np.load(folder / "places.npy")] = np.load(folder / f"{array.name}.npy")
            (folder / f"{array.name}.npy").unlink()
        np.save(target / f"{array.name}.npy", values)
    return len(by_key), int(offsets[-1])


def _number_texts(texts: Texts, target: Path) -> None:
    """Writes text_hashes; text_row becomes the place among them, whatever the order in which texts were met."""
    numbers = np.load(target / "text_row.npy")
    used = np.unique(numbers[numbers != NO_TEXT])
    hashes = np.array(list(texts.numbers), dtype="S")[used] if len(used) else np.zeros(0, "S1")
    order = np.argsort(hashes)
    place = np.full(len(texts.numbers) + 1, NO_TEXT, np.int32)  # the last is NO_TEXT's own
    place[used[order]] = np.arange(len(used), dtype=np.int32)
    np.save(target / "text_row.npy", place[numbers])
    np.save(target / "text_hashes.npy", hashes[order])


def _fixed_width(keys: pa.Array) -> np.ndarray:
    """Bytes as wide as the longest key."""
    width = max(pc.max(pc.binary_length(keys)).as_py() or 1, 1)
    return keys.to_numpy(zero_copy_only=False).astype(f"S{width}")
