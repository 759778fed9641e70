"""What a network says of intervals and windows that no training row has reached: that of the nearest, stretched."""

from dataclasses import dataclass

import numpy as np

from ml.examples import Examples, Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons
from ml.models.hazard import carried


@dataclass(frozen=True)
class Unmatured:
    """Fitted on training rows.

    carry   one an interval: its hazard a day as a multiple of the interval before; None where it was learned
    source  one a window: the window whose labels taught it; -1: no window has matured
    """

    carry: tuple[float | None, ...]
    source: tuple[int, ...]

    @classmethod
    def of(cls, examples: Examples) -> "Unmatured":
        horizons, at_risk = examples.horizons, examples.at_risk()
        risked, events = at_risk.sum(axis=0), (at_risk * examples.is_event()).sum(axis=0)
        factors = carried(horizons, risked, events)
        matured = [n for n in range(len(horizons.spend_days)) if (examples.spend[:, n] > 0).any()]
        source = [
            min(matured, key=lambda other, days=days: abs(horizons.spend_days[other] - days), default=-1)
            for days in horizons.spend_days
        ]
        return cls(
            tuple(None if n else float(factor) for n, factor in zip(risked, factors, strict=True)), tuple(source)
        )

    def forecast(
        self, horizons: Horizons, inputs: Inputs, hazard: np.ndarray, spend: np.ndarray, sigma: np.ndarray
    ) -> Forecast:
        """The forecast of ``inputs`` whose intervals and windows that were not learned are filled in."""
        hazard, spend, sigma = hazard.astype(np.float64), spend.astype(np.float64), sigma.astype(np.float64)
        lengths = np.diff([0, *horizons.edges_days])
        for k, carry in enumerate(self.carry):
            if carry is not None:
                days = carry * lengths[k] / lengths[k - 1]
                hazard[:, k] = -np.expm1(days * np.log1p(-np.minimum(hazard[:, k - 1], 1 - 1e-6)))
        probability = Forecast(horizons, hazard, spend, sigma).probability
        for n, near in enumerate(self.source):
            days = horizons.spend_days[n]
            if near < 0:
                spend[:, n], sigma[:, n] = np.nan_to_num(inputs.life["monetary_value"]), 1.0
            elif near != n:
                known = horizons.spend_days[near]
                # As if spend came evenly over time.
                share = days / known * probability(known) / np.maximum(probability(days), 1e-6)
                spend[:, n], sigma[:, n] = spend[:, near] * share, sigma[:, near]
        return Forecast(horizons, hazard, spend, sigma)
