"""Made-up sequences for the tests of the encoders: written as jobs write them, read as models read them."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import torch

from expectations.behaviour import FEATURE_NAMES
from expectations.sequences import EVENT_ARRAYS, SEQUENCES
from ml.encoders.network import Config, CustomerNetwork
from ml.encoders.packing import Batch, Buckets
from ml.encoders.reader import Reader
from ml.encoders.train import reproducible
from ml.examples import LIFE_NAMES, Examples, Inputs
from ml.home import partition_folder
from ml.horizons import Horizons

HORIZONS = Horizons((7, 14, 30), 14, (14, 30))
CUTOFF = date(2021, 3, 1)
# None, one event, many: 0 must stand first, last and between others.
LENGTHS = np.array([0, 3, 1, 12, 0, 5, 5, 30, 2, 0])
SMALL = Buckets(product_hash=64, category_hash=32, brand_hash=16)


def random_events(lengths: np.ndarray, seed: int = 0, baskets: float = 0.3) -> dict[str, np.ndarray]:
    """Arrays of EVENT_ARRAYS for customers of so many events; a share of events happens with the one before it."""
    rng, n = np.random.default_rng(seed), int(lengths.sum())
    ages = np.concatenate([np.sort(rng.uniform(0, 300, length))[::-1] for length in lengths] or [[]])
    seconds = np.array((CUTOFF - date(1970, 1, 1)).days * 86_400 - ages * 86_400, np.uint32)
    first = np.zeros(n, bool)
    first[np.concatenate([[0], np.cumsum(lengths)])[:-1][lengths > 0]] = True
    for place in np.flatnonzero(~first & (rng.random(n) < baskets)):
        seconds[place], ages[place] = seconds[place - 1], ages[place - 1]
    drawn = {
        "event_type": rng.integers(1, 14, n),
        "product_hash": rng.integers(0, 2**31, n),
        "category_hash": rng.integers(0, 2**31, n),
        "brand_hash": rng.integers(0, 3, n),
        "price_bucket": rng.choice([-1000, -130, 0, 40, 220], n),
        "amount": rng.exponential(20, n) * (rng.random(n) < 0.5),
        "channel": rng.integers(0, 3, n),
        "hour": rng.integers(-1, 24, n),
        "weekday": rng.integers(0, 7, n),
        "age_days": ages,
        "event_seconds": seconds,
        "text_row": np.full(n, -1),
    }
    return {array.name: np.asarray(drawn[array.name]).astype(array.dtype) for array in EVENT_ARRAYS}


def keys_of(customers: int) -> np.ndarray:
    return np.array([f"{n:064x}" for n in range(customers)])


def write_sequences(
    home: Path, lengths: np.ndarray, events: dict[str, np.ndarray], cutoff: date = CUTOFF, texts: int = 0
) -> None:
    """A snapshot of customers 0 … len(lengths) - 1; those of length 0 are absent, as jobs leave them out."""
    folder = partition_folder(SEQUENCES, cutoff, home)
    folder.mkdir(parents=True, exist_ok=True)
    there = lengths > 0
    rng = np.random.default_rng(1)
    arrays = {
        "customer_keys": keys_of(len(lengths))[there].astype("S"),
        "offsets": np.concatenate([[0], np.cumsum(lengths[there])]).astype(np.int64),
        "text_hashes": np.array([f"{n:04x}" for n in range(texts)], dtype="S4"),
        "text_vectors": rng.normal(size=(texts, 5 if texts else 0)).astype(np.float16),
        **events,
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    about = {"arrays": {array.name: array.dtype for array in EVENT_ARRAYS}, "max_events": int(lengths.max(initial=0))}
    (folder / "about.json").write_text(json.dumps(about))


def make_inputs(home: Path, customers: int, seed: int = 0, cutoff: date = CUTOFF) -> Inputs:
    """Random aggregates, some missing; nothing in them foretells anything."""
    rng = np.random.default_rng(seed)
    features = rng.exponential(10, (customers, len(FEATURE_NAMES)))
    features[rng.random(features.shape) < 0.1] = np.nan
    life = {name: rng.exponential(10, customers) for name in LIFE_NAMES}
    return Inputs(home, keys_of(customers), np.full(customers, np.datetime64(cutoff)), features, life)


def make_examples(inputs: Inputs, seed: int = 0, chance: np.ndarray | float = 0.5) -> Examples:
    """Buyers with probability ``chance`` by the end of the horizon, on any day of it."""
    rng, rows = np.random.default_rng(seed), len(inputs)
    day = np.where(rng.random(rows) < chance, rng.integers(1, HORIZONS.longest + 1, rows), np.inf)
    spend = rng.lognormal(3, 0.5, (rows, 2)) * (day[:, None] <= np.array(HORIZONS.spend_days))
    return Examples(HORIZONS, inputs, day.astype(np.float64), np.full(rows, HORIZONS.longest), spend)


def days_before(days: int) -> date:
    return CUTOFF - timedelta(days=days)


def network_of(encoder: str, **changes) -> CustomerNetwork:
    with reproducible(3):
        network = CustomerNetwork(FEATURE_NAMES, HORIZONS, Config(encoder=encoder, buckets=SMALL, **changes)).eval()
        # Weights that a fresh network starts from differ too little to tell places apart.
        for weights in network.parameters():
            weights.data += 0.1 * torch.randn_like(weights)
    return network


def read_all(home, rows: list[int] | None = None) -> Batch:
    reader = Reader(make_inputs(home, len(LENGTHS)), SMALL)
    return reader.read(np.arange(len(LENGTHS)) if rows is None else np.array(rows))
