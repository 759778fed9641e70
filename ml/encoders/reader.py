"""From the files of snapshots to batches of rows: the arrays stay mapped, only a batch's rows are ever copied."""

from collections.abc import Iterator

import numpy as np

from expectations.sequences import NO_PRICE, NO_TEXT
from ml.encoders.packing import FIELDS, Batch, Buckets, pack
from ml.examples import Inputs
from ml.sequences import Sequences, open_sequences

PRICE_STEP, PRICE_LOWEST = 4, -160
"""Price buckets of 5 % are taken four at a time; below e^(-160 ln 1.05), some .0004, all are one."""

Parts = list[tuple[Sequences, np.ndarray]]
"""Snapshots, and which of their events."""


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
        offsets = np.concatenate([[0], np.cumsum(self.events[rows])])
        parts = []
        for n, snapshot in enumerate(self._snapshots):
            mine = self._which[rows] == n
            if mine.any():
                parts.append((snapshot, self._events_of(snapshot, rows[mine])))
        seconds = _take(parts, "event_seconds")
        begins = np.empty(len(seconds), bool)
        begins[1:] = seconds[1:] != seconds[:-1]
        begins[offsets[:-1][self.events[rows] > 0]] = True
        starts, token_of = np.flatnonzero(begins), np.cumsum(begins) - 1
        texts, text_events = self._texts(parts)
        return pack(
            rows=rows,
            offsets=np.concatenate([[0], token_of + 1])[offsets],
            codes=self._codes(parts),
            starts=starts,
            events={"event_seconds": seconds[starts], "amount": _take(parts, "amount")} | _firsts(parts, starts),
            texts=texts,
            text_tokens=token_of[text_events],
        )

    def _events_of(self, snapshot: Sequences, rows: np.ndarray) -> np.ndarray:
        """Places in the arrays of ``snapshot``, row after row."""
        starts, lengths = snapshot.offsets[np.maximum(self._places[rows], 0)], self.events[rows]
        ends = np.cumsum(lengths)
        return np.arange(ends[-1]) + np.repeat(starts - ends + lengths, lengths)

    def _texts(self, parts: Parts) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of what was written, (texts, width) float32, and which events it was."""
        vectors, events, before = [np.zeros((0, self.text_width), np.float32)], [np.zeros(0, np.int64)], 0
        for snapshot, at in parts:
            if snapshot.text_vectors.size:
                texts = snapshot.arrays["text_row"][at]
                written = np.flatnonzero(texts != NO_TEXT)
                vectors.append(snapshot.text_vectors[texts[written]].astype(np.float32))
                events.append(written + before)
            before += len(at)
        return np.concatenate(vectors), np.concatenate(events)

    def _codes(self, parts: Parts) -> np.ndarray:
        """(events, FIELDS) int32."""
        codes = np.empty((sum(len(at) for _, at in parts), len(FIELDS)), np.int32)
        for n, (name, size, base) in enumerate(zip(FIELDS, self._buckets.sizes, self._bases, strict=True)):
            values = _take(parts, name)
            if name == "price_bucket":
                steps = np.maximum((values - np.int16(PRICE_LOWEST)) // PRICE_STEP, 0) + 1
                values = np.where(values == NO_PRICE, 0, np.minimum(steps, size - 1))
            codes[:, n] = values % values.dtype.type(size) + base
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


def _take(parts: Parts, name: str) -> np.ndarray:
    return np.concatenate([snapshot.arrays[name][at] for snapshot, at in parts])


def _firsts(parts: Parts, starts: np.ndarray) -> dict[str, np.ndarray]:
    """What is said of a token by its first event, read of those events alone."""
    ends = np.cumsum([len(at) for _, at in parts])
    firsts = np.split(starts, np.searchsorted(starts, ends[:-1]))
    begins = ends - [len(at) for _, at in parts]
    chosen = [(snapshot, at[first - begin]) for (snapshot, at), first, begin in zip(parts, firsts, begins, strict=True)]
    return {name: _take(chosen, name) for name in ("hour", "weekday", "age_days")}
