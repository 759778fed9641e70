"""How good probabilities are: each rule once, for a whole sample and for thousands of its resamples at a time.

Every rule takes ``weights``, (rows, resamples) float64: how often each row was drawn; it returns (resamples,). Without
them every row counts once and a float comes back. NaN where a rule has no meaning: everybody bought, nobody was drawn.
Rules for money are in ml.spend_rules.
"""

import numpy as np

from ml.ranked_sums import (
    BINS,
    Ranking,
    area,
    by_bin,
    divide,
    drawn_rows,
    equal_bins,
    shaped,
    weighted_mean,
    weighted_sum,
)

TOP_SHARE = 0.1
"""The part of the customers behind a lift."""

Scores = np.ndarray | float


def label_scores(
    label: np.ndarray, predicted: np.ndarray, decided: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, Scores]:
    """Every rule of this module by its stable name.

    label      (rows,): 1 or 0
    predicted  (rows,): probability of 1
    decided    (rows,) bool: whether the probability reaches the threshold, which was chosen elsewhere
    """
    drawn, ranking = drawn_rows(label, weights), Ranking(predicted)
    people, hits = ranking.totals(drawn), ranking.totals(drawn * label[:, None])
    found = {
        "auc": divide(area(people - hits, hits), hits[-1] * (people[-1] - hits[-1])),
        "average_precision": _average_precision(people, hits),
        "top_decile_lift": lift(people, hits),
    }
    return {
        **{name: shaped(values, weights) for name, values in found.items()},
        **decisions(label, decided, weights),
        "brier": brier(label, predicted, weights),
        "calibration_error": calibration_error(label, predicted, weights),
        "total_bias": total_bias(label, predicted, weights),
    }


def auc(label: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Area under the ROC curve: how often a 1 ranks above a 0, ties half."""
    drawn, ranking = drawn_rows(label, weights), Ranking(predicted)
    hits = ranking.totals(drawn * label[:, None])
    misses = ranking.totals(drawn) - hits
    return shaped(divide(area(misses, hits), hits[-1] * misses[-1]), weights)


def average_precision(label: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Precision at every threshold, weighted by the recall it adds."""
    drawn, ranking = drawn_rows(label, weights), Ranking(predicted)
    return shaped(_average_precision(ranking.totals(drawn), ranking.totals(drawn * label[:, None])), weights)


def top_decile_lift(value: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """What the TOP_SHARE highest predicted hold of ``value`` (labels, or money) over what as many drawn blindly would.

    Where the border cuts through customers of equal prediction, each of them counts in part.
    """
    drawn, ranking = drawn_rows(value, weights), Ranking(predicted)
    return shaped(lift(ranking.totals(drawn), ranking.totals(drawn * value[:, None])), weights)


def brier(label: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Mean squared distance of probability and outcome."""
    return shaped(weighted_mean((predicted - label) ** 2, drawn_rows(label, weights)), weights)


def total_bias(outcome: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Share by which the sum of predictions exceeds that of outcomes (labels, or money): −0.12 is 12 % too little."""
    drawn = drawn_rows(outcome, weights)
    return shaped(divide(weighted_sum(predicted, drawn), weighted_sum(outcome, drawn)) - 1, weights)


def decisions(label: np.ndarray, decided: np.ndarray, weights: np.ndarray | None = None) -> dict[str, Scores]:
    """accuracy, recall and f1 of yes-or-no decisions (rows,) bool; F1 is 0 where neither says or is a yes."""
    drawn, actual = drawn_rows(label, weights), label > 0
    hits, yes, said = (weighted_sum(rows, drawn) for rows in (decided & actual, actual, decided))
    f1 = np.where(drawn.sum(axis=0) > 0, np.nan_to_num(divide(2 * hits, yes + said)), np.nan)
    found = {"accuracy": weighted_mean(decided == actual, drawn), "recall": divide(hits, yes), "f1": f1}
    return {name: shaped(values, weights) for name, values in found.items()}


def best_threshold(label: np.ndarray, predicted: np.ndarray) -> float:
    """The threshold with the highest F1; from it on the answer is yes. Never to be chosen on what is judged by it.

    label  (rows,): 1 or 0; or probabilities, which gives the highest expected F1. Infinite where none is above 0
    """
    ranking = Ranking(predicted)
    hits, said = (ranking.totals(values[:, None])[1:, 0] for values in (label, np.ones(len(label))))
    if not len(hits) or hits[-1] <= 0:
        return np.inf
    return float(predicted[ranking.order][ranking.ends][np.argmax(2 * hits / (said + hits[-1]))])


def calibration_error(label: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Expected calibration error: mean gap between predicted and actual share over bins of equal size."""
    drawn = drawn_rows(label, weights)
    gaps = np.abs(by_bin(equal_bins(predicted), predicted - label, drawn)).sum(axis=0)
    return shaped(divide(gaps, drawn.sum(axis=0)), weights)


def honest_calibration_errors(predicted: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """(resamples,): calibration errors of a perfectly calibrated model of this size, whose labels come true as said.

    Never 0: a sample's shares scatter around their probabilities.

    uniform  (rows, resamples) in [0, 1): a label is 1 where it lies below the probability
    """
    bins = equal_bins(predicted)
    expected = np.bincount(bins, predicted, minlength=BINS)[:, None]
    members = (bins == np.arange(BINS)[:, None]).astype(np.float32)
    happened = members @ (uniform < predicted[:, None]).astype(np.float32)
    return np.abs(happened - expected).sum(axis=0) / max(len(predicted), 1)


def lift(people: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(resamples,): see top_decile_lift; by the totals, (groups + 1, resamples), of a ranking."""
    if len(people) == 1:
        return np.full(people.shape[1], np.nan)
    border = TOP_SHARE * people[-1]
    last = np.clip((people < border).sum(axis=0), 1, len(people) - 1)[None]
    below, above = (np.take_along_axis(people, at, axis=0)[0] for at in (last - 1, last))
    low, high = (np.take_along_axis(held, at, axis=0)[0] for at in (last - 1, last))
    top = low + (high - low) * np.nan_to_num(divide(border - below, above - below))
    return divide(top, TOP_SHARE * held[-1])


def _average_precision(people: np.ndarray, hits: np.ndarray) -> np.ndarray:
    precision = np.nan_to_num(divide(hits[1:], people[1:]))
    return divide((np.diff(hits, axis=0) * precision).sum(axis=0), hits[-1])
