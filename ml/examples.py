"""What models read: inputs, which are known as of a cutoff, and labels, which come true after it."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from ml.home import HomePath
from ml.horizons import Horizons

LIFE_NAMES = ("frequency_days", "recency_days", "first_purchase_age_days", "tenure_days", "monetary_value")
"""Numbers of a customer's whole life: for models of repeat buying and for strata alone."""

NEW_DAYS = 30
STRATA = ("new", "one_purchase", "repeat")
"""new: seen for less than NEW_DAYS; else by days with a purchase: at most one, or more."""


@dataclass(frozen=True)
class Inputs:
    """One row a customer and cutoff.

    home           where sequences lie, for models that read them
    customer_keys  (rows,) str
    cutoffs        (rows,) datetime64[D]
    features       (rows, names) float64, one column a name of FEATURE_NAMES, NaN where null
    life           name of LIFE_NAMES → (rows,) float64, NaN where null
    """

    home: HomePath
    customer_keys: np.ndarray
    cutoffs: np.ndarray
    features: np.ndarray
    life: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.customer_keys)

    def rows(self, chosen: np.ndarray) -> "Inputs":
        """Some rows, by number or by mask."""
        return replace(
            self,
            customer_keys=self.customer_keys[chosen],
            cutoffs=self.cutoffs[chosen],
            features=self.features[chosen],
            life={name: values[chosen] for name, values in self.life.items()},
        )

    @property
    def stratum(self) -> np.ndarray:
        """(rows,): one of STRATA."""
        known = self.life["tenure_days"] >= NEW_DAYS
        repeat = np.where(self.life["frequency_days"] > 1, "repeat", "one_purchase")
        return np.where(known, repeat, "new")


@dataclass(frozen=True)
class Examples:
    """Inputs with what became of them; rows ordered by cutoff, then customer.

    days_to_purchase  (rows,) float64: 1 for a first purchase on the day after the cutoff …; inf if none was observed
    observed_days     (rows,) int64: for so many days after the cutoff it is known; labels beyond are censored
    spend             (rows, spend windows) float64: money paid in the window, NaN where the window has not matured
    """

    horizons: Horizons
    inputs: Inputs
    days_to_purchase: np.ndarray
    observed_days: np.ndarray
    spend: np.ndarray

    def __len__(self) -> int:
        return len(self.inputs)

    def rows(self, chosen: np.ndarray) -> "Examples":
        """Some rows, by number or by mask."""
        return replace(
            self,
            inputs=self.inputs.rows(chosen),
            days_to_purchase=self.days_to_purchase[chosen],
            observed_days=self.observed_days[chosen],
            spend=self.spend[chosen],
        )

    def known_for(self, days: int) -> "Examples":
        """With labels as they were known ``days`` after the cutoff: what came to be known later is censored."""
        observed = np.minimum(self.observed_days, days)
        seen = self.days_to_purchase <= observed
        matured = np.array(self.horizons.spend_days) <= observed[:, None]
        return replace(
            self,
            days_to_purchase=np.where(seen, self.days_to_purchase, np.inf),
            observed_days=observed,
            spend=np.where(matured, self.spend, np.nan),
        )

    def matured(self, days: int) -> np.ndarray:
        """(rows,) bool: whether the window of ``days`` is known to its end."""
        return self.observed_days >= days

    def is_buyer(self, days: int) -> np.ndarray:
        """(rows,) float64: 1 if bought within ``days``, else 0; NaN where the window has not matured.

        Not 1 for an early purchase in a window that has not: those that are known to buy would be too many.
        """
        return np.where(self.matured(days), self.days_to_purchase <= days, np.nan)

    def at_risk(self) -> np.ndarray:
        """(rows, intervals) bool: had not bought before the interval began, and it is known to its end."""
        starts, ends = np.array(self.horizons.starts_days), np.array(self.horizons.edges_days)
        return (self.days_to_purchase[:, None] > starts) & (self.observed_days[:, None] >= ends)

    def is_event(self) -> np.ndarray:
        """(rows, intervals) float64: 1 if the first purchase lies in the interval. Read only where ``at_risk``."""
        starts, ends = np.array(self.horizons.starts_days), np.array(self.horizons.edges_days)
        days = self.days_to_purchase[:, None]
        return ((days > starts) & (days <= ends)).astype(np.float64)

    def spend_within(self, days: int) -> np.ndarray:
        """(rows,) spend within ``days``, one of spend_days; NaN where not matured."""
        return self.spend[:, self.horizons.spend_days.index(days)]

    def update(self, digest: "hashlib._Hash") -> None:
        """Adds every key, cutoff, feature and label to ``digest``."""
        digest.update("\n".join(self.inputs.customer_keys).encode())
        digest.update(self.inputs.cutoffs.astype("datetime64[D]").astype(np.int64).tobytes())
        life = (self.inputs.life[name] for name in LIFE_NAMES)
        for values in (self.inputs.features, *life, self.days_to_purchase, self.observed_days, self.spend):
            digest.update(np.ascontiguousarray(values).tobytes())
