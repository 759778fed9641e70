"""Sequences as long as those of Complete Journey (its 2,440 households as of day 252, 128 lines at most each)."""

import json
from datetime import date
from pathlib import Path

import numpy as np

from expectations.behaviour import FEATURE_NAMES
from expectations.sequences import EVENT_ARRAYS, SEQUENCES
from ml.examples import LIFE_NAMES, Inputs
from ml.home import partition_folder

CUTOFF = date(2017, 9, 9)
CHUNK = 50_000
"""Customers whose events are drawn at a time."""

LIMITS = {"event_type": 14, "brand_hash": 2**20, "channel": 3, "hour": 24, "weekday": 7, "price_bucket": 200}
"""Below which the values of an array lie."""

# Place n: households of n tokens (visits), and mean events (lines) of each.
HOUSEHOLDS = (
    0, 48, 57, 58, 61, 83, 115, 112, 131, 127, 129, 112, 135, 137, 121, 101, 110, 102, 67, 76, 77, 49, 60, 52, 34, 39,
    27, 21, 22, 28, 18, 10, 11, 13, 7, 11, 8, 11, 4, 5, 7, 4, 4, 4, 3, 1, 6, 3, 2, 2, 2, 0, 2, 0, 1, 2, 2, 0, 0, 1, 0,
    0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
)  # fmt: skip
EVENTS = (
    0, 13, 16, 48, 73, 87, 95, 98, 103, 112, 115, 116, 115, 116, 117, 115, 118, 115, 123, 119, 121, 121, 122, 120, 126,
    123, 123, 124, 123, 120, 127, 128, 123, 124, 128, 125, 121, 127, 128, 122, 122, 126, 128, 128, 128, 128, 128, 120,
    120, 128, 128, 0, 128, 0, 128, 128, 128, 0, 0, 128, 0, 0, 0, 128, 78, 0, 0, 0, 0, 0, 0, 127, 0, 0, 0, 0, 0, 128, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 128,
)  # fmt: skip


def write_home(home: Path, customers: int, seed: int = 0) -> Inputs:
    """Sequences of ``customers`` whose lengths are drawn from the households and whose events are random."""
    rng = np.random.default_rng(seed)
    counts = np.array(HOUSEHOLDS)
    tokens = np.repeat(np.arange(len(counts)), counts)[rng.integers(0, counts.sum(), customers)]
    lengths = np.maximum(np.array(EVENTS)[tokens], tokens)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    folder = partition_folder(SEQUENCES, CUTOFF, home)
    folder.mkdir(parents=True)
    files = {
        array.name: np.lib.format.open_memmap(folder / f"{array.name}.npy", "w+", array.dtype, (int(offsets[-1]),))
        for array in EVENT_ARRAYS
    }
    for start in range(0, customers, CHUNK):
        some = slice(start, start + CHUNK)
        for name, values in _events(tokens[some], lengths[some], rng).items():
            files[name][offsets[start] : offsets[start] + len(values)] = values
    keys = np.array([f"{n:064x}" for n in range(customers)])
    np.save(folder / "customer_keys.npy", keys.astype("S"))
    np.save(folder / "offsets.npy", offsets.astype(np.int64))
    np.save(folder / "text_hashes.npy", np.zeros(0, "S4"))
    np.save(folder / "text_vectors.npy", np.zeros((0, 0), np.float16))
    about = {"arrays": {array.name: array.dtype for array in EVENT_ARRAYS}, "max_events": int(lengths.max())}
    (folder / "about.json").write_text(json.dumps(about))
    features = rng.exponential(10, (customers, len(FEATURE_NAMES)))
    life = dict.fromkeys(LIFE_NAMES, np.ones(customers))
    return Inputs(home, keys, np.full(customers, np.datetime64(CUTOFF)), features, life)


def _events(tokens: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random events of customers of so many ``tokens``, which are four days apart and of like size."""
    ends = np.cumsum(lengths)
    place = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    age = 4 * (np.repeat(tokens, lengths) - 1 - place * np.repeat(tokens, lengths) // np.repeat(lengths, lengths))
    known = {
        "age_days": age,
        "event_seconds": (CUTOFF - date(1970, 1, 1)).days * 86_400 - age * 86_400,
        "text_row": np.full(len(age), -1),
    }
    rest = [array.name for array in EVENT_ARRAYS if array.name not in known]
    return known | {name: rng.integers(0, LIMITS.get(name, 2**31), len(age), dtype=np.uint32) for name in rest}


def described(events: np.ndarray, tokens: np.ndarray) -> str:
    """The distribution in words."""
    shares = (5, 25, 50, 75, 95, 100)

    def percentiles(values: np.ndarray) -> str:
        return " ".join(f"{value:.0f}" for value in np.percentile(values, shares))

    at = "/".join(str(share) for share in shares)
    return (
        f"{len(events):,} customers; events of each {events.mean():.0f}, at {at} %: {percentiles(events)}; "
        f"tokens {tokens.mean():.1f}: {percentiles(tokens)}"
    )
