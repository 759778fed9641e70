"""BG/NBD and MBG/NBD: buying at a rate of one's own until one drops out after some purchase.

Fader, Hardie, Lee (2005): "Counting your customers" the easy way. Marketing Science 24(2).
Batislam, Denizel, Filiztekin (2007): Empirical validation and comparison of models for customer base analysis.
International Journal of Research in Marketing 24(3).

Rate ~ Gamma(r, alpha); after each repeat purchase a customer drops out with probability p ~ Beta(a, b). MBG/NBD lets
them drop out after the first purchase too, so that who bought once need not be alive for ever.
"""

from dataclasses import astuple, dataclass, replace

import numpy as np
from scipy.special import digamma, expit, gammaln

from ml.btyd.histories import Histories
from ml.btyd.likelihood import maximise
from ml.btyd.quadrature import beta_mean

START = np.array([0.5, 1.0, 1.0, 2.0])


@dataclass(frozen=True)
class BetaGeometric:
    """``is_modified``: MBG/NBD. r, alpha, a, b as above; alpha in the unit of the histories."""

    r: float
    alpha: float
    a: float
    b: float
    is_modified: bool = False

    @classmethod
    def fit(cls, histories: Histories, is_modified: bool = False) -> "BetaGeometric":
        """By maximum likelihood; DataError if there is no maximum."""
        rows, _ = histories.unique()
        unit = np.average(rows.age, weights=rows.weights) or 1.0  # Times near 1 make the likelihood well scaled.
        rows = replace(rows, t_x=rows.t_x / unit, age=rows.age / unit)
        weights = rows.weights / rows.weights.sum()

        def value(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            each, gradient = cls(*parameters, is_modified=is_modified).gradient(rows)
            return weights @ each, weights @ gradient

        (r, alpha, a, b), _ = maximise(value, START, "MBG/NBD" if is_modified else "BG/NBD")
        return cls(float(r), float(alpha * unit), float(a), float(b), is_modified)

    def log_likelihood(self, histories: Histories) -> float:
        """Of all customers together."""
        rows, _ = histories.unique()
        return float(rows.weights @ self.gradient(rows)[0])

    def gradient(self, rows: Histories) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihood (rows,) and its derivatives by r, alpha, a, b (rows, 4).

        L = Gamma(r+x) alpha^r / Gamma(r) * B(a, b+n) / B(a, b) * {(alpha+T)^-(r+x) + a/(b+n-1) (alpha+t_x)^-(r+x)},
        n the chances to drop out that were survived if alive: x, or x + 1 for MBG/NBD; no second part where n = 0.
        """
        r, alpha, a, b = astuple(self)[:4]
        x, place = np.unique(rows.x, return_inverse=True)  # Gamma functions of so few counts cost next to nothing.
        n = x + self.is_modified
        counts = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        counts += gammaln(b + n) - gammaln(a + b + n) - gammaln(b) + gammaln(a + b)
        until_cutoff, until_last = np.log(alpha + rows.age), np.log(alpha + rows.t_x)
        alive, odds = -(r + rows.x) * until_cutoff, self._log_odds_dead(rows)
        dead = expit(odds)
        value = counts[place] + alive + np.logaddexp(0.0, odds)
        by_total = digamma(a + b) - digamma(a + b + n)
        return value, np.column_stack(
            [
                (digamma(r + x) - digamma(r) + np.log(alpha))[place] - (1 - dead) * until_cutoff - dead * until_last,
                r / alpha - (r + rows.x) * ((1 - dead) / (alpha + rows.age) + dead / (alpha + rows.t_x)),
                by_total[place] + dead / a,
                (by_total + digamma(b + n) - digamma(b))[place] - dead / np.maximum(b + n - 1, 1e-12)[place],
            ]
        )

    def probability_alive(self, rows: Histories) -> np.ndarray:
        """(rows,): 1 / (1 + a/(b+n-1) ((alpha+T)/(alpha+t_x))^(r+x)); BG/NBD says 1 of everybody who bought once."""
        return expit(-self._log_odds_dead(rows))

    def probability_if_alive(self, rows: Histories, time: float) -> np.ndarray:
        """(rows,): 1 - ((alpha+T)/(alpha+T+time))^(r+x): the living stay so until they buy, at a rate ~ Gamma(r+x,
        alpha+T).
        """
        return -np.expm1(-(self.r + rows.x) * np.log1p(time / (self.alpha + rows.age)))

    def expected_purchases(self, rows: Histories, time: float) -> np.ndarray:
        """(rows,): purchases in (T, T + time]; equation 10 of the paper."""
        return self.probability_alive(rows) * self.expected_if_alive(rows, time)

    def expected_if_alive(self, rows: Histories, time: float) -> np.ndarray:
        """(rows,): mean of (1 - ((alpha+T)/(alpha+T+p time))^(r+x)) / p over p ~ Beta(a, b+n).

        It equals the paper's 2F1; so written, nothing overflows for frequent buyers, and nothing is odd at a = 1.
        """
        shape, scale = self.r + rows.x, time / (self.alpha + rows.age)

        def purchases(p: np.ndarray, at: slice) -> np.ndarray:
            return -np.expm1(-shape[at, None] * np.log1p(p * scale[at, None])) / p

        return beta_mean(self.a, self.b + rows.x + self.is_modified, purchases)

    def _log_odds_dead(self, rows: Histories) -> np.ndarray:
        n = rows.x + self.is_modified
        longer = np.log1p((rows.age - rows.t_x) / (self.alpha + rows.t_x))
        with np.errstate(divide="ignore"):
            chance = np.log(np.where(n > 0, self.a / np.maximum(self.b + n - 1, 1e-12), 0.0))
        return chance + (self.r + rows.x) * longer
