"""What sets a group apart from all others: standardised differences of means, with intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

LEAST = 0.2
"""Standard deviations below which a difference is not worth a word (Cohen 1988: small)."""
LEAST_KNOWN = 10
"""Customers on either side who must have the number."""


@dataclass(frozen=True)
class Difference:
    """Mean inside less mean outside in standard deviations of everybody, with its 95 % interval (Welch)."""

    feature: str
    value: float
    low: float
    high: float
    inside: float
    outside: float


def differences(features: pd.DataFrame, inside: np.ndarray) -> list[Difference]:
    """Those of at least LEAST whose interval does not hold 0, the largest first; one for each family of features.

    features  (customers, features), NaN where missing; inside  (customers,) bool
    """
    from ml.reasons.facts import told_by
    from ml.reasons.words import family

    values = features.to_numpy(float, na_value=np.nan)
    (n_in, mean_in, var_in), (n_out, mean_out, var_out) = _moments(values[inside]), _moments(values[~inside])
    _, _, var = _moments(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(var)
        value = (mean_in - mean_out) / scale
        reach = 1.96 * np.sqrt(var_in / n_in + var_out / n_out) / scale
        telling = (np.abs(value) >= LEAST) & (np.abs(value) > reach) & (np.minimum(n_in, n_out) >= LEAST_KNOWN)
        telling &= n_in >= inside.sum() / 2  # what is known of few says little of the group
    means = dict(zip(features.columns, np.column_stack([mean_in, mean_out]), strict=True))
    known, told = told_by(list(features.columns), means.get, 2)
    found: dict[str, Difference] = {}
    for place in np.argsort(-np.abs(np.nan_to_num(value)), kind="stable"):
        name = features.columns[place]
        if telling[place]:
            ends = (value[place] - reach[place], value[place] + reach[place])
            one = Difference(name, *map(float, (value[place], *ends, mean_in[place], mean_out[place])))
            same = known[told[0, place]]  # what the group's own means tell, and only if those of the others do too
            found.setdefault(family(same if told[0, place] == told[1, place] else name), one)
    return list(found.values())


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, mean, variance) of each column over its known values; NaN without any."""
    known = np.isfinite(values)
    n = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0).sum(axis=0) / n
        var = np.where(known, (values - mean) ** 2, 0).sum(axis=0) / n
    # Equal numbers have a mean that is off in its last bits: that is no spread.
    return n, mean, np.where(var > (1e-12 * mean) ** 2, var, 0.0)
