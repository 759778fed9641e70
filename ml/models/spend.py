"""Spend if there is a purchase, a window at a time: its mean by one regressor, the spread of its logarithm by another.

A window that has not matured in training is taken from the nearest one that has, as if spend came evenly over time.
"""

import logging
from collections.abc import Callable

import numpy as np
from joblib import parallel_config
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyRegressor

from ml.examples import Examples
from ml.horizons import Horizons

MIN_PAYERS = 30
"""Payers that a window needs for a fit of its own; with fewer, everybody is expected to spend their mean."""

FLOOR = 1e-6
"""Keeps means and variances above 0, so that they have a logarithm."""

log = logging.getLogger(__name__)


class Spend(BaseEstimator):
    """means and spreads: one regressor a window, or None where no payer or no matured window taught it.

    source  one a window: the window whose labels taught it; -1: no window has matured
    """

    def __init__(self, horizons: Horizons) -> None:
        self.spend_days = list(horizons.spend_days)

    def fit(self, make: Callable[[], BaseEstimator], design: np.ndarray, examples: Examples) -> "Spend":
        """Fits two fresh regressors of ``make`` a window, on those who paid in it."""
        matured = [n for n in range(len(self.spend_days)) if np.isfinite(examples.spend[:, n]).any()]
        self.means, self.spreads, self.source = [], [], []
        for n, days in enumerate(self.spend_days):
            nearest = min(matured, key=lambda other: abs(self.spend_days[other] - days), default=-1)
            self.source.append(nearest)
            paid = examples.spend[:, n] > 0
            if nearest != n or not paid.any():
                self.means.append(None)
                self.spreads.append(None)
                continue
            fresh = make if paid.sum() >= MIN_PAYERS else DummyRegressor
            rows, spend = design[paid], examples.spend[paid, n]
            self.means.append(fresh().fit(rows, spend))
            with parallel_config(n_jobs=1):  # of trees: votes added up in another order are not the same
                means = self.means[-1].predict(rows)
            residuals = np.log(spend) - np.log(np.maximum(means, FLOOR))
            self.spreads.append(fresh().fit(rows, residuals**2 + FLOOR))
        if self.spend_days and not matured:
            log.warning(
                "no spend window of %s days has matured: a purchase is worth the customer's mean", self.spend_days
            )
        return self

    def predict(
        self, design: np.ndarray, probability: Callable[[int], np.ndarray], monetary_value: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sigma, each (rows, windows). ``probability``: days → (rows,) probability of a purchase by then.

        monetary_value  (rows,) mean paid per purchase day so far: stands in where no window ever matured
        """
        means = np.zeros((len(design), len(self.spend_days)))
        sigmas = np.ones_like(means)
        for n, (mean, spread) in enumerate(zip(self.means, self.spreads, strict=True)):
            if mean is not None:
                means[:, n] = np.maximum(mean.predict(design), FLOOR)
                # residual = sigma z - sigma²/2, so its mean square is sigma² + sigma⁴/4
                sigmas[:, n] = np.sqrt(2 * (np.sqrt(1 + np.maximum(spread.predict(design), FLOOR)) - 1))
        for n, near in enumerate(self.source):
            if near < 0:
                means[:, n] = np.nan_to_num(monetary_value)
            elif near != n:
                days, known = self.spend_days[n], self.spend_days[near]
                rate = probability(known) * means[:, near] / known
                means[:, n], sigmas[:, n] = rate * days / np.maximum(probability(days), FLOOR), sigmas[:, near]
        return means, sigmas


def gamma_deviance(mean: np.ndarray, sigma: np.ndarray, examples: Examples) -> float:
    """Mean over windows of the gamma deviance of spend of those who paid, ``mean`` scaled to their total.

    Scaled, since calibration scales it too. inf where nobody paid.
    """
    losses = []
    for n in range(examples.spend.shape[1]):
        paid = examples.spend[:, n] > 0
        if paid.any():
            ratio = examples.spend[paid, n] / mean[paid, n]
            ratio *= mean[paid, n].sum() / examples.spend[paid, n].sum()
            losses.append(2 * np.mean(ratio - 1 - np.log(ratio)))
    return float(np.mean(losses)) if losses else float("inf")
