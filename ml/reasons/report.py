"""Reasons as files beside a run: importance of features, contributions in one picture, some customers in words."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ml.examples import Examples
from ml.forecast import Forecast
from ml.models.base import Model
from ml.plots.style import MODEL, OTHERS, REFERENCE, new_figure, save
from ml.reasons import NoReasons, own_values, reasons_of
from ml.reasons.attribution import Attribution, attribute
from ml.reasons.importance import importance, lost_by_shuffling, sample

SHOWN_FEATURES, SHOWN_CUSTOMERS = 20, 60
SWARM_FEATURES = 12


def write_reasons(
    folder: Path, title: str, model: Model, examples: Examples, forecast: Forecast, seed: int = 0
) -> bool:
    """Writes importance.csv, importance.png, contributions.png and reasons.csv; False where no model can tell reasons.

    ``forecast``: of ``examples``, by ``model``. From a sample of customers; ``ml.reasons.reasons`` takes them all.
    """
    chosen = sample(examples)
    try:
        found = attribute(model, chosen.inputs)
    except NoReasons:
        return False
    told = importance(found, chosen.inputs)
    told.to_csv(folder / "importance.csv", index=False, float_format="%.6g")
    # The numbers of a life hang together: shuffled one by one, they would be of lives that cannot be.
    lost = {} if getattr(model, "typical", None) else lost_by_shuffling(model, chosen, seed)
    figure, (features, *families) = new_figure(2 if lost else 1, width=11.5 if lost else 6)
    _bars(features, told)
    for axes in families:
        _families(axes, lost, found.days)
    save(figure, folder / "importance.png", title)
    figure, (axes,) = new_figure(1, width=8.2)
    _swarm(axes, found, chosen, told["feature"].head(SWARM_FEATURES).tolist())
    save(figure, folder / "contributions.png", title)
    _customers(found, chosen, model.predict(chosen.inputs)).to_csv(folder / "reasons.csv", index=False)
    return True


def _bars(axes: Axes, told: pd.DataFrame) -> None:
    top = told.head(SHOWN_FEATURES).iloc[::-1]
    colours = {"churn": OTHERS[0], "purchase": MODEL, "": REFERENCE}
    axes.barh(top["feature"], top["mean_absolute_contribution"], color=top["more_of_it_speaks_for"].map(colours))
    for direction, label in (("purchase", "more of it: purchase"), ("churn", "more of it: churn"), ("", "neither")):
        axes.bar(0, 0, color=colours[direction], label=label)
    axes.set(title="Mean size of contribution, by feature", xlabel="log-odds of churn, mean of absolute values")
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", labelsize=8)
    axes.legend(frameon=False, loc="lower right", fontsize=8.5)


def _families(axes: Axes, lost: dict[str, float], days: int) -> None:
    names = list(lost)[::-1]
    axes.barh(names, [lost[name] for name in names], color=MODEL)
    axes.axvline(0, color=REFERENCE, linewidth=1)
    axes.locator_params(axis="x", nbins=5)
    axes.set(
        title="Lost where a family of features is shuffled",
        xlabel=f"AUC lost (purchase within {days} days)",
    )


def _swarm(axes: Axes, found: Attribution, examples: Examples, names: list[str]) -> None:
    """A dot a customer and feature: how far it moves the prediction, coloured by the feature's own rank."""
    drawn = None
    for height, name in enumerate(reversed(names)):
        parts = -found.contributions[:, found.names.index(name)]
        values = own_values(examples.inputs, name)
        colour = np.full(len(parts), np.nan) if values is None else _ranks(values)
        place, known = height + _jitter(parts), ~np.isnan(colour)
        axes.scatter(parts[~known], place[~known], s=4, color=REFERENCE, linewidths=0)
        drawn = axes.scatter(
            parts[known], place[known], s=4, c=colour[known], cmap="coolwarm", vmin=0, vmax=1, linewidths=0
        )
    axes.axvline(0, color=REFERENCE, linewidth=1)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in reversed(names)], fontsize=8.5)
    axes.set(
        title=f"Contributions, {len(examples):,} customers (grey: no value)",
        xlabel=f"contribution to the log-odds of churn ({found.days} days)",
    )
    if drawn is not None:
        bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.6, ticks=[0, 1])
        bar.ax.set_yticklabels(["lowest value", "highest"])


def _ranks(values: np.ndarray) -> np.ndarray:
    """(rows,) in 0 … 1, NaN where missing; the middle where all are equal."""
    from scipy.stats import rankdata

    ranks = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    if known.any():
        of_known = rankdata(values[known])
        ranks[known] = (of_known - of_known.min()) / np.ptp(of_known) if np.ptp(of_known) else 0.5
    return ranks


def _jitter(parts: np.ndarray) -> np.ndarray:
    """Up and down by how crowded a place is, the same every time."""
    counts, edges = np.histogram(parts, 60)
    crowd = counts[np.clip(np.digitize(parts, edges) - 1, 0, 59)] / max(counts.max(), 1)
    return np.random.default_rng(0).uniform(-0.4, 0.4, len(parts)) * crowd


def _customers(found: Attribution, examples: Examples, forecast: Forecast) -> pd.DataFrame:
    """Customers from the likeliest to leave to the least, evenly spaced, with their strongest reasons either way."""
    why = reasons_of(found, examples.inputs, towards=None)
    order = np.argsort(-forecast.churn(), kind="stable")
    rows = order[np.unique(np.linspace(0, len(order) - 1, min(SHOWN_CUSTOMERS, len(order))).astype(np.int64))]
    told = {
        f"churn_probability_{found.days}d": forecast.churn()[rows].round(4),
        "has_churned": np.where(examples.is_buyer(found.days)[rows] > 0, "no", "yes"),
    }
    for n in range(why.words.shape[1]):
        told[f"reason_{n + 1}"] = [
            f"{words}: {direction} +{size:.2f}" if words else ""
            for words, direction, size in zip(
                why.words[rows, n], why.direction[rows, n], why.contribution[rows, n], strict=True
            )
        ]
    # Last: what it says comes first, and MLflow's preview shows the first columns.
    return pd.DataFrame(told | {"customer_key": examples.inputs.customer_keys[rows]})
