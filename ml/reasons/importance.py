"""What a model looks at, over all customers: sizes of contributions, and what is lost where a family is shuffled."""

from dataclasses import replace

import numpy as np
import pandas as pd

from expectations.behaviour import FEATURE_NAMES
from ml.examples import Examples, Inputs
from ml.models.base import Model
from ml.reasons import own_values
from ml.reasons.attribution import Attribution
from ml.reasons.words import EVENTS_FAMILY, family
from ml.scoring_rules import auc

SAMPLE_ROWS = 1500
"""Customers that global importance is taken from, evenly spaced; reasons of single customers need no sample."""


def sample(examples: Examples, rows: int = SAMPLE_ROWS) -> Examples:
    """At most ``rows`` matured rows, evenly spaced."""
    known = np.flatnonzero(examples.matured(examples.horizons.churn_days))
    return examples.rows(known[np.unique(np.linspace(0, len(known) - 1, min(rows, len(known))).astype(np.int64))])


def importance(found: Attribution, inputs: Inputs) -> pd.DataFrame:
    """One row a feature, the largest first: mean size of its contribution, and which way more of it points."""
    rows = []
    for n, name in enumerate(found.names):
        parts = found.contributions[:, n]
        rows.append((name, family(name), float(np.abs(parts).mean()), _direction(own_values(inputs, name), parts)))
    told = pd.DataFrame(rows, columns=["feature", "family", "mean_absolute_contribution", "more_of_it_speaks_for"])
    order = ["mean_absolute_contribution", "feature"]
    return told.sort_values(order, ascending=[False, True], ignore_index=True)


def _direction(values: np.ndarray | None, parts: np.ndarray) -> str:
    """By the sign of the rank correlation; nothing where it is weak."""
    from scipy.stats import spearmanr

    known = np.zeros(0, bool) if values is None else ~np.isnan(values)
    if known.sum() < 3 or np.ptp(values[known]) == 0 or np.ptp(parts[known]) == 0:
        return ""
    rank = float(spearmanr(values[known], parts[known]).statistic)
    return "" if abs(rank) < 0.3 else "purchase" if rank > 0 else "churn"


def lost_by_shuffling(model: Model, examples: Examples, seed: int = 0, repeats: int = 2) -> dict[str, float]:
    """Family → AUC that is lost where its features change owners all together, the largest first (Breiman 2001).

    By family, since a feature's copies would stand in for it. Event history is shuffled by giving each customer the
    events of another of the same cutoff.
    """
    days, rng = examples.horizons.churn_days, np.random.default_rng(seed)
    label = examples.is_buyer(days)
    best = auc(label, model.predict(examples.inputs).probability(days))
    place = np.array([family(name) for name in FEATURE_NAMES])
    varies = np.array([len(np.unique(column[~np.isnan(column)])) > 1 for column in examples.inputs.features.T])
    families = [name for name in dict.fromkeys(place) if varies[place == name].any()]
    if getattr(model, "uses_sequences", False):
        families.append(EVENTS_FAMILY)
    lost = {}
    for name in families:
        shuffled = [_shuffled(examples.inputs, place == name, rng) for _ in range(repeats)]
        lost[name] = best - float(np.mean([auc(label, model.predict(one).probability(days)) for one in shuffled]))
    return dict(sorted(lost.items(), key=lambda item: -item[1]))


def _shuffled(inputs: Inputs, columns: np.ndarray, rng: np.random.Generator) -> Inputs:
    order = np.arange(len(inputs))
    for cutoff in np.unique(inputs.cutoffs):
        mine = np.flatnonzero(inputs.cutoffs == cutoff)
        order[mine] = rng.permutation(mine)
    if not columns.any():
        return replace(inputs, customer_keys=inputs.customer_keys[order])
    features = inputs.features.copy()
    features[:, columns] = features[order][:, columns]
    return replace(inputs, features=features)
