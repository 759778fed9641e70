"""How good a model is, by stratum and by group: the same metrics as its run shows."""

from collections.abc import Iterator

import numpy as np

from ml.card.about import About
from ml.card.document import Block
from ml.card.groups import groups_of
from ml.card.limits import perfect_errors
from ml.examples import STRATA, Examples
from ml.forecast import Forecast
from ml.judging import LEAST_ROWS, auc_interval, measure

SHOWN = {
    "auc": "AUC",
    "average_precision": "average precision",
    "f1": "F1 at the threshold",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "buyers_bias": "bias of total buyers",
    "normalised_gini": "normalised Gini of spend",
    "total_bias": "bias of total spend",
    "coverage_90": "cover of 90 % spend intervals",
    "spend_mae": "mean absolute error of spend",
}
BIASES = ("buyers_bias", "total_bias")
OF_GROUPS = ("auc", "calibration_error", "buyers_bias", "normalised_gini", "total_bias")


def summary(about: About, test: Examples, forecast: Forecast) -> str:
    """One sentence of numbers: the first lines are all that MLflow shows of a run's description."""
    found = measure(test, forecast, about.threshold)
    low, high = auc_interval(test, forecast, about.seed)
    told = [f"AUC {found['auc']:.4f} [{low:.4f}, {high:.4f}]", f"calibration error {found['calibration_error']:.4f}"]
    if np.isfinite(found.get("normalised_gini", np.nan)):
        told.append(
            f"normalised Gini of spend {found['normalised_gini']:.4f}, bias of its total {found['total_bias']:+.1%}"
        )
    when = test.inputs.cutoffs.max().astype("datetime64[D]")
    return f"On {len(test):,} customers of {about.shop} as of {when}: {', '.join(told)}."


def numbers(about: About, test: Examples, forecast: Forecast) -> Iterator[Block]:
    """By stratum and by group, computed as the metrics of the run are."""
    days, found = test.horizons.churn_days, measure(test, forecast, about.threshold)
    low, high = auc_interval(test, forecast, about.seed)
    strata = {stratum: int((test.inputs.stratum == stratum).sum()) for stratum in STRATA}
    head = ("", "all", *(f"{stratum.replace('_', ' ')}" for stratum in STRATA))
    lines = [("customers", f"{len(test):,}", *(f"{rows:,}" for rows in strata.values()))]
    for name, title in SHOWN.items():
        if name in found:
            by = [_number(name, found.get(f"{name}_{stratum}")) for stratum in STRATA]
            interval = f" [{low:.4f}, {high:.4f}]" if name == "auc" else ""
            lines.append((title, _number(name, found[name]) + interval, *by))
    yield Block.of("h2", f"How good it is: purchase within {days} days, spend within the first window")
    yield Block.of("table", head, *lines)
    yield Block.of(
        "p",
        f"[…]: 95 % interval, customers resampled. –: fewer than {LEAST_ROWS} customers, or without meaning. "
        f"Threshold: {about.threshold:.4f}, the highest F1 on validation.",
    )
    known = test.matured(days)
    _, usual, most = perfect_errors(forecast.probability(days)[known], about.seed)
    yield Block.of(
        "p",
        f"Calibration error {found['calibration_error']:.4f}; a perfectly calibrated model of this size would show "
        f"{usual:.4f} on average and at most {most:.4f} (97.5 %).",
    )
    if groups := groups_of(test.inputs):
        yield Block.of("h2", "By age and gender")
        yield Block.of(
            "table", ("", "customers", *(SHOWN[name] for name in OF_GROUPS)), *_by_group(about, test, forecast, groups)
        )


def _by_group(
    about: About, test: Examples, forecast: Forecast, groups: dict[str, np.ndarray]
) -> Iterator[tuple[str, ...]]:
    for group, rows in groups.items():
        if rows.sum() < LEAST_ROWS:
            yield (group, f"{rows.sum():,}", *("–" for _ in OF_GROUPS))
            continue
        some, told = test.rows(rows), forecast.rows(rows)
        found = measure(some, told, about.threshold)
        low, high = auc_interval(some, told, about.seed)
        numbers = [_number(name, found.get(name)) for name in OF_GROUPS]
        yield (group, f"{rows.sum():,}", f"{numbers[0]} [{low:.3f}, {high:.3f}]", *numbers[1:])


def _number(name: str, value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    if name in BIASES:
        return f"{value:+.1%}"
    return f"{value:.1%}" if name == "coverage_90" else f"{value:.4f}" if abs(value) < 10 else f"{value:,.2f}"
