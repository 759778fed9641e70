"""A discrete hazard of any classifier: for every interval one fit on those at risk in it.

A customer is at risk in an interval if they had not bought before it and it is known to its end, so that censored rows
teach the intervals they reach, and are never taken for customers who did not buy. An interval is not fitted where fewer
than MIN_CASES bought or did not buy in it:
- with rows at risk: the share that bought, for everybody;
- without: the interval before it goes on, its hazard a day falling as fast as that of the whole population did.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from sklearn.base import BaseEstimator

from expectations.errors import DataError
from ml.examples import Examples
from ml.horizons import Horizons

MIN_CASES = 10
"""Customers of either outcome that an interval needs for a fit of its own."""

EPSILON = 1e-6


class Hazard(BaseEstimator):
    """Classifiers of the intervals; what stands in for those that could not be fitted.

    classifiers  one an interval, or None
    rates        one an interval: the share that bought, where it stands in; else NaN
    carry        one an interval: where neither is known, its hazard a day as a multiple of the interval before
    """

    def __init__(self, horizons: Horizons) -> None:
        self.edges_days = list(horizons.edges_days)

    def fit(self, make: Callable[[], BaseEstimator], design: np.ndarray, examples: Examples) -> "Hazard":
        """Fits a fresh classifier of ``make`` an interval; ``design`` (rows, columns) is what it reads.

        DataError if no interval has matured.
        """
        at_risk, is_event = examples.at_risk(), examples.is_event()
        risked, events = at_risk.sum(axis=0), (at_risk * is_event).sum(axis=0)
        if not risked[0]:
            raise DataError(
                f"no training cutoff is followed by {self.edges_days[0]} known days, the first of the intervals "
                f"{self.edges_days}: choose a later cutoff, or shorter horizons"
            )
        self.classifiers, self.rates = [], []
        for k, (n, bought) in enumerate(zip(risked, events, strict=True)):
            fits = min(bought, n - bought) >= MIN_CASES
            rows = at_risk[:, k]
            self.classifiers.append(make().fit(design[rows], is_event[rows, k]) if fits else None)
            self.rates.append(float("nan") if fits or not n else float((bought + 0.5) / (n + 1)))
        self.carry = carried(examples.horizons, risked, events)
        return self

    def predict(self, design: np.ndarray) -> np.ndarray:
        """(rows, intervals): probability of the first purchase within the interval if there was none before."""
        lengths = np.diff([0, *self.edges_days])
        hazard = np.empty((len(design), len(lengths)))
        for k, classifier in enumerate(self.classifiers):
            if classifier is not None:
                hazard[:, k] = classifier.predict_proba(design)[:, 1]
            elif self.rates[k] == self.rates[k]:
                hazard[:, k] = self.rates[k]
            else:
                days = self.carry[k] * lengths[k] / lengths[k - 1]
                hazard[:, k] = -np.expm1(days * np.log1p(-hazard[:, k - 1]))
            hazard[:, k] = np.clip(hazard[:, k], EPSILON, 1 - EPSILON)
        return hazard


def carried(horizons: Horizons, risked: np.ndarray, events: np.ndarray) -> list[float]:
    """Hazard a day of each interval as a multiple of the one before, as it follows from the intervals that matured.

    If customers differ in how often they buy by a gamma distribution, the hazard of those who have not bought yet is
    r / (alpha + t): 1 / hazard is a straight line over time. It is drawn through the last two known intervals; a hazard
    that rises, or is known of one interval alone, stays as it is.
    """
    starts, ends = np.array(horizons.starts_days), np.array(horizons.edges_days)
    middles, known = (starts + ends) / 2, np.flatnonzero(risked > 0)
    daily = -np.log1p(-(events[known] + 0.5) / (risked[known] + 1)) / (ends - starts)[known]
    slope = 0.0
    if len(known) > 1:
        (first, last), days = 1 / daily[-2:], middles[known]
        slope = max(0.0, (last - first) / (days[-1] - days[-2]))
    inverse = 1 / daily[-1] + slope * (middles - middles[known[-1]])
    return [1.0, *(float(before / after) for before, after in pairwise(inverse))]


def log_loss(hazard: np.ndarray, examples: Examples) -> float:
    """Mean over the rows of the negative logarithm of the probability given to what happened in the intervals at risk.

    This is the log loss of when the first purchase comes, censored where it is not known.
    """
    at_risk, is_event = examples.at_risk(), examples.is_event()
    likelihood = np.where(is_event > 0, hazard, 1 - hazard)
    return float(-np.where(at_risk, np.log(np.maximum(likelihood, 1e-12)), 0.0).sum() / max(at_risk[:, 0].sum(), 1))
