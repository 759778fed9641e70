"""When customers come back: what the hazard says against what was seen."""

import numpy as np
from matplotlib.axes import Axes

from ml.examples import STRATA, Examples
from ml.forecast import Forecast
from ml.plots.style import MODEL, OTHERS, REFERENCE

LEAST = 30
"""A curve of fewer customers says nothing."""
MOST = 0.9
"""A stratum that holds more of the customers lies on the curve of all."""
COLOURS = dict(zip(STRATA, (OTHERS[0], OTHERS[1], OTHERS[2]), strict=True))


def kaplan_meier(days_to_event: np.ndarray, observed_days: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """(days 0 … longest,) survival and its standard error (Greenwood); customers leave where they are censored."""
    days = np.arange(longest + 1)
    end = np.minimum(days_to_event, observed_days)
    event = days_to_event <= observed_days
    events = np.bincount(end[event & (end <= longest)].astype(np.int64), minlength=longest + 1)[: longest + 1]
    at_risk = (end[None, :] >= days[:, None]).sum(axis=1)
    at_risk, events = np.maximum(at_risk, 1), np.where(days == 0, 0, events)
    survival = np.cumprod(1 - events / at_risk)
    variance = np.cumsum(events / (at_risk * np.maximum(at_risk - events, 1)))
    return survival, survival * np.sqrt(variance)


def hazard_curve(axes: Axes, examples: Examples, forecast: Forecast) -> None:
    """Mean predicted survival beside Kaplan–Meier: of everybody, and of each stratum that is large enough."""
    groups = {"all": np.ones(len(examples), bool)}
    groups |= {stratum: examples.inputs.stratum == stratum for stratum in STRATA}
    longest = int(min(forecast.horizons.longest, examples.observed_days.max()))
    for name, mine in groups.items():
        if name != "all" and not LEAST <= mine.sum() <= MOST * len(examples):
            continue
        colour = COLOURS.get(name, MODEL)
        days = np.arange(longest + 1)
        seen, error = kaplan_meier(examples.days_to_purchase[mine], examples.observed_days[mine], longest)
        axes.step(days, seen, where="post", color=colour, linewidth=1)
        axes.fill_between(
            days, seen - 1.96 * error, seen + 1.96 * error, step="post", color=colour, alpha=0.15, linewidth=0
        )
        said = np.array([forecast.rows(mine).survival(int(day)).mean() for day in days])
        axes.plot(days, said, "--", color=colour, label=f"{name}: {mine.sum():,} customers")
    axes.plot([], [], "--", color=REFERENCE, label="predicted (mean)")
    axes.plot([], [], "-", color=REFERENCE, label="observed (Kaplan–Meier, 95 %)")
    axes.axvline(forecast.horizons.churn_days, color=REFERENCE, linewidth=1, linestyle=":")
    label = {"rotation": 90, "ha": "center", "va": "center", "fontsize": 8, "color": REFERENCE}
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(forecast.horizons.churn_days, 0.45, f"churn: {forecast.horizons.churn_days} days", bbox=box, **label)
    axes.set(
        title="No purchase yet: predicted and observed",
        xlabel="days after the cutoff",
        ylabel="share of customers without a purchase",
        ylim=(0, 1.02),
        xlim=(0, longest),
    )
    axes.legend(frameon=False, fontsize=8.5, loc="best")
