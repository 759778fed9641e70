"""How long BG/NBD, MBG/NBD and Pareto/NBD with Gamma-Gamma take for a million simulated customers, and in what memory.

Fitted and asked one after the other, as models of the table: hazard, spend and its spread for every customer.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from expectations.version import REPOSITORY
from ml.examples import Examples, Inputs
from ml.horizons import Horizons

CUSTOMERS, DAYS = 1_000_000, 730


def measure(folder: Path) -> dict[str, float]:
    """Seconds of all fits and forecasts, and the largest resident memory (MB) of the process, customers included."""
    command = [sys.executable, "-m", "tests.benchmarks.btyd"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        seconds = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {"btyd_1m_s": float(seconds), "btyd_1m_mb": used.ru_maxrss / 1024}


def customers(count: int = CUSTOMERS, days: int = DAYS, seed: int = 0) -> Examples:
    """Who first bought evenly over ``days``, then at a rate of their own until they dropped out, as BG/NBD has it."""
    rng = np.random.default_rng(seed)
    age = rng.integers(1, days, count).astype(np.float64)
    rate, drop = rng.gamma(0.25, 1 / 31.0, count), rng.beta(0.8, 2.4, count)
    now, frequency, last = np.zeros(count), np.ones(count), np.zeros(count)
    living = np.arange(count)
    while len(living):
        now[living] += rng.exponential(1, len(living)) / np.maximum(rate[living], 1e-9)
        living = living[now[living] <= age[living]]
        day = np.minimum(np.ceil(now[living]), age[living])
        frequency[living] += day > last[living]  # two on one day are one
        last[living] = day
        living = living[rng.random(len(living)) > drop[living]]
    worth = rng.gamma(6 * frequency) / rng.gamma(4.0, 1 / 15.0, count) / frequency
    life = {
        "frequency_days": frequency,
        "recency_days": age - last,
        "first_purchase_age_days": age,
        "tenure_days": age,
        "monetary_value": worth,
    }
    cutoffs = np.full(count, np.datetime64("2022-01-01"))
    inputs = Inputs(None, np.arange(count).astype(str), cutoffs, np.empty((count, 0)), life)
    horizons = Horizons()
    spend = np.full((count, len(horizons.spend_days)), np.nan)
    return Examples(horizons, inputs, np.full(count, np.inf), np.zeros(count, dtype=np.int64), spend)


def main() -> None:
    from ml.models import make

    examples = customers()
    began = time.perf_counter()
    for name in ("bg_nbd", "mbg_nbd", "pareto_nbd"):
        model = make(name)
        model.fit(examples, examples)
        model.predict(examples.inputs)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
