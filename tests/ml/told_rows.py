"""Made-up customers of whom it is known why they leave: silence alone decides, the rest is chance."""

import numpy as np

from expectations.behaviour import FEATURE_NAMES
from ml.examples import LIFE_NAMES, Examples, Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons

HORIZONS = Horizons((7, 14, 30, 60), 30, (30,))
CUTOFF = np.datetime64("2021-03-01")
PLACE = {name: n for n, name in enumerate(FEATURE_NAMES)}
QUIET_DAYS, USUAL_GAP_DAYS = 62.0, 12.0


def told_examples(customers: int = 1500, quiet: int = 100, seed: int = 0) -> Examples:
    """The first ``quiet`` customers have not bought for QUIET_DAYS and hardly will; the others bought lately.

    Spend within 30 days is log-normal with mean 50 e^.125 for who buys. Every feature but recency is noise.
    """
    rng = np.random.default_rng(seed)
    features = rng.integers(1, 20, (customers, len(FEATURE_NAMES))).astype(float)
    features[:, PLACE["gap_mean_days"]] = USUAL_GAP_DAYS
    features[:, PLACE["recency_days"]] = np.where(
        np.arange(customers) < quiet, QUIET_DAYS, rng.integers(1, 15, customers)
    )
    features[:, PLACE["age"]] = np.where(rng.random(customers) < 0.5, rng.integers(18, 80, customers), np.nan)
    life = {name: rng.integers(1, 20, customers).astype(float) for name in LIFE_NAMES}
    life["tenure_days"] = np.where(rng.random(customers) < 0.2, 10.0, 400.0)
    keys = np.array([f"{n:064x}" for n in range(customers)])
    inputs = Inputs(None, keys, np.full(customers, CUTOFF), features, life)
    day = rng.geometric(daily_chance(inputs)).astype(float)
    day[day > HORIZONS.longest] = np.inf
    spend = np.where(day <= 30, rng.lognormal(np.log(50), 0.5, customers), 0.0)[:, None]
    return Examples(HORIZONS, inputs, day, np.full(customers, HORIZONS.longest), spend)


def daily_chance(inputs: Inputs) -> np.ndarray:
    """(rows,): the true chance of a purchase on any day."""
    return np.where(inputs.features[:, PLACE["recency_days"]] >= QUIET_DAYS, 0.004, 0.05)


def true_forecast(inputs: Inputs, embedding: int = 0) -> Forecast:
    """What a model that knows the truth would say."""
    lengths = np.diff([0, *HORIZONS.edges_days])
    hazard = 1 - (1 - daily_chance(inputs)[:, None]) ** lengths
    mean = np.full((len(inputs), 1), 50 * np.exp(0.125))
    vectors = inputs.features[:, :embedding].astype(np.float32) if embedding else None
    return Forecast(HORIZONS, hazard, mean, np.full((len(inputs), 1), 0.5), vectors)
