"""Made-up customers who buy each day with a probability of their own, which their features tell in part."""

import numpy as np

from expectations.behaviour import FEATURE_NAMES
from ml.examples import LIFE_NAMES, Examples, Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons

HORIZONS = Horizons((7, 14, 28, 56), 28, (28, 56))
PLACE = {name: n for n, name in enumerate(FEATURE_NAMES)}
SIGMA = 0.8


def buyers(
    customers: int, observed: tuple[int, ...] = (56,), seed: int = 0, horizons: Horizons = HORIZONS
) -> tuple[Examples, np.ndarray]:
    """Examples and the true (customers,) chance of a purchase on any day; ``observed`` days are dealt out in turn.

    Mean spend of who buys grows with monetary_value, in proportion to the window; its logarithm deviates by SIGMA.
    """
    rng = np.random.default_rng(seed)
    daily = rng.beta(1.0, 20.0, customers)
    worth = rng.lognormal(3.0, 0.5, customers)
    features = np.zeros((customers, len(FEATURE_NAMES)))
    features[:, PLACE["recency_days"]] = rng.geometric(np.maximum(daily, 0.003)) - 1
    features[:, PLACE["purchase_days_90d"]] = rng.binomial(90, daily)
    for days in (30, 90):
        features[:, PLACE[f"purchase_amount_{days}d"]] = worth * rng.binomial(days, daily)
    features[:, PLACE["monetary_value"]] = worth
    features[:, PLACE["age"]] = np.where(rng.random(customers) < 0.5, 40.0, np.nan)
    life = {name: rng.integers(1, 20, customers).astype(float) for name in LIFE_NAMES} | {"monetary_value": worth}
    life["frequency_days"] = rng.binomial(365, daily).astype(float)
    keys = np.array([f"{n:064x}" for n in range(customers)])
    inputs = Inputs(None, keys, np.full(customers, np.datetime64("2021-03-01")), features, life)
    known = np.resize(observed, customers)
    day = rng.geometric(daily).astype(float)
    spend = np.zeros((customers, len(horizons.spend_days)))
    for n, days in enumerate(horizons.spend_days):
        paid = worth * days / 10 * rng.lognormal(-(SIGMA**2) / 2, SIGMA, customers)
        spend[:, n] = np.where(known < days, np.nan, np.where(day <= days, paid, 0.0))
    return Examples(horizons, inputs, np.where(day <= known, day, np.inf), known, spend), daily


def true_forecast(examples: Examples, daily: np.ndarray) -> Forecast:
    """What a model that knows the truth would say."""
    horizons = examples.horizons
    hazard = 1 - (1 - daily[:, None]) ** np.diff([0, *horizons.edges_days])
    means = [examples.inputs.life["monetary_value"] * days / 10 for days in horizons.spend_days]
    mean = np.column_stack(means) if means else np.zeros((len(examples), 0))
    return Forecast(horizons, hazard, mean, np.full(mean.shape, SIGMA))
