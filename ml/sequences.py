"""The last events of each customer as of a date, mapped into memory: only what is touched is read from disk."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date

import numpy as np

from expectations.errors import DataError
from expectations.sequences import CUSTOMER_ARRAYS, EVENT_ARRAYS, SEQUENCES, TEXT_ARRAYS
from ml.home import HomePath, partition_folder


@dataclass(frozen=True)
class Sequences:
    """Packed events of one snapshot; every array is mapped read-only.

    customer_keys  (customers,) bytes, sorted
    offsets        (customers + 1,) int64: customer n's events are the places offsets[n] … offsets[n + 1] - 1
    arrays         name of EVENT_ARRAYS → (events,), oldest event first
    text_hashes    (texts,) bytes, sorted: every distinct text of the events
    text_vectors   (texts, width) float16, in that order; text_row of an event is its row
    max_events     the most events that a customer has
    """

    cutoff: date
    customer_keys: np.ndarray
    offsets: np.ndarray
    arrays: dict[str, np.ndarray]
    text_hashes: np.ndarray
    text_vectors: np.ndarray
    max_events: int

    def __len__(self) -> int:
        return len(self.customer_keys)

    @property
    def lengths(self) -> np.ndarray:
        """(customers,): events of each."""
        return np.diff(self.offsets)

    def places(self, customer_keys: np.ndarray) -> np.ndarray:
        """(keys,) int64: where each key (str or bytes) stands in ``customer_keys``; -1 for who has no event."""
        wanted = np.asarray(customer_keys).astype("S")
        if not len(self):
            return np.full(len(wanted), -1, dtype=np.int64)
        found = np.searchsorted(self.customer_keys, wanted).clip(max=len(self) - 1)
        return np.where(self.customer_keys[found] == wanted, found, -1)

    def packed(self, places: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(offsets, arrays) of the customers at ``places``, in that order; -1 gives an empty sequence. Copies."""
        known = places >= 0
        starts, lengths = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
        starts[known] = self.offsets[places[known]]
        lengths[known] = self.offsets[places[known] + 1] - starts[known]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return offsets, {name: values[rows] for name, values in self.arrays.items()}


def update_sequences(digest: "hashlib._Hash", home: HomePath, cutoff: date) -> None:
    """Adds every file of the sequences as of ``cutoff``, which must be there, to ``digest``."""
    folder = partition_folder(SEQUENCES, cutoff, home)
    for file in (folder / "about.json", *sorted(folder.glob("*.npy"))):
        with file.open("rb") as opened:
            digest.update(f"{file.name} {hashlib.file_digest(opened, 'sha256').hexdigest()}".encode())


def open_sequences(home: HomePath, cutoff: date) -> Sequences:
    """The sequences as of ``cutoff``; DataError that names the command if they are missing or of an older contract."""
    folder = partition_folder(SEQUENCES, cutoff, home)
    build = f"run `python -m jobs build_sequences --ds {cutoff}` first"
    if not (folder / "about.json").is_file():
        raise DataError(f"{folder} is missing: {build}")
    about = json.loads((folder / "about.json").read_text())
    wanted = {array.name: array.dtype for array in EVENT_ARRAYS}
    if about["arrays"] != wanted:
        raise DataError(f"{folder} holds {about['arrays']}, today's contract says {wanted}: {build}")
    customers, events, texts = (
        {array.name: np.load(folder / f"{array.name}.npy", mmap_mode="r") for array in arrays}
        for arrays in (CUSTOMER_ARRAYS, EVENT_ARRAYS, TEXT_ARRAYS)
    )
    return Sequences(cutoff, **customers, arrays=events, **texts, max_events=about["max_events"])
