"""How long the default GRU takes to score a million customers, from the files of a snapshot to their forecasts."""

import shutil
import time
from pathlib import Path

import torch

from expectations.behaviour import FEATURE_NAMES
from ml.encoders.network import Config, CustomerNetwork
from ml.encoders.score import score
from ml.horizons import Horizons
from tests.benchmarks.behaviour_lengths import write_home

CUSTOMERS = 1_000_000


def measure(folder: Path) -> dict[str, float]:
    """Seconds of the whole, weights random: they take as long as learned ones."""
    home = folder / "random sequences"
    shutil.rmtree(home, ignore_errors=True)
    try:
        inputs = write_home(home, CUSTOMERS)
        torch.manual_seed(0)
        network = CustomerNetwork(FEATURE_NAMES, Horizons(), Config())
        print(f"{CUSTOMERS:,} customers as long as those of Complete Journey; {network.config}")
        began = time.perf_counter()
        scored = score(network, inputs)
        seconds = time.perf_counter() - began
        assert len(scored.hazard) == CUSTOMERS
        return {"score_1m_s": seconds}
    finally:
        shutil.rmtree(home, ignore_errors=True)
