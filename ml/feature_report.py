"""What each feature is worth to a model, before any model is asked: variance, missing values, copies, drift, strength.

Everything is measured on the training rows; the test rows serve drift alone, and their labels nothing.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components

from expectations.behaviour import FEATURE_NAMES, FEATURES
from ml.cohorts import Parts
from ml.drift import Reference
from ml.impute import fill_values
from ml.scoring_rules import auc

SAME_ABOVE = 0.95
"""Two features with a larger correlation (of logarithms, either sign) say the same."""
DRIFT_ABOVE = 0.25
"""A population stability index above it is called a major shift in credit scoring, where the index comes from."""
ROWS = 200_000
"""At most so many rows are looked at, evenly spaced."""


@dataclass(frozen=True)
class Columns:
    """The report's columns, in order, and what they mean."""

    feature: str = "Name in the features table."
    verdict: str = "constant; drifts; copy of a stronger feature; empty: nothing against it."
    auc: str = "AUC of the purchase within churn_days by this feature alone, 0.5 … 1, whichever way it points."
    direction: str = "+: the more, the likelier a purchase; -: the less."
    psi: str = "Population stability index of the test cutoff against the training cutoffs."
    missing_train: str = "Share of training rows without a value."
    missing_test: str = "Share of test rows without a value."
    mean: str = "Mean of the training rows that have a value."
    deviation: str = "Standard deviation of the training rows that have a value."
    most_like: str = "The feature it is correlated with most."
    correlation: str = "Correlation with that one, of logarithms."
    cluster: str = "Number of its group of copies; 0: it is in none."
    unit: str = "Unit, by the contract."
    description: str = "Meaning, by the contract."


def feature_report(parts: Parts) -> pd.DataFrame:
    """One row a feature with the fields of Columns, the strongest first. Strength: on rows whose window has matured."""
    train, test = _some(parts.train.inputs.features), _some(parts.tests[-1].inputs.features)
    is_buyer = _some(parts.train.is_buyer(parts.train.horizons.churn_days))
    matured = np.isfinite(is_buyer)
    filled = np.where(np.isnan(train), fill_values(train), train)
    strength = np.array([_auc(is_buyer[matured], column) for column in filled[matured].T])
    alike = correlations(filled)
    known = np.ma.masked_invalid(train)
    most_like = np.abs(alike - np.eye(len(alike))).argmax(axis=1)
    found = pd.DataFrame(
        {
            "feature": FEATURE_NAMES,
            "auc": np.maximum(strength, 1 - strength),
            "direction": np.where(strength > 0.5, "+", np.where(strength < 0.5, "-", "")),
            "psi": [Reference.of(a).stability_index(b) for a, b in zip(train.T, test.T, strict=True)],
            "missing_train": np.isnan(train).mean(axis=0),
            "missing_test": np.isnan(test).mean(axis=0),
            "mean": known.mean(axis=0).filled(np.nan),
            "deviation": known.std(axis=0).filled(0.0),
            "most_like": [FEATURE_NAMES[n] for n in most_like],
            "correlation": alike[np.arange(len(alike)), most_like],
            "cluster": clusters(alike),
            "unit": [FEATURES.column(name).unit for name in FEATURE_NAMES],
            "description": [FEATURES.column(name).description for name in FEATURE_NAMES],
        }
    )
    found["verdict"] = _verdicts(found, np.ptp(filled, axis=0) > 0)
    found.loc[found["correlation"] == 0, "most_like"] = ""
    found = found.sort_values(["auc", "feature"], ascending=[False, True], ignore_index=True)
    return found[list(Columns.__dataclass_fields__)]


def correlations(filled: np.ndarray) -> np.ndarray:
    """(features, features): of signed logarithms, since amounts and counts are skewed; 0 for constant ones."""
    logs = np.sign(filled) * np.log1p(np.abs(filled))
    deviation = logs.std(axis=0)
    standard = np.divide(logs - logs.mean(axis=0), deviation, out=np.zeros_like(logs), where=deviation > 1e-9)
    found = standard.T @ standard / len(logs)
    np.fill_diagonal(found, 1.0)
    return found


def clusters(alike: np.ndarray) -> np.ndarray:
    """(features,) numbers from 1 of the groups that are linked by |r| > SAME_ABOVE; 0 for a feature linked to none."""
    _, group = connected_components(np.abs(alike) > SAME_ABOVE, directed=False)
    sizes = np.bincount(group)
    numbers = np.zeros(len(sizes), np.int64)
    several = [g for g in dict.fromkeys(group.tolist()) if sizes[g] > 1]
    numbers[several] = np.arange(1, len(several) + 1)
    return numbers[group]


def _auc(is_buyer: np.ndarray, values: np.ndarray) -> float:
    return auc(is_buyer, values) if len(values) and np.ptp(values) > 0 else 0.5


def _verdicts(found: pd.DataFrame, varies: np.ndarray) -> list[str]:
    strongest = found.sort_values(["auc", "feature"], ascending=[False, True]).groupby("cluster")["feature"].first()
    verdicts = []
    for row, changes in zip(found.itertuples(), varies, strict=True):
        best = strongest[row.cluster]
        if not changes:
            verdicts.append("constant")
        elif row.cluster and best != row.feature:
            verdicts.append(f"copy of {best}" + "; drifts" * (row.psi > DRIFT_ABOVE))
        else:
            verdicts.append("drifts" * (row.psi > DRIFT_ABOVE))
    return verdicts


def _some(values: np.ndarray) -> np.ndarray:
    return values[:: -(-len(values) // ROWS)]
