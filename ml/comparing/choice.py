"""What is chosen before any test is looked at: the best model, the seed that ships, the thresholds of yes and no."""

from collections.abc import Mapping, Sequence

import numpy as np

from ml.comparing.answers import Answers, Stage
from ml.comparing.tasks import Task, tasks_of
from ml.examples import Examples
from ml.forecast import Forecast
from ml.scoring_rules import auc, best_threshold
from ml.spend_rules import normalised_gini


def validation_score(forecast: Forecast, valid: Examples) -> float:
    """What the best model has most of: mean of AUC over the purchase windows, and normalised Gini over the spend
    windows, that matured in validation. NaN where none did.

    Of the order of customers alone: the calibration that is fitted on the same rows flatters the Brier score.
    """
    scores = []
    for task in tasks_of(valid.horizons):
        rows = task.matured(valid)
        rule = normalised_gini if task.is_money else auc
        # Churn is the survival of a purchase window's hazard: it would say the same a second time.
        if rows.any() and task.kind != "churn":
            scores.append(rule(task.outcome(valid)[rows], task.answer(forecast)[rows]))
    known = [score for score in scores if np.isfinite(score)]
    return float(np.mean(known)) if known else np.nan


def best_model(scores: Mapping[str, Sequence[float]]) -> str:
    """Of model → validation score of each seed, the model with the highest mean: a lucky seed wins nothing.

    The first named of equals.
    """
    means = {model: np.nan_to_num(np.mean(values), nan=-np.inf) for model, values in scores.items()}
    return max(means, key=means.__getitem__)


def middle_seed(scores: Sequence[float]) -> int:
    """Place of the median score, the lower of two in the middle: the seed that ships and is as good as its model."""
    return int(np.argsort(scores, kind="stable")[(len(scores) - 1) // 2])


def champion_of(answers: list[Answers], valid: Examples) -> str:
    """The best of those that were asked."""
    scores: dict[str, list[float]] = {}
    for one in answers:
        scores.setdefault(one.model, []).append(validation_score(one.valid, valid))
    return best_model(scores)


def thresholds(task: Task, answers: Answers, scene: Stage) -> dict[int, float]:
    """Fold → the probability from which the answer is yes: highest F1 on that fold's validation rows.

    Where the window had not matured by then, the highest F1 that the calibrated probabilities themselves expect.
    """
    probability, found = task.answer(answers.valid), {}
    matured, outcome = task.matured(scene.parts.valid), task.outcome(scene.parts.valid)
    for fold in np.unique(scene.valid):
        rows = scene.valid == fold
        known = rows & matured
        label = outcome[known] if known.any() else probability[rows]
        found[int(fold)] = best_threshold(label, probability[known if known.any() else rows])
    return found
