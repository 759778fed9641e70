"""Pictures of a run: ROC, calibration, spend by decile. Each shows the recency rule beside the model."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from ml.dataset import HORIZON_DAYS, Examples
from ml.evaluate import auc, equal_bins

MODEL, BASELINE, REFERENCE = "#1f6feb", "#d97706", "#6b7280"


def write_plots(folder: Path, title: str, examples: Examples, predicted: dict[str, np.ndarray]) -> None:
    """roc.png, calibration.png and spend_by_decile.png. ``predicted``: model first, what it is compared with second."""
    for name, draw in (("roc", _roc), ("calibration", _calibration), ("spend_by_decile", _spend)):
        figure = Figure(figsize=(6.4, 5.2), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        draw(axes, examples, predicted)
        axes.set_title(f"{title}\n{axes.get_title()}", fontsize=11)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        figure.savefig(folder / f"{name}.png")


def _roc(axes: Axes, examples: Examples, predicted: dict[str, np.ndarray]) -> None:
    for colour, (name, values) in zip((MODEL, BASELINE), predicted.items(), strict=False):
        false_positives, true_positives, _ = roc_curve(examples.is_buyer, values[:, 0])
        label = f"{name}: AUC {auc(examples.is_buyer, values[:, 0]):.3f}"
        axes.plot(false_positives, true_positives, color=colour, label=label)
    axes.plot([0, 1], [0, 1], "--", color=REFERENCE, linewidth=1, label="chance")
    axes.set(
        title=f"ROC: purchase within {HORIZON_DAYS} days",
        xlabel="share of non-buyers ranked above the cut",
        ylabel="share of buyers ranked above the cut",
    )


def _calibration(axes: Axes, examples: Examples, predicted: dict[str, np.ndarray]) -> None:
    for colour, (name, values) in zip((MODEL, BASELINE), predicted.items(), strict=False):
        bins = equal_bins(values[:, 0])
        said = [values[rows, 0].mean() for rows in bins]
        seen = [examples.is_buyer[rows].mean() for rows in bins]
        axes.plot(said, seen, "o-", color=colour, label=f"{name}: {len(bins)} bins of {len(bins[0]):,} customers")
    axes.plot([0, 1], [0, 1], "--", color=REFERENCE, linewidth=1, label="perfect")
    axes.set(
        title=f"Calibration: purchase within {HORIZON_DAYS} days",
        xlabel="predicted probability (mean of bin)",
        ylabel="share that bought",
    )


def _spend(axes: Axes, examples: Examples, predicted: dict[str, np.ndarray]) -> None:
    """Customers in ten groups by what the model expects of them; what came is drawn beside."""
    (name, values), *others = predicted.items()
    bins = equal_bins(values.prod(axis=1))[::-1]
    place = np.arange(1, len(bins) + 1)
    axes.bar(place, [examples.spend[rows].mean() for rows in bins], color="#cbd5e1", label="actual")
    axes.plot(place, [values[rows].prod(axis=1).mean() for rows in bins], "o-", color=MODEL, label=f"{name}: expected")
    for other, guess in others[:1]:
        means = [guess[rows].prod(axis=1).mean() for rows in bins]
        axes.plot(place, means, "s--", color=BASELINE, label=f"{other}: expected")
    axes.set(
        title=f"Spend over {HORIZON_DAYS} days by decile of expected spend",
        xlabel="decile of customers, highest expectation first",
        ylabel="mean spend a customer (shop's currency)",
        xticks=place,
    )
