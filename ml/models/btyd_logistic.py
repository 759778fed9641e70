"""Pareto/NBD put right by labels: a logistic regression from what it says of an interval to what came of it.

One regression for all intervals together, so that what short windows have taught holds for long ones that have not
matured, of which models that learn an interval at a time know nothing. Its columns, per customer and interval: logit of
the Pareto/NBD's hazard, logarithms of the purchases it expects in the interval, of days with a purchase so far and of
their mean worth. Who pays more comes back more often, which the Pareto/NBD cannot know.

Expected spend stays that of Pareto/NBD with Gamma-Gamma.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.special import expit, logit

from expectations.errors import DataError
from ml.examples import Examples, Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons
from ml.models.btyd import DAYS_PER_WEEK, PARETO, BuyTillYouDie, has_bought, histories_of

FILE = "btyd_logistic.json"
COLUMNS = ("logit_hazard", "log_expected_purchases", "log_frequency_days", "log1p_monetary_value")
LEAST = 1e-9
"""Keeps hazards and counts above 0, so that they have a logarithm."""


@dataclass
class BtydLogistic:
    """weights: of COLUMNS, then the intercept. typical: as of the Pareto/NBD, and the worth that weighs here too."""

    uses_sequences: ClassVar[bool] = False

    name: str = "btyd_logistic"
    seed: int = 0
    budget: str = "quick"
    history: dict[str, list[float]] = field(default_factory=dict)
    buying: BuyTillYouDie | None = None
    weights: np.ndarray | None = None
    typical: dict[str, float] = field(default_factory=dict)

    @property
    def horizons(self) -> Horizons:
        return self.buying.horizons

    def fit(self, train: Examples, valid: Examples) -> None:
        """DataError as of the Pareto/NBD, or if no interval of training has seen both outcomes."""
        from sklearn.linear_model import LogisticRegression

        self.buying = BuyTillYouDie(PARETO, self.seed, self.budget)
        self.buying.fit(train, valid)
        rows = train.rows(has_bought(train.inputs))
        worth = float(np.nanmedian(rows.inputs.life["monetary_value"]))
        self.typical = {"monetary_value": worth} | self.buying.typical
        at_risk = rows.at_risk().ravel()
        design, events = self._design(rows.inputs)[at_risk], rows.is_event().ravel()[at_risk]
        if len(set(events)) < 2:
            raise DataError(
                f"{self.name} needs intervals in which some bought and some did not; there is none in training"
            )
        centre, scale = design.mean(axis=0), np.maximum(design.std(axis=0), LEAST)
        found = LogisticRegression(max_iter=1000).fit((design - centre) / scale, events)
        slopes = found.coef_[0] / scale
        self.weights = np.append(slopes, found.intercept_[0] - slopes @ centre)

    def predict(self, inputs: Inputs) -> Forecast:
        base, bought = self.buying.predict(inputs), has_bought(inputs)
        hazard = base.hazard.copy()
        odds = self._design(inputs.rows(bought)) @ self.weights[:-1] + self.weights[-1]
        hazard[bought] = expit(odds).reshape(-1, hazard.shape[1])
        told = replace(base, hazard=hazard)
        spend = base.spend_if_purchase.copy()
        for n, days in enumerate(self.horizons.spend_days):
            spend[:, n] *= base.probability(days) / np.maximum(told.probability(days), LEAST)
        return replace(told, spend_if_purchase=spend)

    def _design(self, buyers: Inputs) -> np.ndarray:
        """(rows * intervals, COLUMNS), a customer's intervals together."""
        rows, place = histories_of(buyers).unique()
        weeks = [days / DAYS_PER_WEEK for days in self.horizons.edges_days]
        expected = np.column_stack([self.buying.buying.expected_purchases(rows, time) for time in weeks])
        expected = np.diff(expected, axis=1, prepend=0.0)[place]
        hazard = np.clip(self.buying.predict(buyers).hazard, LEAST, 1 - LEAST)
        worth = np.log1p(np.nan_to_num(buyers.life["monetary_value"]))
        whole = (np.log(buyers.life["frequency_days"]), worth)
        each = [np.broadcast_to(column[:, None], hazard.shape) for column in whole]
        return np.stack([logit(hazard), np.log(np.maximum(expected, LEAST)), *each], axis=2).reshape(-1, len(COLUMNS))

    def params(self) -> dict[str, object]:
        weights = dict(zip((*COLUMNS, "intercept"), self.weights.tolist(), strict=True))
        return self.buying.params() | {f"weight_{name}": weight for name, weight in weights.items()}

    def save(self, folder: Path) -> None:
        self.buying.save(folder)
        state = {"name": self.name, "seed": self.seed, "budget": self.budget, "weights": self.weights.tolist()}
        state["typical"] = self.typical
        (folder / FILE).write_text(json.dumps(state, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "BtydLogistic":
        state = json.loads((folder / FILE).read_text())
        return cls(**state | {"weights": np.array(state["weights"]), "buying": BuyTillYouDie.load(folder)})
