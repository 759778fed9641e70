"""BG/NBD, MBG/NBD and Pareto/NBD with Gamma-Gamma as models of the table: they learn from histories, not labels."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from expectations.errors import DataError
from ml.btyd.bg_nbd import BetaGeometric
from ml.btyd.gamma_gamma import GammaGamma
from ml.btyd.histories import Histories
from ml.btyd.pareto_nbd import ParetoNbd
from ml.examples import Examples, Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons

DAYS_PER_WEEK = 7.0
"""Parameters are in weeks, as published ones are."""

PARETO = "pareto_nbd"
SILENT_GAPS = "silent_gaps"
FILE = "btyd.json"


class Buying(Protocol):
    """What every model of repeat buying tells."""

    def probability_alive(self, rows: Histories) -> np.ndarray: ...
    def probability_if_alive(self, rows: Histories, time: float) -> np.ndarray: ...
    def expected_if_alive(self, rows: Histories, time: float) -> np.ndarray: ...


@dataclass(frozen=True)
class NeverBought:
    """Who never bought has no history to read: what became of such customers in training is told of them.

    hazard  by interval: the share that bought, one customer of the mean hazard of buyers added
    spend   by window: mean of those who bought in it; of no such, of a single purchase
    """

    hazard: tuple[float, ...]
    spend: tuple[float, ...]


@dataclass
class BuyTillYouDie:
    """``name`` says which. Fitted as of the latest cutoff of training or validation, since it asks for no labels.

    Of eligible customers who never bought: see ``NeverBought``.

    typical  what the chance of a purchase is told from, silence in usual gaps → median of the buyers it was fitted on
    """

    uses_sequences: ClassVar[bool] = False

    name: str = "bg_nbd"
    seed: int = 0
    budget: str = "quick"
    history: dict[str, list[float]] = field(default_factory=dict)
    horizons: Horizons | None = None
    buying: BetaGeometric | ParetoNbd | None = None
    worth: GammaGamma | None = None
    never_bought: NeverBought | None = None
    typical: dict[str, float] = field(default_factory=dict)

    def fit(self, train: Examples, valid: Examples) -> None:
        """DataError if nobody bought, or nobody bought again."""
        self.horizons = train.horizons
        latest = max((train.inputs, valid.inputs), key=lambda inputs: inputs.cutoffs.max())
        latest = latest.rows((latest.cutoffs == latest.cutoffs.max()) & has_bought(latest))
        if not len(latest):
            raise DataError(f"{self.name} needs customers who bought; there are none as of the latest cutoff")
        self.typical = typical_life(latest)
        histories = histories_of(latest)
        if self.name == PARETO:
            self.buying = ParetoNbd.fit(histories)
        else:
            self.buying = BetaGeometric.fit(histories, is_modified=self.name == "mbg_nbd")
        if self.horizons.spend_days:
            self.worth = GammaGamma.fit(latest.life["frequency_days"], latest.life["monetary_value"])
        rows, _ = histories.unique()
        hazard = self._hazard(self._within(rows, self.buying.probability_alive(rows)))
        self.never_bought = self._learn_never_bought(train, np.average(hazard, axis=0, weights=rows.weights))

    def predict(self, inputs: Inputs) -> Forecast:
        bought = has_bought(inputs)
        hazard = np.tile(np.array(self.never_bought.hazard), (len(inputs), 1))
        spend = np.tile(np.array(self.never_bought.spend).reshape(-1), (len(inputs), 1))
        sigma = np.full(spend.shape, 1.0)
        found = self._of_buyers(inputs.rows(bought))
        hazard[bought], spend[bought], sigma[bought] = found.hazard, found.spend_if_purchase, found.spend_sigma
        return Forecast(self.horizons, hazard, spend, sigma)

    def _of_buyers(self, inputs: Inputs) -> Forecast:
        histories, place = histories_of(inputs).unique()
        alive = self.buying.probability_alive(histories)
        within = self._within(histories, alive)
        shape = (len(inputs), len(self.horizons.spend_days))
        means, sigmas = np.empty(shape), np.empty(shape)
        for n, days in enumerate(self.horizons.spend_days):
            buys = within[:, self.horizons.edges_days.index(days)]
            means[:, n], sigmas[:, n] = self._spend(days, histories, alive, buys, place, inputs)
        return Forecast(self.horizons, self._hazard(within)[place], means, sigmas)

    def _within(self, histories: Histories, alive: np.ndarray) -> np.ndarray:
        """(rows, intervals): probability of a purchase by the end of each."""
        weeks = [days / DAYS_PER_WEEK for days in self.horizons.edges_days]
        return np.column_stack([alive * self.buying.probability_if_alive(histories, time) for time in weeks])

    @staticmethod
    def _hazard(within: np.ndarray) -> np.ndarray:
        before = np.column_stack([np.zeros(len(within)), within[:, :-1]])
        return np.clip((within - before) / np.maximum(1 - before, 1e-12), 0.0, 1 - 1e-9)

    def _spend(
        self, days: int, histories: Histories, alive: np.ndarray, buys: np.ndarray, place: np.ndarray, inputs: Inputs
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean in the window of those who buy in it, and sigma of a log-normal with its relative variance.

        The variance of the count is that of a negative binomial with the living customer's mean and shape r + x.
        """
        count, mean = inputs.life["frequency_days"], inputs.life["monetary_value"]
        buys = np.maximum(buys, 1e-12)
        alive = np.maximum(alive, buys)
        if_alive = np.maximum(self.buying.expected_if_alive(histories, days / DAYS_PER_WEEK), buys / alive)
        purchases = if_alive * alive / buys
        square = if_alive + if_alive**2 * (1 + 1 / (self.buying.r + histories.x))
        spread = np.maximum(square * alive / buys - purchases**2, 0.0)
        relative = self.worth.relative_variance(count, purchases[place], spread[place])
        return purchases[place] * self.worth.expected_value(count, mean), np.sqrt(np.log1p(relative))

    def _learn_never_bought(self, train: Examples, of_buyers: np.ndarray) -> NeverBought:
        """of_buyers: (intervals,) their mean hazard."""
        rows = train.rows(~has_bought(train.inputs))
        at_risk = rows.at_risk()
        events = (rows.is_event() * at_risk).sum(axis=0)
        hazard = (events + of_buyers) / (at_risk.sum(axis=0) + 1)
        spend = []
        for n in range(len(self.horizons.spend_days)):
            paid = rows.spend[:, n][rows.spend[:, n] > 0]
            single = self.worth.expected_value(np.zeros(1), np.zeros(1))[0]
            spend.append(float(paid.mean()) if len(paid) else float(single))
        return NeverBought(tuple(float(value) for value in hazard), tuple(spend))

    def params(self) -> dict[str, object]:
        found = {name: value for name, value in asdict(self.buying).items() if name != "is_modified"}
        return found | ({f"spend_{name}": value for name, value in asdict(self.worth).items()} if self.worth else {})

    def save(self, folder: Path) -> None:
        parts = {name: getattr(self, name) for name in ("horizons", "buying", "worth", "never_bought")}
        state = {name: asdict(part) if part is not None else None for name, part in parts.items()}
        state |= {"name": self.name, "seed": self.seed, "budget": self.budget, "typical": self.typical}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(state, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "BuyTillYouDie":
        state = json.loads((folder / FILE).read_text())
        never = state["never_bought"].items()
        kind = ParetoNbd if state["name"] == PARETO else BetaGeometric
        return cls(
            name=state["name"],
            seed=state["seed"],
            budget=state["budget"],
            horizons=Horizons.of(state["horizons"]),
            buying=kind(**state["buying"]),
            typical=state.get("typical", {}),
            worth=GammaGamma(**state["worth"]) if state["worth"] else None,
            never_bought=NeverBought(
                **{key: tuple(value) if isinstance(value, list) else value for key, value in never}
            ),
        )


def histories_of(inputs: Inputs) -> Histories:
    """Histories, in weeks, of customers all of whom bought."""
    age, silent = inputs.life["first_purchase_age_days"], inputs.life["recency_days"]
    return Histories.of(inputs.life["frequency_days"] - 1, (age - silent) / DAYS_PER_WEEK, age / DAYS_PER_WEEK)


def typical_life(buyers: Inputs) -> dict[str, float]:
    """Medians of what their histories are made of, silence last: in usual gaps."""
    life = buyers.life | {SILENT_GAPS: buyers.life["recency_days"] / usual_gap(buyers.life)}
    return {name: float(np.median(life[name])) for name in ("first_purchase_age_days", "frequency_days", SILENT_GAPS)}


def usual_gap(life: dict[str, np.ndarray]) -> np.ndarray:
    """(rows,): days a purchase, since the first."""
    return np.maximum(life["first_purchase_age_days"], 1.0) / life["frequency_days"]


def has_bought(inputs: Inputs) -> np.ndarray:
    """(rows,) bool: whether the customer has ever bought."""
    return inputs.life["frequency_days"] > 0
