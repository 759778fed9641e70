"""Gamma-Gamma: what a purchase is worth, whose mean differs by customer and has nothing to do with how often they buy.

Fader, Hardie (2013): The Gamma-Gamma model of monetary value. Colombo, Jiang (1999): A stochastic RFM model.

A purchase is worth Gamma(p, rate nu), nu ~ Gamma(q, rate gamma).
"""

from dataclasses import astuple, dataclass

import numpy as np
from scipy.special import digamma, gammaln

from expectations.errors import DataError
from ml.btyd.likelihood import maximise

START = np.array([2.0, 2.0, 2.0])


@dataclass(frozen=True)
class _Told:
    """What the likelihood reads.

    x, share, mean_log  distinct counts; share of customers with each; sum of their log m over the number of all
    paid, place         by customer: x m, and which of the counts is theirs
    """

    x: np.ndarray
    share: np.ndarray
    mean_log: np.ndarray
    paid: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, count: np.ndarray, mean: np.ndarray) -> "_Told":
        x, place = np.unique(count, return_inverse=True)
        rows = len(count)
        return cls(x, np.bincount(place) / rows, np.bincount(place, np.log(mean)) / rows, count * mean, place)

    def by_count(self, values: np.ndarray) -> np.ndarray:
        """Sum of ``values`` (customers,) by distinct count, over the number of customers."""
        return np.bincount(self.place, values) / len(values)


@dataclass(frozen=True)
class GammaGamma:
    """gamma in the unit of money."""

    p: float
    q: float
    gamma: float

    @classmethod
    def fit(cls, count: np.ndarray, mean: np.ndarray) -> "GammaGamma":
        """By maximum likelihood, from ``count`` purchases of ``mean`` value a customer; those without are left out."""
        kept = (count > 0) & (mean > 0)
        if not kept.any():
            raise DataError("Gamma-Gamma needs customers who paid something; there are none")
        count, mean = count[kept], mean[kept]
        unit = float(mean.mean())
        told = _Told.of(count, mean / unit)
        (p, q, gamma), _ = maximise(lambda parameters: cls(*parameters)._likelihood(told), START, "Gamma-Gamma")
        return cls(float(p), float(q), float(gamma * unit))

    def log_likelihood(self, count: np.ndarray, mean: np.ndarray) -> float:
        """Of all customers together, all of whom bought."""
        return self._likelihood(_Told.of(count, mean))[0] * len(count)

    def _likelihood(self, told: "_Told") -> tuple[float, np.ndarray]:
        """Mean log-likelihood and its derivatives by p, q, gamma.

        Equation 1a of the paper: Gamma(px+q) / (Gamma(px) Gamma(q)) gamma^q m^(px-1) x^(px) / (gamma + x m)^(px+q).
        """
        p, q, gamma = astuple(self)
        x, share, mean_log, log_x = told.x, told.share, told.mean_log, np.log(told.x)
        summed = gamma + told.paid
        mean_summed, inverse = told.by_count(np.log(summed)), told.by_count(1 / summed)
        value = share * (gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(gamma) + p * x * log_x)
        value += (p * x - 1) * mean_log - (p * x + q) * mean_summed
        by_p = share * x * (digamma(p * x + q) - digamma(p * x) + log_x) + x * (mean_log - mean_summed)
        by_q = share * (digamma(p * x + q) - digamma(q) + np.log(gamma)) - mean_summed
        by_gamma = share * q / gamma - (p * x + q) * inverse
        return float(value.sum()), np.array([by_p.sum(), by_q.sum(), by_gamma.sum()])

    def expected_value(self, count: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """(rows,): mean worth of a purchase, (gamma + x m) p / (p x + q - 1): the nearer to m the more purchases.

        The shop's own mean has no bound where q <= 1; then of those who bought too little q - 1 is taken as 0.01.
        """
        paid = np.where(count > 0, count * np.nan_to_num(mean), 0.0)
        return self.p * (self.gamma + paid) / np.maximum(self.p * count + self.q - 1, 0.01)

    def relative_variance(self, count: np.ndarray, purchases: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """(rows,): variance over squared mean of the sum of N purchases; N of mean ``purchases``, variance ``spread``.

        The sum is Gamma(p N, nu) with nu ~ Gamma(q + p x): E[1/nu^2] / E[1/nu]^2 = (k-1)/(k-2) with k = q + p x, which
        has a bound where k > 2; below, that of k = 2.1 is taken.
        """
        k = np.maximum(self.q + self.p * count, 2.1)
        mean_square = (purchases**2 + spread + purchases / self.p) / np.maximum(purchases, 1e-300) ** 2
        return mean_square * (k - 1) / (k - 2) - 1
