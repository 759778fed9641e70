"""What every model says of a customer: when they will buy, and how much they will spend if they do.

Purchase is a discrete hazard, so that probabilities rise with the horizon and churn is the survival of the same hazard.
Spend in a window is zero-inflated log-normal (Wang, Liu, Miao 2019): nothing with the probability of no purchase, else
log-normal.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from ml.horizons import Horizons


@dataclass(frozen=True)
class Forecast:
    """Rows in the order of the inputs.

    hazard             (rows, intervals): probability of the first purchase within an interval if there was none before
    spend_if_purchase  (rows, spend windows): mean spend in the window if there is a purchase in it; currency
    spend_sigma        (rows, spend windows): standard deviation of the logarithm of that spend
    embedding          (rows, width) float32, or None for models that make none
    """

    horizons: Horizons
    hazard: np.ndarray
    spend_if_purchase: np.ndarray
    spend_sigma: np.ndarray
    embedding: np.ndarray | None = None

    def __post_init__(self) -> None:
        rows, windows = len(self.hazard), len(self.horizons.spend_days)
        assert self.hazard.shape == (rows, len(self.horizons.edges_days)), self.hazard.shape
        assert self.spend_if_purchase.shape == self.spend_sigma.shape == (rows, windows), self.spend_if_purchase.shape

    def __len__(self) -> int:
        return len(self.hazard)

    def survival(self, days: int) -> np.ndarray:
        """(rows,): probability of no purchase within ``days`` (0 … longest); within an interval the hazard is even."""
        if not 0 <= days <= self.horizons.longest:
            raise ValueError(f"horizon of {days} days lies outside 0 … {self.horizons.longest}")
        return np.exp(np.log1p(-np.clip(self.hazard, 0.0, 1 - 1e-12)) @ interval_shares(self.horizons, days))

    def probability(self, days: int) -> np.ndarray:
        """(rows,): probability of at least one purchase within ``days``."""
        return 1.0 - self.survival(days)

    def churn(self) -> np.ndarray:
        """(rows,): probability of churn, which is survival beyond churn_days."""
        return self.survival(self.horizons.churn_days)

    def expected_spend(self, days: int) -> np.ndarray:
        """(rows,): mean spend within ``days``, one of spend_days; currency."""
        return self.probability(days) * self.spend_if_purchase[:, self._window(days)]

    def spend_quantile(self, days: int, level: float | np.ndarray) -> np.ndarray:
        """(rows,): what spend within ``days`` stays below with probability ``level``; 0 where nothing is likelier."""
        mean, sigma = self.spend_if_purchase[:, self._window(days)], self.spend_sigma[:, self._window(days)]
        silent = self.survival(days)
        inside = np.clip((level - silent) / np.maximum(1 - silent, 1e-12), 1e-12, 1 - 1e-12)
        mu = np.log(np.maximum(mean, 1e-12)) - sigma**2 / 2
        return np.where(level <= silent, 0.0, np.exp(mu + sigma * ndtri(inside)))

    def spend_interval(self, days: int, cover: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends, each (rows,), of the central interval that holds spend with probability ``cover``."""
        tail = (1 - cover) / 2
        return self.spend_quantile(days, tail), self.spend_quantile(days, 1 - tail)

    def spend_probability_below(self, days: int, spend: np.ndarray) -> np.ndarray:
        """(rows,): probability that spend within ``days`` is at most ``spend``; at 0 the whole of the zero part."""
        mean, sigma = self.spend_if_purchase[:, self._window(days)], self.spend_sigma[:, self._window(days)]
        return probability_below(spend, self.survival(days), mean, sigma)

    def rows(self, chosen: np.ndarray) -> "Forecast":
        """The forecast of some rows, by number or by mask."""
        return replace(
            self,
            hazard=self.hazard[chosen],
            spend_if_purchase=self.spend_if_purchase[chosen],
            spend_sigma=self.spend_sigma[chosen],
            embedding=None if self.embedding is None else self.embedding[chosen],
        )

    def _window(self, days: int) -> int:
        return self.horizons.spend_days.index(days)


def probability_below(spend: np.ndarray, silent: np.ndarray, mean: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """(rows,): probability of at most ``spend`` where nothing is spent with probability ``silent``, else log-normal."""
    mu, paid = np.log(np.maximum(mean, 1e-12)) - sigma**2 / 2, spend > 0
    below = ndtr((np.log(np.where(paid, spend, 1.0)) - mu) / np.maximum(sigma, 1e-9))
    return silent + (1 - silent) * np.where(paid, below, 0.0)


def interval_shares(horizons: Horizons, days: int) -> np.ndarray:
    """(intervals,): which part of each interval lies within ``days``."""
    starts, ends = np.array(horizons.starts_days), np.array(horizons.edges_days)
    return np.clip((days - starts) / (ends - starts), 0.0, 1.0)
