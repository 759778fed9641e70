"""What is asked of every model, and how an answer and its outcome are read: purchase, churn, spend."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml.examples import Examples
from ml.forecast import Forecast
from ml.horizons import Horizons


@dataclass(frozen=True)
class Task:
    """``purchase``: bought within ``days``; ``churn``: did not; ``spend``: how much was paid within ``days``."""

    kind: Literal["purchase", "churn", "spend"]
    days: int

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.days}d"

    @property
    def is_money(self) -> bool:
        return self.kind == "spend"

    @property
    def deciding(self) -> str:
        """The metric that models are ranked by."""
        return "normalised_gini" if self.is_money else "auc"

    def matured(self, examples: Examples) -> np.ndarray:
        """(rows,) bool: whose outcome is known."""
        known = examples.matured(self.days)
        return known & np.isfinite(examples.spend_within(self.days)) if self.is_money else known

    def outcome(self, examples: Examples) -> np.ndarray:
        """(rows,): 1 or 0, or money; NaN where not matured."""
        if self.is_money:
            return examples.spend_within(self.days)
        bought = examples.is_buyer(self.days)
        return 1 - bought if self.kind == "churn" else bought

    def answer(self, forecast: Forecast) -> np.ndarray:
        """(rows,): probability of a 1, or expected money."""
        if self.is_money:
            return forecast.expected_spend(self.days)
        return forecast.churn() if self.kind == "churn" else forecast.probability(self.days)


def tasks_of(horizons: Horizons) -> tuple[Task, ...]:
    """Purchase within every edge, churn, spend within every window."""
    return (
        *(Task("purchase", days) for days in horizons.edges_days),
        Task("churn", horizons.churn_days),
        *(Task("spend", days) for days in horizons.spend_days),
    )
