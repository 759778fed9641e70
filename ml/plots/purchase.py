"""Pictures of one question: does the customer buy within so many days?"""

import numpy as np
from matplotlib.axes import Axes
from sklearn.metrics import precision_recall_curve, roc_curve

from ml.plots.style import ACTUAL, MODEL, REFERENCE, equal_bins, numbered_bins, palette
from ml.ranked_sums import BINS
from ml.scoring_rules import auc, average_precision, calibration_error, honest_calibration_errors, top_decile_lift

CURVE_POINTS = 400
"""A curve of more points looks the same and takes longer to draw."""
RESAMPLES = 300
"""Draws of labels behind the band of perfect calibration."""


def roc(axes: Axes, is_buyer: np.ndarray, probabilities: dict[str, np.ndarray], days: int) -> None:
    colours = palette(list(probabilities))
    for name, probability in probabilities.items():
        false_positives, true_positives, _ = roc_curve(is_buyer, probability)
        label = f"{name}: AUC {auc(is_buyer, probability):.4f}"
        axes.plot(*_thinned(false_positives, true_positives), color=colours[name], label=label)
    axes.plot([0, 1], [0, 1], "--", color=REFERENCE, linewidth=1, label="chance")
    axes.set(
        title=f"ROC: purchase within {days} days",
        xlabel="false positive rate (share of non-buyers above the cut)",
        ylabel="true positive rate (share of buyers above the cut)",
    )
    axes.legend(frameon=False, loc="lower right")


def precision_recall(axes: Axes, is_buyer: np.ndarray, probabilities: dict[str, np.ndarray], days: int) -> None:
    colours = palette(list(probabilities))
    for name, probability in probabilities.items():
        precision, recall, _ = precision_recall_curve(is_buyer, probability)
        label = f"{name}: average precision {average_precision(is_buyer, probability):.4f}"
        axes.plot(*_thinned(recall, precision), color=colours[name], label=label)
    base = is_buyer.mean()
    axes.axhline(base, linestyle="--", color=REFERENCE, linewidth=1, label=f"chance: {base:.3f} buy")
    axes.set(
        title=f"Precision and recall: purchase within {days} days",
        xlabel="recall (share of all buyers above the cut)",
        ylabel="precision (share of those above the cut that buy)",
        ylim=(0, 1.02),
    )
    axes.legend(frameon=False, loc="lower left")


def calibration(axes: Axes, is_buyer: np.ndarray, probabilities: dict[str, np.ndarray], days: int, seed: int) -> None:
    """Observed against predicted share by tenths of customers.

    The band holds 95 % of what a perfectly calibrated model with these very predictions would show: labels are drawn
    from the predictions, again and again. Points outside it are the model's fault, not chance's.
    """
    colours = palette(list(probabilities))
    for n, (name, probability) in enumerate(probabilities.items()):
        bins = equal_bins(probability)
        said, seen = _means(probability, bins), _means(is_buyer, bins)
        drawn = perfect_shares(probability, bins, seed)
        error, perfect = calibration_error(is_buyer, probability), perfect_error(probability, seed)
        label = f"{name}: error {error:.4f} (perfect model: {perfect:.4f})"
        axes.plot(said, seen, "o-", color=colours[name], label=label, markersize=5)
        if n == 0:
            low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
            axes.fill_between(said, low, high, color=MODEL, alpha=0.15, linewidth=0, label="perfect model: 95 % band")
    axes.plot([0, 1], [0, 1], "--", color=REFERENCE, linewidth=1, label="perfect")
    axes.set(
        title=f"Calibration: purchase within {days} days, {BINS} bins of equal size",
        xlabel="predicted probability (mean of the bin)",
        ylabel="observed share that bought",
    )
    axes.legend(frameon=False, loc="best", fontsize=8.5)


def perfect_shares(probability: np.ndarray, bins: list[np.ndarray], seed: int) -> np.ndarray:
    """(RESAMPLES, bins): shares that buy in each bin where labels are drawn from ``probability``."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [(rng.random((RESAMPLES, len(rows)), np.float32) < probability[rows]).mean(axis=1) for rows in bins]
    )


def perfect_error(probability: np.ndarray, seed: int) -> float:
    """The calibration error that a perfectly calibrated model with these predictions would show, on average."""
    uniform = np.random.default_rng(seed).random((len(probability), RESAMPLES), dtype=np.float32)
    return float(honest_calibration_errors(probability, uniform).mean())


def gain(axes: Axes, is_buyer: np.ndarray, probabilities: dict[str, np.ndarray], days: int) -> None:
    """Whom a campaign reaches that contacts the likeliest buyers first."""
    colours = palette(list(probabilities))
    contacted = np.arange(len(is_buyer) + 1) / len(is_buyer)
    for name, probability in probabilities.items():
        axes.plot(*_thinned(contacted, _reached(is_buyer, probability)), color=colours[name], label=name)
    best = _reached(is_buyer, is_buyer)
    axes.plot(*_thinned(contacted, best), ":", color=REFERENCE, linewidth=1, label="perfect ranking")
    axes.plot([0, 1], [0, 1], "--", color=REFERENCE, linewidth=1, label="at random")
    axes.set(
        title=f"Gain: buyers within {days} days",
        xlabel="share of customers contacted, likeliest first",
        ylabel="share of all buyers among them",
    )
    axes.legend(frameon=False, loc="lower right")


def lift(axes: Axes, is_buyer: np.ndarray, probabilities: dict[str, np.ndarray], days: int) -> None:
    colours = palette(list(probabilities))
    for name, probability in probabilities.items():
        bins = numbered_bins(probability)
        place = [BINS - number for number in bins]
        lifts = _means(is_buyer, list(bins.values())) / is_buyer.mean()
        label = f"{name}: top tenth {top_decile_lift(is_buyer, probability):.2f}"
        axes.plot(place, lifts, "o-", color=colours[name], label=label)
    axes.axhline(1, linestyle="--", color=REFERENCE, linewidth=1, label="at random")
    axes.set(
        title=f"Lift by decile: purchase within {days} days",
        xlabel="decile of customers, likeliest first",
        ylabel="lift (times the mean purchase rate)",
        xticks=np.arange(1, BINS + 1),
    )
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def confusion(axes: Axes, is_buyer: np.ndarray, probability: np.ndarray, threshold: float, days: int) -> None:
    """Counts of customers by what the model decides at ``threshold`` and what they did."""
    counts = confusion_counts(is_buyer, probability, threshold)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.25)
    for row in range(2):
        for column in range(2):
            text = f"{counts[row, column]:,}\n{share[row, column]:.1%} of row"
            axes.text(column, row, text, ha="center", va="center", fontsize=13, color="#111827")
    tn, fp, fn, tp = counts.ravel()
    axes.set(
        title=f"Purchase within {days} days: accuracy {(tp + tn) / counts.sum():.3f}, precision "
        f"{tp / max(tp + fp, 1):.3f}, recall {tp / max(tp + fn, 1):.3f}, F1 {2 * tp / max(2 * tp + fp + fn, 1):.3f}",
        xlabel=f"predicted (probability ≥ {threshold:.3f}, chosen on validation)",
        ylabel="what happened",
        xticks=[0, 1],
        yticks=[0, 1],
        xticklabels=["no purchase", "purchase"],
        yticklabels=["no purchase", "purchase"],
    )
    axes.title.set_fontsize(9.5)
    axes.grid(False)


def confusion_counts(is_buyer: np.ndarray, probability: np.ndarray, threshold: float) -> np.ndarray:
    """(2, 2) int64: rows what happened (no, yes), columns what was predicted."""
    cell = 2 * (is_buyer > 0) + (probability >= threshold)
    return np.bincount(cell, minlength=4).reshape(2, 2)


def spread(axes: Axes, is_buyer: np.ndarray, probability: np.ndarray, days: int) -> None:
    """How far the model pulls buyers and the others apart."""
    edges = np.linspace(0, 1, 41)
    axes.hist(probability[is_buyer == 0], edges, color=ACTUAL, label="did not buy")
    axes.hist(probability[is_buyer > 0], edges, histtype="step", color=MODEL, linewidth=1.6, label="bought")
    axes.set(
        title=f"Predicted probability of a purchase within {days} days",
        xlabel="predicted probability",
        ylabel="customers",
    )
    axes.legend(frameon=False, loc="upper left")


def _means(values: np.ndarray, bins: list[np.ndarray]) -> np.ndarray:
    return np.array([values[rows].mean() for rows in bins])


def _reached(is_buyer: np.ndarray, rank_by: np.ndarray) -> np.ndarray:
    order = np.argsort(-rank_by, kind="stable")
    return np.concatenate([[0.0], np.cumsum(is_buyer[order]) / is_buyer.sum()])


def _thinned(*lines: np.ndarray) -> list[np.ndarray]:
    chosen = np.unique(np.linspace(0, len(lines[0]) - 1, CURVE_POINTS).astype(int))
    return [line[chosen] for line in lines]
