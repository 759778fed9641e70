"""Why a customer is expected to leave, or to stay: the strongest contributions to the prediction, in plain words."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expectations.behaviour import FEATURE_NAMES
from expectations.errors import SetupError
from ml.examples import Inputs
from ml.models.base import Model
from ml.reasons.facts import reads_backwards, told_by
from ml.reasons.words import CHURN, PURCHASE, family, in_words

if TYPE_CHECKING:
    from ml.reasons.attribution import Attribution

__all__ = ["CHURN", "PURCHASE", "NoReasons", "Reasons", "in_words", "reasons", "reasons_of"]


class NoReasons(SetupError):
    """The model is of a kind of which nobody can tell exactly what moved it."""


@dataclass(frozen=True)
class Reasons:
    """The strongest first; (rows, n) each. Where fewer speak for it, the rest are empty: "", "", 0 and "".

    feature       the strongest feature of a family of features that say nearly the same, or what tells its fact
    direction     CHURN or PURCHASE: what it speaks for
    contribution  of the whole family to the log-odds of what it speaks for, above 0
    words         the feature with the customer's own numbers
    """

    feature: np.ndarray
    direction: np.ndarray
    contribution: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.feature)


def reasons(
    model: Model, inputs: Inputs, n: int = 3, towards: str | None = CHURN, typical: np.ndarray | None = None
) -> Reasons:
    """The ``n`` strongest reasons of each customer; of a model that gives none, the first ``words`` say so.

    towards  CHURN or PURCHASE: reasons for that alone, for CHURN without those that read backwards; None: either
    typical  (features,) to compare with in words; the median of ``inputs`` if not given
    """
    from ml.reasons.attribution import attribute, unwrapped

    try:
        found = attribute(model, inputs)
    except NoReasons:
        nothing, words = np.full((len(inputs), n), "", dtype=object), np.full((len(inputs), n), "", dtype=object)
        words[:, 0] = f"{unwrapped(model)[0].name} gives no reasons"
        return Reasons(nothing, nothing, np.zeros((len(inputs), n)), words)
    return reasons_of(found, inputs, n, towards, typical)


def reasons_of(
    found: "Attribution", inputs: Inputs, n: int = 3, towards: str | None = CHURN, typical: np.ndarray | None = None
) -> Reasons:
    """``reasons`` of contributions that are known already."""
    churn, rows = -found.contributions, np.arange(len(inputs))[:, None]
    typical = _medians(inputs) if typical is None else typical
    known, told = told_by(found.names, lambda name: own_values(inputs, name), len(inputs))
    if towards == CHURN:
        churn = np.where(_backwards(known, told, inputs, typical), np.minimum(churn, 0.0), churn)
    families = list(dict.fromkeys(map(family, known)))
    place = np.array([families.index(family(name)) for name in known])[told]
    by_family = np.column_stack([np.where(place == k, churn, 0).sum(axis=1) for k in range(len(families))])
    strength = {CHURN: by_family, PURCHASE: -by_family, None: np.abs(by_family)}[towards]
    order = np.argsort(-strength, axis=1, kind="stable")[:, :n]
    sign = np.sign(by_family[rows, order])
    counts = strength[rows, order] > 0
    strongest = np.column_stack([
        np.where(place == chosen[:, None], churn * signs[:, None], -np.inf).argmax(axis=1)
        for chosen, signs in zip(order.T, sign.T, strict=True)
    ])  # fmt: skip
    feature = np.where(counts, known[told[rows, strongest]], "")
    direction = np.where(counts, np.where(sign > 0, CHURN, PURCHASE).astype(object), "")
    contribution = np.where(counts, np.abs(by_family[rows, order]), 0.0)
    return Reasons(feature, direction, contribution, _words(feature, direction, inputs, typical))


def _medians(inputs: Inputs) -> np.ndarray:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about features nobody has a value of
        return np.nanmedian(inputs.features, axis=0) if len(inputs) else np.full(len(FEATURE_NAMES), np.nan)


def _backwards(known: np.ndarray, told: np.ndarray, inputs: Inputs, typical: np.ndarray) -> np.ndarray:
    """(rows, names) bool: what would be told as a reason to leave says the opposite."""
    gaps, found = own_values(inputs, "gap_mean_days"), np.zeros(told.shape, dtype=bool)
    for place in np.unique(told):
        if known[place] in FEATURE_NAMES:
            usual = typical[FEATURE_NAMES.index(known[place])]
            rows = reads_backwards(known[place], own_values(inputs, known[place]), usual, gaps)
            found |= (told == place) & rows[:, None]
    return found


def _words(feature: np.ndarray, direction: np.ndarray, inputs: Inputs, typical: np.ndarray) -> np.ndarray:
    place = {name: n for n, name in enumerate(FEATURE_NAMES)}
    own = {name: own_values(inputs, name) for name in np.unique(feature[feature != ""])}
    gaps = inputs.features[:, place["gap_mean_days"]]
    words = np.full(feature.shape, "", dtype=object)
    for row, slot in zip(*np.nonzero(feature != ""), strict=True):
        name = feature[row, slot]
        value = np.nan if own[name] is None else own[name][row]
        usual = typical[place[name]] if name in place else np.nan
        words[row, slot] = in_words(name, float(value), direction[row, slot], float(usual), float(gaps[row]))
    return words


def own_values(inputs: Inputs, name: str) -> np.ndarray | None:
    """(rows,) of what contributions are named after: a feature or a number of a life; None for what is neither."""
    return inputs.features[:, FEATURE_NAMES.index(name)] if name in FEATURE_NAMES else inputs.life.get(name)
