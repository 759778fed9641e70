"""A snapshot's event sequences under the new key: customers and texts change their places, events go along."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from expectations.errors import DataError
from expectations.sequences import EVENT_ARRAYS, NO_TEXT
from jobs.rekeying.key_map import KeyMap


def rekey_sequences(part: Path, made: Path, keys: KeyMap) -> None:
    """Writes the arrays of the folder ``part`` that the key changes into ``made``, as build_sequences orders them."""
    found = keys.customers(_texts(np.load(part / "customer_keys.npy")))
    if found.null_count:
        raise DataError(
            f"{part} holds {found.null_count:,} customers whose raw ids are in no vault: delete it and run "
            "`python -m jobs build_sequences`, then run rekey again"
        )
    names = np.array(found.to_pylist(), dtype="S")
    order = np.argsort(names)
    offsets = np.load(part / "offsets.npy")
    starts, lengths = offsets[:-1][order], np.diff(offsets)[order]
    placed = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.arange(placed[-1]) + np.repeat(starts - placed[:-1], lengths)
    np.save(made / "customer_keys.npy", names[order] if len(names) else np.load(part / "customer_keys.npy"))
    np.save(made / "offsets.npy", placed.astype(offsets.dtype))
    place = _rekey_texts(part, made, keys)
    for array in EVENT_ARRAYS:
        values = np.load(part / f"{array.name}.npy", mmap_mode="r")[rows]
        np.save(made / f"{array.name}.npy", place[values] if array.name == "text_row" else values)


def _rekey_texts(part: Path, made: Path, keys: KeyMap) -> np.ndarray:
    """Where each row of the texts' arrays has gone; the last element is NO_TEXT's own."""
    hashes = np.load(part / "text_hashes.npy")
    place = np.full(len(hashes) + 1, NO_TEXT, np.int32)
    if not len(hashes):
        return place
    now = np.array(keys.texts(_texts(hashes)).to_pylist(), dtype="S")
    order = np.argsort(now)
    place[order] = np.arange(len(order), dtype=np.int32)
    np.save(made / "text_hashes.npy", now[order])
    np.save(made / "text_vectors.npy", np.load(part / "text_vectors.npy", mmap_mode="r")[order])
    return place


def _texts(keys: np.ndarray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(keys.astype(str).tolist(), pa.string())])
