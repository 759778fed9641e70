"""The supervised score on a labelled table that is no shop's: a study of the learner alone."""

from pathlib import Path

import numpy as np
import pandas as pd

from expectations.errors import DataError, SetupError
from ml.risk.labelled import Judged, fit, judge, probability

FOLDS = 5


def judge_table(path: Path, without: tuple[str, ...] = ()) -> Judged:
    """Every row judged by a model of the other folds. Words become indicators; there are no times to split by.

    without  columns that are not read, for what gives the label away
    """
    if not path.is_file():
        raise SetupError(f"there is no {path}")
    rows = pd.read_csv(path)
    if "label" not in rows or not set(rows["label"].unique()) <= {0, 1}:
        raise DataError(f"{path} has no column label of 0 and 1")
    if unknown := set(without) - set(rows):
        raise DataError(f"{path} has no column {', '.join(sorted(unknown))}; it has {', '.join(rows)}")
    is_case = rows.pop("label").to_numpy() > 0
    return judge(is_case, out_of_fold(pd.get_dummies(rows.drop(columns=list(without))).to_numpy(np.float64), is_case))


def out_of_fold(features: np.ndarray, is_case: np.ndarray) -> np.ndarray:
    """(rows,) probabilities, each by a model that has not seen the row."""
    from sklearn.model_selection import StratifiedKFold

    found = np.empty(len(is_case))
    for learned, tested in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, is_case):
        found[tested] = probability(fit(features[learned], is_case[learned]), features[tested])
    return found
