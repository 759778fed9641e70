"""Any model, calibrated on the part after the one it was trained on: probabilities, spend and its spread come out even.

Of every interval the logit of the hazard is stretched and shifted (Platt); with many rows an isotonic curve takes its
place where it foretells better, by cross-fitting. Of every window spend is scaled until its total is what was paid,
then the spread until as many outcomes lie within the intervals as these promise. Within an interval customers keep
their order; over several, each with a curve of its own, they may change it. An interval or window that has not matured
takes the calibration of the nearest that has.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from ml.cohorts import customer_folds
from ml.examples import Examples, Inputs
from ml.forecast import Forecast, probability_below
from ml.models.base import Model
from ml.spend_rules import coverage

MIN_CASES = 20
"""Customers of either outcome, and payers, that a calibration of its own needs."""
ISOTONIC_CASES = 5000
"""Customers of either outcome from which on an isotonic curve is tried."""
PRIOR = 40.0
"""Precision of the belief that nothing needs calibrating; worth so many customers of middling probability."""
FOLDS = 5
COVERS = (0.8, 0.9, 0.95)
"""Promised shares of outcomes within an interval, by which the spread is judged."""
FACTORS = np.geomspace(0.2, 5.0, 129)
"""Of the spread: those that are tried."""
EPSILON = 1e-6


@dataclass(frozen=True)
class Curve:
    """Calibrated hazard from the model's: expit(slope · logit + shift), or isotonic through (knots, heights).

    knots, heights  logits of the model and what they become, both rising; empty: none
    """

    slope: float = 1.0
    shift: float = 0.0
    knots: tuple[float, ...] = ()
    heights: tuple[float, ...] = ()

    def __call__(self, hazard: np.ndarray) -> np.ndarray:
        """(rows,) → (rows,), order kept."""
        margin = logit(np.clip(hazard, EPSILON, 1 - EPSILON))
        platt = self.slope * margin + self.shift
        if not self.knots:
            return expit(platt)
        # A little of the straight line keeps the order where the curve is level.
        return expit(0.98 * np.interp(margin, self.knots, self.heights) + 0.02 * platt)


@dataclass(frozen=True)
class Calibration:
    """curves: one an interval; scales and spreads: factors of mean and sigma, one a spend window."""

    curves: tuple[Curve, ...]
    scales: tuple[float, ...]
    spreads: tuple[float, ...]

    @classmethod
    def of(cls, told: dict) -> "Calibration":
        """From what ``asdict`` gave, kept as JSON."""
        curves = (Curve(c["slope"], c["shift"], tuple(c["knots"]), tuple(c["heights"])) for c in told["curves"])
        return cls(tuple(curves), tuple(told["scales"]), tuple(told["spreads"]))

    def __call__(self, forecast: Forecast) -> Forecast:
        curves = [curve(hazard) for curve, hazard in zip(self.curves, forecast.hazard.T, strict=True)]
        return rising(
            replace(
                forecast,
                hazard=np.column_stack(curves),
                spend_if_purchase=forecast.spend_if_purchase * np.array(self.scales),
                spend_sigma=forecast.spend_sigma * np.array(self.spreads),
            )
        )


def rising(forecast: Forecast) -> Forecast:
    """Expected spend of a window raised to that of the shorter one, where windows that were fitted apart disagree."""
    spend, least = forecast.spend_if_purchase.copy(), np.zeros(len(forecast))
    for window, days in enumerate(forecast.horizons.spend_days):
        probability = np.maximum(forecast.probability(days), 1e-12)
        spend[:, window] = np.maximum(spend[:, window], least / probability)
        least = spend[:, window] * probability
    return replace(forecast, spend_if_purchase=spend)


def calibration(forecast: Forecast, valid: Examples, before: Calibration | None = None) -> Calibration:
    """What makes ``forecast`` even on ``valid``; where too few customers say anything, what stood ``before``."""
    horizons = valid.horizons
    at_risk, is_event = valid.at_risk(), valid.is_event()
    fold = customer_folds(valid.inputs.customer_keys, FOLDS, "calibrate")
    curves = [_curve(forecast.hazard[rows, k], is_event[rows, k], fold[rows]) for k, rows in enumerate(at_risk.T)]
    even = (1.0,) * len(horizons.spend_days)
    before = before or Calibration((Curve(),) * len(horizons.edges_days), even, even)
    plain = Calibration(_filled(curves, before.curves), even, even)
    forecast = plain(forecast)
    pairs = [_spend(forecast, valid, days) for days in horizons.spend_days]
    known = tuple(zip(before.scales, before.spreads, strict=True))
    scales, spreads = zip(*_filled(pairs, known), strict=True) if pairs else ((), ())
    return replace(plain, scales=scales, spreads=spreads)


def platt(hazard: np.ndarray, is_event: np.ndarray) -> Curve:
    """The likeliest slope and shift; the slope stays above 0."""
    margin = logit(np.clip(hazard, EPSILON, 1 - EPSILON))

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        slope, shift = point
        scores = slope * margin + shift
        missed = expit(scores) - is_event
        value = (np.logaddexp(0, scores) - is_event * scores).sum() + PRIOR / 8 * ((slope - 1) ** 2 + shift**2)
        return value, np.array([missed @ margin, missed.sum()]) + PRIOR / 4 * np.array([slope - 1, shift])

    start, bounds = np.array([1.0, 0.0]), [(0.05, 20.0), (-10.0, 10.0)]
    slope, shift = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Curve(float(slope), float(shift))


def isotonic(hazard: np.ndarray, is_event: np.ndarray) -> Curve:
    """The rising curve that fits best, over the straight one of ``platt`` where it is level."""
    margin = logit(np.clip(hazard, EPSILON, 1 - EPSILON))
    fitted = IsotonicRegression(y_min=1e-4, y_max=1 - 1e-4, out_of_bounds="clip").fit(margin, is_event)
    heights = logit(fitted.y_thresholds_)
    return replace(
        platt(hazard, is_event), knots=tuple(map(float, fitted.X_thresholds_)), heights=tuple(map(float, heights))
    )


def cross_fitted(fit, hazard: np.ndarray, is_event: np.ndarray, fold: np.ndarray) -> np.ndarray:  # noqa: ANN001
    """(rows,): log loss of each row by a curve of ``fit`` that has not seen its customer's fold."""
    loss = np.empty(len(hazard))
    for held in range(FOLDS):
        inside = fold == held
        told = fit(hazard[~inside], is_event[~inside])(hazard[inside])
        loss[inside] = -np.log(np.where(is_event[inside] > 0, told, 1 - told))
    return loss


def _curve(hazard: np.ndarray, is_event: np.ndarray, fold: np.ndarray) -> Curve | None:
    cases = min(is_event.sum(), (1 - is_event).sum())
    if cases < MIN_CASES:
        return None
    if cases >= ISOTONIC_CASES:
        saved = cross_fitted(platt, hazard, is_event, fold) - cross_fitted(isotonic, hazard, is_event, fold)
        if saved.mean() > 2 * saved.std() / np.sqrt(len(saved)):
            return isotonic(hazard, is_event)
    return platt(hazard, is_event)


def _spend(forecast: Forecast, valid: Examples, days: int) -> tuple[float, float] | None:
    rows = valid.matured(days)
    spend, forecast = valid.spend_within(days)[rows], forecast.rows(rows)
    if (spend > 0).sum() < MIN_CASES:
        return None
    scale = float(spend.sum() / forecast.expected_spend(days).sum())
    window = forecast.horizons.spend_days.index(days)
    mean, sigma = scale * forecast.spend_if_purchase[:, window], forecast.spend_sigma[:, window]
    silent = forecast.survival(days)
    missed = [_missed_cover(silent, mean, factor * sigma, spend) for factor in FACTORS]
    return scale, float(FACTORS[int(np.argmin(missed))])


def _missed_cover(silent: np.ndarray, mean: np.ndarray, sigma: np.ndarray, spend: np.ndarray) -> float:
    """Sum over COVERS of the squared difference between the share of outcomes inside and the promised one."""
    below = probability_below(spend, silent, mean, sigma)
    return sum((coverage(silent, below, cover=cover) - cover) ** 2 for cover in COVERS)


def _filled(values: list, defaults: tuple) -> tuple:
    """What is None takes the nearest that is not, the earlier of two; ``defaults`` if all are."""
    known = [n for n, value in enumerate(values) if value is not None]
    if not known:
        return defaults
    return tuple(values[min(known, key=lambda other: (abs(other - n), other))] for n in range(len(values)))


class Calibrated:
    """A model of its own: fits ``model``, then calibrates it on the validation part."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def __getattr__(self, name: str) -> object:
        # Name, seed, budget, history … are the model's.
        if name in ("model", "calibration"):
            raise AttributeError(name)
        return getattr(self.model, name)

    def fit(self, train: Examples, valid: Examples) -> None:
        """Learns from ``train``, chooses and calibrates on ``valid``."""
        self.model.fit(train, valid)
        self.calibrate(valid)

    def calibrate(self, valid: Examples) -> None:
        """Calibrates a fitted model anew."""
        self.calibration = calibration(self.model.predict(valid.inputs), valid)

    def under(self, other: Calibration) -> "Calibrated":
        """The same fitted model behind another calibration."""
        whole = Calibrated(self.model)
        whole.calibration = other
        return whole

    def predict(self, inputs: Inputs) -> Forecast:
        return self.calibration(self.model.predict(inputs))

    def save(self, folder: Path) -> None:
        """The model in a folder of its own, calibration.json beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / "model")
        told = {"model": self.model.name, "calibration": asdict(self.calibration)}
        (folder / "calibration.json").write_text(json.dumps(told, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "Calibrated":
        from ml.models import kind

        told = json.loads((folder / "calibration.json").read_text())
        whole = cls(kind(told["model"]).load(folder / "model"))
        whole.calibration = Calibration.of(told["calibration"])
        return whole
