"""Pictures of money: what was expected of customers and what came."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from ml.plots.style import ACTUAL, MODEL, REFERENCE, equal_bins, numbered_bins, palette
from ml.ranked_sums import BINS

RESAMPLES = 300
"""Bootstrap samples behind the whiskers of a decile's mean."""
UNIT = "shop's currency"


def deciles(axes: Axes, spend: np.ndarray, expected: dict[str, np.ndarray], days: int, seed: int) -> None:
    """Ten groups by what the first model expects; what came, with its 95 % interval, and what each model said."""
    name, *others = expected
    numbered = numbered_bins(expected[name])
    place, bins = [BINS - number for number in numbered], list(numbered.values())
    seen = np.array([spend[rows].mean() for rows in bins])
    low, high = _mean_interval(spend, bins, seed)
    whiskers = {"ecolor": REFERENCE, "elinewidth": 1, "capsize": 2}
    axes.bar(place, seen, yerr=[seen - low, high - seen], color=ACTUAL, error_kw=whiskers, label="actual (95 %)")
    for other, colour in palette([name, *others]).items():
        means = [expected[other][rows].mean() for rows in bins]
        mark, dashes = ("o", "-") if other == name else ("s", "--")
        axes.plot(place, means, mark, linestyle=dashes, color=colour, label=f"{other}: expected", markersize=4)
    bias = expected[name].sum() / spend.sum() - 1 if spend.sum() > 0 else np.nan
    axes.set(
        title=f"Spend over {days} days: {name} {bias:+.1%} in total",
        xlabel="decile of customers, highest expectation first",
        ylabel=f"mean spend a customer ({UNIT})",
        xticks=np.arange(1, BINS + 1),
    )
    axes.legend(frameon=False)


def _mean_interval(values: np.ndarray, bins: list[np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    means = [values[rows][rng.integers(len(rows), size=(RESAMPLES, len(rows)))].mean(axis=1) for rows in bins]
    low, high = np.percentile(means, [2.5, 97.5], axis=1)
    return low, high


def residuals(axes: Axes, spend: np.ndarray, expected: np.ndarray, days: int) -> None:
    """Actual less expected, by what was expected: a calibrated model's means lie on nought along the whole axis."""
    shown = np.maximum(expected, 1e-2)
    residual = spend - expected
    bins = equal_bins(shown, 15)
    centre = [shown[rows].mean() for rows in bins]
    reach = max(float(np.abs(residual).max()), 1.0)
    # Logarithmic both ways: a few large spenders would press everybody else onto the axis.
    scale = max(float(np.median(np.abs(residual))), 1e-2)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=scale)
    upper = np.geomspace(scale / 50, reach, 32)
    steps = np.concatenate([-upper[::-1], [0], upper])
    across = np.geomspace(shown.min(), max(shown.max(), shown.min() * 1.01), 60)
    axes.hist2d(shown, residual, bins=[across, steps], cmap="Greys", norm=LogNorm(0.3, 300), rasterized=True)
    axes.plot(centre, [residual[rows].mean() for rows in bins], "o-", color=MODEL, label="mean of fifteenths")
    for level, label in ((5, "5 % and 95 %"), (95, None)):
        line = [np.percentile(residual[rows], level) for rows in bins]
        axes.plot(centre, line, "--", color=MODEL, linewidth=1, label=label)
    axes.axhline(0, color=REFERENCE, linewidth=1)
    axes.set(
        title=f"Residuals of spend over {days} days",
        xlabel=f"expected spend ({UNIT}, logarithmic)",
        ylabel=f"actual − expected ({UNIT}; logarithmic)",
    )
    axes.legend(frameon=False, loc="upper left")


def coverage(axes: Axes, levels: np.ndarray, days: int) -> None:
    """``levels``: (rows,) randomised probability integral transform; even, if the predicted distribution is right."""
    counts, edges = np.histogram(levels, np.linspace(0, 1, 21))
    usual = len(levels) / 20
    noise = 1.96 * np.sqrt(usual * 0.95)
    inside = np.mean((levels >= 0.05) & (levels <= 0.95))
    axes.bar((edges[:-1] + edges[1:]) / 2, counts, width=0.045, color=MODEL, alpha=0.75, label="customers")
    axes.axhspan(usual - noise, usual + noise, color=REFERENCE, alpha=0.2, label="right distribution: 95 % band")
    axes.axhline(usual, linestyle="--", color=REFERENCE, linewidth=1)
    axes.set(
        title=f"Spend over {days} days: 90 % intervals hold {inside:.1%}",
        xlabel="level of the predicted distribution at which actual spend fell",
        ylabel="customers",
    )
    axes.legend(frameon=False)
