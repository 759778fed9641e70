"""The model card: what a model was made from, for whom it speaks, how good it is for whom, and where not to trust it.

After Mitchell et al. (2019), Model Cards for Model Reporting. Every number is computed from the forecast at hand.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ml.card.document import Block, html, markdown
from ml.card.groups import groups_of
from ml.card.limits import limits, perfect_errors
from ml.cohorts import Parts
from ml.examples import STRATA, Examples
from ml.forecast import Forecast
from ml.judging import LEAST_ROWS, auc_interval, measure
from ml.protocols import Protocol

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "pandas", "pyarrow", "skops", "safetensors", "mlflow")
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


@dataclass(frozen=True)
class About:
    """What a card tells of a model besides numbers.

    shop       name, marked where its data are simulated; as ml.home.shop_name says
    params     settings and facts of the run, as MLflow shows them
    threshold  probability of a purchase within churn_days from which a customer counts as a buyer
    """

    model: str
    shop: str
    seed: int
    data_digest: str
    code_version: str
    threshold: float
    params: Mapping[str, object]

    @property
    def is_simulated(self) -> bool:
        return "(simulated)" in self.shop


def write_card(folder: Path, about: About, protocol: Protocol, parts: Parts, forecast: Forecast) -> None:
    """Writes model_card.md and model_card.html; ``forecast`` is of the last test part."""
    blocks = [*_what(about, protocol, parts), *_numbers(about, parts.tests[-1], forecast)]
    told = limits(parts, forecast, protocol, about.is_simulated, about.seed)
    blocks += [Block.of("h2", "Limits"), Block.of("list", *told)] if told else []
    blocks += [*_settings(about), *_loading(parts.tests[-1])]
    title = f"Model card: {about.model} of {about.shop}"
    (folder / "model_card.md").write_text(markdown(blocks), encoding="utf-8")
    (folder / "model_card.html").write_text(html(title, blocks), encoding="utf-8")


def _what(about: About, protocol: Protocol, parts: Parts) -> Iterator[Block]:
    horizons, population = protocol.horizons, protocol.population
    yield Block.of("h1", f"Model card: {about.model}")
    yield Block.of(
        "p",
        f"Says of each customer of {about.shop} when they will buy next and how much they will spend. "
        f"Churn: no purchase within {horizons.churn_days} days after the cutoff.",
    )
    who = [f"days with a purchase by the cutoff: {population.min_purchase_days} or more"]
    who += [f"last purchase at most {population.max_silent_days} days back"] if population.max_silent_days else []
    yield Block.of("h2", "Data and population")
    yield Block.of(
        "table",
        ("", ""),
        ("shop", f"{about.shop}" + (": the data are simulated" if about.is_simulated else "")),
        ("customers", "; ".join(who)),
        ("training", f"{_rows(parts.train)} as of {', '.join(map(str, protocol.train))}"),
        ("validation", f"{_rows(parts.valid)} as of {protocol.valid}: settings, calibration, threshold"),
        ("test", f"{_rows(parts.tests[-1])} as of {protocol.tests[-1]}: every number below"),
        ("purchase", f"within {_listed(horizons.edges_days)} days: one discrete hazard, so the longer the likelier"),
        (
            "spend",
            f"within {_listed(horizons.spend_days)} days, shop's currency" if horizons.spend_days else "not told",
        ),
        ("data digest", about.data_digest),
        ("code", about.code_version),
    )


def _numbers(about: About, test: Examples, forecast: Forecast) -> Iterator[Block]:
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


def environment() -> dict[str, str]:
    """Versions and machine."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", "device": _device()}


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _settings(about: About) -> Iterator[Block]:
    yield Block.of("h2", "Settings")
    shown = {"seed": about.seed, **{name: value for name, value in sorted(about.params.items()) if name != "seed"}}
    yield Block.of("table", ("setting", "value"), *((name, str(value)) for name, value in shown.items()))
    yield Block.of("h2", "Environment")
    yield Block.of("table", ("", ""), *environment().items())


def _loading(test: Examples) -> Iterator[Block]:
    cutoff = test.inputs.cutoffs.max().astype("datetime64[D]").item()
    yield Block.of("h2", "How to load it")
    yield Block.of(
        "p", "In the project's folder; VERSION is the number that the model registry shows. Nothing is unpickled."
    )
    yield Block.of(
        "code",
        "from datetime import date",
        "from ml.predict import load_frame, load_predictor",
        'forecast = load_predictor("lifestage_behaviour", VERSION).predict('
        f"load_frame(day := date({cutoff.year}, {cutoff.month}, {cutoff.day})), day)",
    )


def _rows(examples: Examples) -> str:
    return f"{len(examples):,} rows of {len(set(examples.inputs.customer_keys)):,} customers"


def _listed(days: tuple[int, ...]) -> str:
    return ", ".join(map(str, days))


def _number(name: str, value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    if name in BIASES:
        return f"{value:+.1%}"
    return f"{value:.1%}" if name == "coverage_90" else f"{value:.4f}" if abs(value) < 10 else f"{value:,.2f}"
