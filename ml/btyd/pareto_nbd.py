"""Pareto/NBD: buying at a rate of one's own over an unseen lifetime.

Schmittlein, Morrison, Colombo (1987): Counting your customers: who are they and what will they do next? Management
Science 33(1). Fader, Hardie (2005): A note on deriving the Pareto/NBD model and related expressions.

Rate ~ Gamma(r, alpha), lifetime exponential with a rate ~ Gamma(s, beta).
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

import numpy as np
from scipy.special import digamma, expit, exprel, gammaln

from ml.btyd.histories import Histories
from ml.btyd.likelihood import maximise

START = np.array([0.5, 1.0, 0.5, 1.0])
NODES = 6
LEAST_LOG, TINY = -1e300, 1e-300
CHUNK = 1 << 13  # Arrays of rows and nodes stay in the processor's cache.


@dataclass(frozen=True)
class ParetoNbd:
    """alpha and beta in the unit of the histories."""

    r: float
    alpha: float
    s: float
    beta: float

    @classmethod
    def fit(cls, histories: Histories) -> "ParetoNbd":
        """By maximum likelihood; DataError if there is no maximum."""
        rows, _ = histories.unique()
        unit = np.average(rows.age, weights=rows.weights) or 1.0
        rows = replace(rows, t_x=rows.t_x / unit, age=rows.age / unit, weights=rows.weights / rows.weights.sum())

        def value(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            model, total, slope = cls(*parameters), 0.0, np.zeros(4)
            for start in range(0, len(rows), CHUNK):
                part = rows.rows(slice(start, start + CHUNK))
                each, gradient = model.gradient(part)
                total, slope = total + part.weights @ each, slope + part.weights @ gradient
            return total, slope

        (r, alpha, s, beta), _ = maximise(value, START, "Pareto/NBD")
        return cls(float(r), float(alpha * unit), float(s), float(beta * unit))

    def log_likelihood(self, histories: Histories) -> float:
        """Of all customers together."""
        rows, _ = histories.unique()
        return float(rows.weights @ self.gradient(rows)[0])

    def gradient(self, rows: Histories) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihood (rows,) and its derivatives by r, alpha, s, beta (rows, 4).

        L = Gamma(r+x) alpha^r beta^s / Gamma(r) *
            {(alpha+T)^-(r+x) (beta+T)^-s + integral over t_x … T of (alpha+t)^-(r+x) s (beta+t)^-(s+1)};
        the integral is usually written as a difference of two 2F1, which cancels and overflows.
        """
        r, alpha, s, beta = astuple(self)
        x, place = np.unique(rows.x, return_inverse=True)
        counts = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
        end_alpha, end_beta = np.log(alpha + rows.age), np.log(beta + rows.age)
        alive = -(r + rows.x) * end_alpha - s * end_beta
        log_dead, times, share = _log_death(r + rows.x, alpha, s, beta, rows.t_x, rows.age)
        value = counts[place] + np.logaddexp(alive, log_dead)
        dead = expit(log_dead - alive)
        mean_alpha, mean_beta = (share * np.log(alpha + times)).sum(axis=1), (share * np.log(beta + times)).sum(axis=1)
        inverse_alpha, inverse_beta = (share / (alpha + times)).sum(axis=1), (share / (beta + times)).sum(axis=1)
        by_count = (digamma(r + x) - digamma(r) + np.log(alpha))[place]
        over_alpha = (1 - dead) / (alpha + rows.age) + dead * inverse_alpha
        over_beta = (1 - dead) * s / (beta + rows.age) + dead * (s + 1) * inverse_beta
        return value, np.column_stack(
            [
                by_count - (1 - dead) * end_alpha - dead * mean_alpha,
                r / alpha - (r + rows.x) * over_alpha,
                np.log(beta) - (1 - dead) * end_beta + dead * (1 / s - mean_beta),
                s / beta - over_beta,
            ]
        )

    def probability_alive(self, rows: Histories) -> np.ndarray:
        """(rows,): the first part of the likelihood over both."""
        return _by_chunks(self._alive, rows)

    def probability_if_alive(self, rows: Histories, time: float) -> np.ndarray:
        """(rows,): the living have a rate ~ Gamma(r+x, alpha+T) and a lifetime from now on ~ Pareto(s, beta+T), so that
        silence has the likelihood of no repeat purchase with these parameters.
        """
        return _by_chunks(lambda part: self._bought(part, time), rows)

    def expected_purchases(self, rows: Histories, time: float) -> np.ndarray:
        """(rows,): purchases in (T, T + time]."""
        return self.probability_alive(rows) * self.expected_if_alive(rows, time)

    def expected_if_alive(self, rows: Histories, time: float) -> np.ndarray:
        """(rows,): (r+x)(beta+T) / ((alpha+T)(s-1)) (1 - ((beta+T)/(beta+T+time))^(s-1)); at s = 1 its limit."""
        longer = np.log1p(time / (self.beta + rows.age))
        lived = (self.beta + rows.age) * longer * exprel((1 - self.s) * longer)
        return (self.r + rows.x) / (self.alpha + rows.age) * lived

    def _alive(self, rows: Histories) -> np.ndarray:
        r, alpha, s, beta = astuple(self)
        alive = -(r + rows.x) * np.log(alpha + rows.age) - s * np.log(beta + rows.age)
        return expit(alive - _log_death(r + rows.x, alpha, s, beta, rows.t_x, rows.age)[0])

    def _bought(self, rows: Histories, time: float) -> np.ndarray:
        """Probability that the living buy."""
        shape, alpha, beta = self.r + rows.x, self.alpha + rows.age, self.beta + rows.age
        silent = -shape * np.log1p(time / alpha) - self.s * np.log1p(time / beta)
        zero = np.zeros(len(rows))
        died = _log_death(shape, alpha, self.s, beta, zero, zero + time)[0]
        return -np.expm1(np.minimum(np.logaddexp(silent, died + shape * np.log(alpha) + self.s * np.log(beta)), 0.0))


def _by_chunks(values: Callable[[Histories], np.ndarray], rows: Histories) -> np.ndarray:
    parts = [values(rows.rows(slice(start, start + CHUNK))) for start in range(0, len(rows), CHUNK)]
    return np.concatenate(parts) if parts else np.empty(0)


def _log_death(
    shape: np.ndarray, alpha: np.ndarray | float, s: float, beta: np.ndarray | float, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log of the integral over start … end of (alpha+t)^-shape s (beta+t)^-(s+1); times of nodes, their shares of it.

    Two scales can lie far apart: a lifetime's, beta + start, and a purchase's, (alpha + start) / (shape + s).
    The integral is split between them, so that each part falls like one power: with six nodes each the log is within
    .001, wherever parameters lie.
    """
    lifetime, purchase = beta + start, (alpha + start) / (shape + s)
    middle = np.minimum(start + np.sqrt(2 * lifetime * purchase), end)
    parts = [_nodes(shape, alpha, s, beta, low, high) for low, high in ((start, middle), (middle, end))]
    times, logs = (np.concatenate(both, axis=1) for both in zip(*parts, strict=True))
    highest = np.maximum(logs.max(axis=1), LEAST_LOG)
    shares = np.exp(logs - highest[:, None])
    total = shares.sum(axis=1)
    with np.errstate(divide="ignore"):  # No time since the last purchase: the integral is 0.
        return highest + np.log(total), times, shares / np.maximum(total, TINY)[:, None]


def _nodes(
    shape: np.ndarray, alpha: np.ndarray | float, s: float, beta: np.ndarray | float, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(times, logs of what each adds to the integral), (rows, NODES) each.

    Gauss-Legendre over q = (1 + (t - start) / g)^-k: g is where the integrand begins to fall, k = (shape + s) / 6 makes
    it fall to 0 as a smooth power of q. So as many nodes do for a first purchase as for the thousandth.
    """
    points, weights = np.polynomial.legendre.leggauss(NODES)
    k = np.maximum((shape + s) / 6, 0.3)
    g = (shape + s + 1) / (shape / (alpha + start) + (s + 1) / (beta + start))
    width = -np.expm1(-k * np.log1p((end - start) / g))
    log_q = np.log1p(width[:, None] * ((points - 1) / 2))
    times = start[:, None] + g[:, None] * np.expm1(-log_q / k[:, None])
    alphas, betas = np.broadcast_to(alpha, len(k))[:, None], np.broadcast_to(beta, len(k))[:, None]
    logs = np.log(weights / 2) - shape[:, None] * np.log(alphas + times) - (s + 1) * np.log(betas + times)
    with np.errstate(divide="ignore"):  # An empty part adds nothing.
        return times, logs - (1 + 1 / k[:, None]) * log_q + np.log(s * g / k * width)[:, None]
