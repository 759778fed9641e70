"""How good expected spend and its interval are; ``weights`` and what comes back as in ml.scoring_rules."""

import numpy as np

from ml.ranked_sums import (
    Ranking,
    area,
    by_bin,
    divide,
    drawn_rows,
    equal_bins,
    shaped,
    weighted_mean,
)
from ml.scoring_rules import Scores, top_decile_lift, total_bias


def spend_scores(
    spend: np.ndarray,
    expected: np.ndarray,
    silent: np.ndarray,
    below: np.ndarray,
    weights: np.ndarray | None = None,
) -> dict[str, Scores]:
    """Every rule for money by its stable name.

    spend     (rows,): what was paid in the window
    expected  (rows,): its predicted mean
    silent    (rows,): predicted probability of nothing
    below     (rows,): predicted probability of at most what was paid
    """
    return {
        "normalised_gini": normalised_gini(spend, expected, weights),
        "spearman": spearman(spend, expected, weights),
        "decile_mape": decile_mape(spend, expected, weights),
        "total_bias": total_bias(spend, expected, weights),
        "mean_absolute_error": mean_absolute_error(spend, expected, weights),
        "coverage_90": coverage(silent, below, weights),
        "top_decile_lift": top_decile_lift(spend, expected, weights),
    }


def normalised_gini(spend: np.ndarray, expected: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Gini of ``spend`` ranked by ``expected`` over the Gini of the perfect ranking: 1 perfect, 0 random."""
    drawn = drawn_rows(spend, weights)
    ours, perfect = _gini(spend, expected, drawn), _gini(spend, spend, drawn)
    return shaped(divide(ours, np.where(perfect > 1e-12, perfect, 0.0)), weights)


def spearman(spend: np.ndarray, expected: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Correlation of the ranks of spend and expected spend, ties at their middle rank."""
    drawn = drawn_rows(spend, weights)
    centre = (drawn.sum(axis=0) + 1) / 2
    a, b = (_middle_ranks(values, drawn) - centre for values in (spend, expected))
    alone = (drawn * a * a).sum(axis=0) * (drawn * b * b).sum(axis=0)
    return shaped(divide((drawn * a * b).sum(axis=0), np.sqrt(alone)), weights)


def decile_mape(spend: np.ndarray, expected: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Mean over deciles of expected spend of |expected − actual| / actual; deciles that spent nothing are left out."""
    drawn, bins = drawn_rows(spend, weights), equal_bins(expected)
    actual, said = by_bin(bins, spend, drawn), by_bin(bins, expected, drawn)
    gaps = divide(np.abs(said - actual), actual)
    known = np.isfinite(gaps)
    return shaped(divide(np.where(known, gaps, 0.0).sum(axis=0), known.sum(axis=0)), weights)


def mean_absolute_error(spend: np.ndarray, expected: np.ndarray, weights: np.ndarray | None = None) -> Scores:
    """Currency a customer."""
    return shaped(weighted_mean(np.abs(expected - spend), drawn_rows(spend, weights)), weights)


def coverage(silent: np.ndarray, below: np.ndarray, weights: np.ndarray | None = None, cover: float = 0.9) -> Scores:
    """Share of outcomes within the central interval of ``cover``, by the randomised probability integral transform.

    Where nothing was paid the transform is drawn evenly from [0, silent] (Czado, Gneiting, Held 2009); here that is
    averaged over all draws. Without it, a model that rightly says 96 % would be told its intervals are too wide.
    """
    low, high = (1 - cover) / 2, (1 + cover) / 2
    jump = np.maximum(silent, 1e-12)
    evenly = (np.clip(high, 0, jump) - np.clip(low, 0, jump)) / jump
    inside = np.where(below > silent, (below >= low) & (below <= high), evenly)
    return shaped(weighted_mean(inside, drawn_rows(silent, weights)), weights)


def _gini(spend: np.ndarray, rank_by: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Area between the Lorenz curve of ``spend``, highest rank first, and the diagonal."""
    ranking = Ranking(rank_by)
    held, people = ranking.totals(drawn * spend[:, None]), ranking.totals(drawn)
    return divide(area(people, held), people[-1] * held[-1]) - 0.5


def _middle_ranks(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    ranking = Ranking(-values)
    people = ranking.totals(drawn)
    return ((people[:-1] + people[1:] + 1) / 2)[ranking.group]
