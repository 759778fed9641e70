"""From contributions to the hazards' margins to contributions to one probability, so that they add up.

A model speaks in margins, z: the log-odds of its hazard in each interval. What is explained is the log-odds L of a
purchase within some days, which all intervals up to there make, after calibration. A margin's share in L − L(base) is
Aumann's and Shapley's: its gradient averaged on the straight line from the base; a feature's share in a margin is
handed on in proportion. So base + sum of contributions = L, to the precision of the quadrature (1e-6).
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit

from ml.forecast import interval_shares
from ml.horizons import Horizons

NODES = 16
"""Of the Gauss–Legendre quadrature."""
SMALLEST_STEP = 1e-6
EPSILON = 1e-6

Finish = Callable[[np.ndarray], np.ndarray]
"""(rows, intervals) margins of a model → its finished hazards: intervals without a fit filled in, calibrated."""


def log_odds(hazard: np.ndarray, horizons: Horizons, days: int) -> np.ndarray:
    """(rows,): of at least one purchase within ``days``; as Forecast.probability says it."""
    log_survival = np.log1p(-np.clip(hazard, EPSILON, 1 - EPSILON)) @ interval_shares(horizons, days)
    return np.log(-np.expm1(log_survival)) - log_survival


def factors(
    base: np.ndarray, margins: np.ndarray, finish: Finish, source: np.ndarray, horizons: Horizons, days: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(factors, base log-odds, log-odds): (rows, intervals), (rows,), (rows,).

    base, margins  (rows, intervals): where the explanation begins, and what the model says
    source         (intervals,): the fitted interval whose margin each interval follows, its own if it was fitted
    factors        of a contribution to a margin, to give one to the log-odds of a purchase within ``days``
    """
    began, ended = (logit(np.clip(finish(values), EPSILON, 1 - EPSILON)) for values in (base, margins))
    moved, share = np.zeros_like(began), interval_shares(horizons, days)
    points, lengths = np.polynomial.legendre.leggauss(NODES)
    for point, length in zip((points + 1) / 2, lengths / 2, strict=True):
        hazard = expit(began + point * (ended - began))
        silent = np.exp(np.log1p(-hazard) @ share)
        moved += length * (ended - began) * share * hazard / (1 - silent)[:, None]
    gathered = np.zeros_like(moved)
    np.add.at(gathered.T, source, moved.T)
    change = margins - base
    still = np.abs(change) < SMALLEST_STEP
    factor = np.where(still, 0.0, gathered / np.where(still, 1.0, change))
    return factor, log_odds(expit(began), horizons, days), log_odds(expit(ended), horizons, days)
