"""What moved each customer's prediction, feature by feature, in log-odds; contributions add up to the prediction."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from ml.examples import Inputs
from ml.forecast import interval_shares
from ml.horizons import Horizons
from ml.models.base import Model
from ml.reasons import NoReasons
from ml.reasons.composition import factors, log_odds

CHUNK_ROWS = 4096
"""Rows of a tabular model that are explained at a time: contributions to every interval are held at once."""
NODES = 12
"""Gradients along the way to each customer of a network."""


@dataclass(frozen=True)
class Attribution:
    """Of the log-odds of a purchase within ``days``; those of churn are the same with the sign turned.

    names          (columns,) of the contributions: features, and blocks of events for models that read these
    base           (rows,): log-odds where the explanation begins
    contributions  (rows, columns): base + their sum = log_odds
    log_odds       (rows,): what the model says
    """

    days: int
    names: tuple[str, ...]
    base: np.ndarray
    contributions: np.ndarray
    log_odds: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """(rows,): by how much the contributions fail to add up; 0 but for what quadrature leaves."""
        return self.log_odds - self.base - self.contributions.sum(axis=1)


def attribute(model: Model, inputs: Inputs, days: int | None = None, nodes: int = NODES) -> Attribution:
    """Why ``model``, calibrated or not, says what it says of ``inputs``; ``days``: churn_days if not given.

    Trees: exact path-dependent Shapley values, of a forest some 10 ms a row and interval. Linear models: exact. Models
    of repeat buying: age, frequency and silence in turn. Networks: integrated gradients over aggregates and
    tokens with ``nodes`` steps. The stack: both, one behind the other. NoReasons for a model of another kind.
    """
    days = model.horizons.churn_days if days is None else days
    inner, finish = unwrapped(model)
    pieces = list(_pieces(inner, inputs, days, finish, nodes))
    names = pieces[0].names if pieces else ()
    order = np.argsort(np.concatenate([piece.rows for piece in pieces]), kind="stable")
    base, parts, log_odds = (
        np.concatenate([getattr(piece, name) for piece in pieces])[order] for name in ("base", "parts", "log_odds")
    )
    return Attribution(days, names, base, parts, log_odds)


@dataclass(frozen=True)
class _Piece:
    names: tuple[str, ...]
    rows: np.ndarray
    base: np.ndarray
    parts: np.ndarray
    log_odds: np.ndarray


def unwrapped(model: Model) -> tuple:
    """(the model inside, what is done to its hazards behind it)."""
    if "calibration" not in vars(model):
        return model, lambda hazard: hazard
    curves = model.calibration.curves
    return model.model, lambda hazard: np.column_stack(
        [curve(one) for curve, one in zip(curves, hazard.T, strict=True)]
    )


def _pieces(model: Model, inputs: Inputs, days: int, finish: object, nodes: int) -> Iterator[_Piece]:
    if hasattr(model, "network") and hasattr(model, "unmatured") and model.network.channels is None:
        return _of_network(model, inputs, days, finish, nodes)
    if getattr(model, "networks", None):
        return _of_stack(model, inputs, days, finish, nodes)
    if hasattr(model, "hazard") and hasattr(model, "design"):
        return _of_tabular(model, inputs, days, finish)
    if getattr(model, "typical", None):
        return _of_life(model, inputs, days, finish)
    raise NoReasons(f"{model.name} gives no reasons")


def _of_tabular(model: Model, inputs: Inputs, days: int, finish: object) -> Iterator[_Piece]:
    from ml.reasons.tabular import column_names, finished, fitted_source, hazard_margins

    horizons: Horizons = model.horizons
    complete, source = finished(model.hazard), fitted_source(model.hazard)
    wanted = np.zeros(len(source), bool)
    wanted[source[interval_shares(horizons, days) > 0]] = True
    design = model.design(inputs)
    names = tuple(column_names(design, inputs.features))
    for start in range(0, len(design), CHUNK_ROWS):
        rows = np.arange(start, min(start + CHUNK_ROWS, len(design)))
        base, parts = hazard_margins(model.hazard, design[rows], wanted)
        base = np.repeat(base[None], len(rows), axis=0)
        counted, *ends = factors(base, base + parts.sum(axis=1), lambda z: finish(complete(z)), source, horizons, days)
        yield _Piece(names, rows, ends[0], np.einsum("rfk,rk->rf", parts, counted), ends[1])


def _of_life(model: Model, inputs: Inputs, days: int, finish: object) -> Iterator[_Piece]:
    from ml.reasons.lives import contributions, names_of

    def answer(asked: Inputs) -> np.ndarray:
        return log_odds(finish(model.predict(asked).hazard), model.horizons, days)

    base, parts = contributions(answer, inputs, model.typical)
    everybody = np.arange(len(inputs))
    yield _Piece(names_of(model.typical), everybody, np.full(len(inputs), base), parts, answer(inputs))


def _of_network(model: Model, inputs: Inputs, days: int, finish: object, nodes: int) -> Iterator[_Piece]:
    from ml.reasons.network import NAMES, walk

    horizons: Horizons = model.horizons
    learned = np.array([carry is None for carry in model.unmatured.carry])
    source = np.maximum.accumulate(np.where(learned, np.arange(len(learned)), 0))
    for piece in walk(model.network, inputs):
        told = inputs.rows(piece.rows)

        def complete(margins: np.ndarray, told: Inputs = told) -> np.ndarray:
            nothing = np.zeros((len(margins), len(horizons.spend_days)))
            return finish(model.unmatured.forecast(horizons, told, expit(margins), nothing, nothing).hazard)

        ends = piece.ends()
        counted, base, log_odds = factors(ends.base, ends.margins, complete, source, horizons, days)
        yield _Piece(NAMES, piece.rows, base, piece.contributions(counted, nodes), log_odds)


LEARNED = "learned"
"""What of a stack's networks cannot be handed on to what they read."""
LEAST_MOVE, MOST_TIMES = 0.05, 5.0
"""Networks that hardly move, or move the other way, say nothing of why the boosting listened to them."""


def _of_stack(model: Model, inputs: Inputs, days: int, finish: object, nodes: int) -> Iterator[_Piece]:
    """What the boosting made of its networks is handed on in proportion to what these made of features and events."""
    from ml.reasons.network import NAMES

    for piece in _of_tabular(model, inputs, days, finish):
        told = inputs.rows(piece.rows)
        own = np.mean([attribute(one, told, days, nodes).contributions for one in model.networks], axis=0)
        features = inputs.features.shape[1]
        learned, moved = piece.parts[:, features:].sum(axis=1), own.sum(axis=1)
        times = np.divide(learned, moved, out=np.zeros_like(moved), where=np.abs(moved) > LEAST_MOVE)
        times = np.where((times > 0) & (times < MOST_TIMES), times, 0.0)
        parts = own * times[:, None]
        parts[:, :features] += piece.parts[:, :features]
        rest = learned - times * moved
        yield _Piece((*NAMES, LEARNED), piece.rows, piece.base, np.column_stack([parts, rest]), piece.log_odds)
