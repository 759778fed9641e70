"""Customer lifetime value: what a customer is expected to spend within 365 days of the cutoff.

The model's own expected spend over its longest window, carried on at the pace at which a Pareto/NBD expects purchases
to ebb away:

    clv = expected_spend(window) * N(365) / N(window) * level, between expected_spend(window) and an even pace

N(t): purchases that the Pareto/NBD expects of this customer within t; for customers who never bought, the sum over all
others stands in. level: how much more was spent over the longest window that had matured when it was learned than the
Pareto/NBD carries on from the shorter one (1: just as much). Extrapolated unless that longest window was 365 days.
"""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from expectations.errors import DataError
from ml.btyd.pareto_nbd import ParetoNbd
from ml.cohorts import load_examples, load_inputs, read_purchases
from ml.examples import Examples, Inputs
from ml.forecast import Forecast
from ml.home import HomePath
from ml.horizons import Horizons
from ml.models.btyd import DAYS_PER_WEEK, histories_of
from ml.protocols import Protocol

CLV_DAYS = 365
FILE = "lifetime.json"

log = logging.getLogger(__name__)

LEVELS = (0.5, 2.0)
"""Of the level: beyond lies a season or a handful of payers, not a pace that will last for a year."""


@dataclass(frozen=True)
class Lifetime:
    """How expected spend over ``window_days`` grows to CLV_DAYS.

    known_days   the longest window whose spend had been seen when this was learned
    level        see above
    mean_growth  of N from ``window_days`` to CLV_DAYS, over all customers together
    buying       None where nobody bought: spend goes on evenly
    """

    window_days: int
    known_days: int
    level: float
    mean_growth: float
    buying: ParetoNbd | None

    @property
    def is_extrapolated(self) -> bool:
        """Whether no window of CLV_DAYS taught it."""
        return self.known_days < CLV_DAYS

    def value(self, forecast: Forecast, inputs: Inputs) -> np.ndarray:
        """(rows,): ``clv_365d``, expected spend within CLV_DAYS; currency. ``forecast`` is of these ``inputs``."""
        if self.window_days not in forecast.horizons.spend_days:
            raise DataError(
                f"lifetime value was learned from spend within {self.window_days} days, the model foretells "
                f"{forecast.horizons.spend_days}: train it anew"
            )
        spend = forecast.expected_spend(self.window_days)
        if self.window_days == CLV_DAYS:
            return spend
        growth, has_bought = np.full(len(inputs), self.mean_growth), inputs.life["frequency_days"] > 0
        growth[has_bought] = _growth(self.buying, inputs.rows(has_bought), self.window_days, CLV_DAYS)
        # A year brings no less than the part of it, and no more than an even pace.
        return spend * np.clip(self.level * growth, 1.0, CLV_DAYS / self.window_days)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Lifetime":
        state = json.loads((folder / FILE).read_text())
        return cls(**state | {"buying": ParetoNbd(**state["buying"]) if state["buying"] else None})


def learn_lifetime(latest: Inputs, past: Examples, window_days: int) -> Lifetime:
    """``latest``: customers as of the last cutoff that may be looked at, of whom histories alone are read.

    past         customers of an older cutoff with the spend that followed; the longest of its spend windows that has
                 matured teaches the level
    window_days  the longest window whose spend the model foretells; if CLV_DAYS, nothing is carried on
    """
    if window_days == CLV_DAYS:
        return Lifetime(window_days, CLV_DAYS, 1.0, 1.0, None)
    buyers = latest.rows(latest.life["frequency_days"] > 0)
    buying = _fitted(buyers)
    now, then = (_purchases(buying, buyers, days).sum() for days in (window_days, CLV_DAYS))
    mean_growth = float(then / now) if now > 0 else CLV_DAYS / window_days
    known = max((days for days in past.horizons.spend_days if _is_matured(past, days)), default=window_days)
    level = _level(buying, past, window_days, known) if known > window_days else 1.0
    return Lifetime(window_days, max(known, window_days), level, mean_growth, buying)


def lifetime_of(protocol: Protocol, window_days: int, home: HomePath = None) -> Lifetime:
    """Learned from what is known before the first test: the first training cutoff has been followed for longest."""
    first, known_until = protocol.train[0], protocol.tests[0]
    known = min((known_until - first).days, CLV_DAYS)
    days = tuple(sorted({min(window_days, known), known}))
    purchases = read_purchases(first, known_until, home)
    horizons = Horizons(days, days[0], days)
    past = load_examples((first,), known_until, horizons, protocol.population, purchases, home)
    return learn_lifetime(load_inputs(protocol.valid, home, protocol.population), past, window_days)


def _fitted(buyers: Inputs) -> ParetoNbd | None:
    if not len(buyers):
        return None
    try:
        return ParetoNbd.fit(histories_of(buyers))
    except DataError as error:
        log.warning("lifetime value goes on evenly: %s", error)
        return None


def _level(buying: ParetoNbd | None, past: Examples, window_days: int, known_days: int) -> float:
    """Spend within ``known_days`` over that within ``window_days`` as carried on; 1 where nothing can be told.

    Spend that came true stands for expected spend: weighing growth by it is right in the mean.
    """
    if not _is_matured(past, window_days):
        return 1.0
    rows = past.rows(past.inputs.life["frequency_days"] > 0)
    carried = rows.spend_within(window_days) @ _growth(buying, rows.inputs, window_days, known_days)
    return float(np.clip(rows.spend_within(known_days).sum() / carried, *LEVELS)) if carried > 0 else 1.0


def _is_matured(past: Examples, days: int) -> bool:
    return days in past.horizons.spend_days and bool(np.isfinite(past.spend_within(days)).all())


def _growth(buying: ParetoNbd | None, buyers: Inputs, now_days: int, then_days: int) -> np.ndarray:
    """(rows,): N(then_days) / N(now_days), at most as much as time itself grows."""
    now, then = (_purchases(buying, buyers, days) for days in (now_days, then_days))
    evenly = then_days / now_days
    return np.clip(np.divide(then, now, out=np.full(len(now), evenly), where=now > 0), 1.0, evenly)


def _purchases(buying: ParetoNbd | None, buyers: Inputs, days: int) -> np.ndarray:
    """(rows,): N(days); without a model one a day, so that growth is even."""
    if buying is None:
        return np.full(len(buyers), float(days))
    rows, place = histories_of(buyers).unique()
    return buying.expected_purchases(rows, days / DAYS_PER_WEEK)[place]
