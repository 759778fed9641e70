"""One training as MLflow runs: what decides its outcome, and how each fitted model is written down."""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURE_NAMES
from ml.cohorts import Parts
from ml.home import HomePath
from ml.protocols import Protocol

if TYPE_CHECKING:
    from pandas import DataFrame

    from ml.calibrate import Calibrated
    from ml.forecast import Forecast
    from ml.lifetime import Lifetime

log = logging.getLogger(__name__)

KIND = "training"
EXAMPLE_ROWS = 4


@dataclass(frozen=True)
class Plan:
    """All that decides the outcome of a training."""

    protocol: Protocol
    models: tuple[str, ...]
    budget: str
    seed: int
    data_digest: str

    @property
    def cutoff(self) -> date:
        return self.protocol.tests[-1]

    @property
    def digest(self) -> str:
        """SHA-256 over data, settings and code: a training with an equal digest gives equal models."""
        said = [FEATURE_NAMES, asdict(self.protocol), self.models, self.budget, self.seed, self.data_digest, _code()]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Fitted:
    """One fitted model and what it says of the validation and the test part."""

    name: str
    seed: int
    model: "Calibrated"
    valid: "Forecast"
    test: "Forecast"
    fit_seconds: float
    predict_seconds: float


@dataclass(frozen=True)
class Logged:
    """One run: what promotion and registration ask of it."""

    fitted: Fitted
    run_id: str
    model_uri: str
    metrics: dict[str, float]


class RunWriter:
    """Writes one run after the other, the same way for every model; the first one logged is drawn in all."""

    def __init__(self, plan: Plan, parts: Parts, parent: str, home: HomePath) -> None:
        self.plan, self.parts, self.parent, self.home = plan, parts, parent, home
        self.test = parts.tests[-1]
        self.first: Fitted | None = None

    def __call__(self, fitted: Fitted) -> Logged:
        from ml.judging import auc_interval, measure, threshold_of
        from ml.tracking import Run, log_run

        self.first = self.first or fitted
        threshold = threshold_of(self.parts.valid, fitted.valid)
        judged = {"valid": (self.parts.valid, fitted.valid), "test": (self.test, fitted.test)}
        metrics = {
            f"{part}_{name}": value
            for part, pair in judged.items()
            for name, value in measure(*pair, threshold).items()
        }
        low, high = auc_interval(self.test, fitted.test, self.plan.seed)
        metrics |= {"test_auc_low": low, "test_auc_high": high}
        metrics |= {"fit_seconds": fitted.fit_seconds, "predict_seconds": fitted.predict_seconds}
        params = params_of(self.plan, self.parts) | {"model": fitted.name, "seed": fitted.seed}
        params |= {"threshold": threshold, **{k: v for k, v in fitted.model.params().items() if k not in params}}
        with TemporaryDirectory(prefix="lifestage-run-") as folder:
            run = Run(
                name=fitted.name,
                tags=tags_of(self.plan) | {"lifestage.model": fitted.name, "lifestage.kind": "model"},
                params=params,
                metrics=metrics,
                artifacts=self._artifacts(Path(folder) / "artifacts", fitted, threshold, params),
                saved=self._saved(Path(folder) / "saved", fitted),
                example=self._example,
                history=fitted.model.history,
                parent=self.parent,
            )
            run_id, uri = log_run(run, self.home)
        log.info("%-20s %s  fitted in %.1f s", fitted.name, summary_of(metrics), fitted.fit_seconds)
        return Logged(fitted, run_id, uri, metrics)

    def explain(self, logged: Logged) -> None:
        """Adds to a run why its model says what it says: importance, contributions, customers in words."""
        from ml.home import shop_name
        from ml.reasons.report import write_reasons
        from ml.tracking import log_artifacts

        fitted = logged.fitted
        title = f"{shop_name(self.home)}: {fitted.name}, test cutoff {self.plan.cutoff}"
        with TemporaryDirectory(prefix="lifestage-run-") as folder:
            if write_reasons(Path(folder), title, fitted.model, self.test, fitted.test, self.plan.seed):
                log_artifacts(logged.run_id, Path(folder), "reasons", self.home)

    def _saved(self, folder: Path, fitted: Fitted) -> Path:
        from ml.drift import write_reference
        from ml.saved import About, save_model

        protocol = self.plan.protocol
        about = About(fitted.name, fitted.seed, str(self.plan.cutoff), protocol.horizons, protocol.population)
        folder.mkdir()
        save_model(folder, fitted.model, about, self._lifetime)
        write_reference(folder, self.test.inputs.features)
        return folder

    def _artifacts(self, folder: Path, fitted: Fitted, threshold: float, params: dict[str, object]) -> Path:
        from expectations.version import code_version
        from ml.card import About, write_card
        from ml.feature_page import write_feature_report
        from ml.home import shop_name
        from ml.plots import write_plots

        plots, features = folder / "plots", folder / "features"
        plots.mkdir(parents=True)
        features.mkdir()
        shop, cutoff = shop_name(self.home), self.plan.cutoff
        shown = {fitted.name: fitted.test} | {self.first.name: self.first.test}
        title = f"{shop}: {fitted.name}, test cutoff {cutoff}"
        write_plots(plots, title, self.test, shown, self.plan.protocol.horizons, threshold, fitted.seed)
        rows = len(self.parts.train), len(self.test)
        write_feature_report(features, f"{shop}, test cutoff {cutoff}", self._feature_report, rows)
        digest = self.plan.data_digest
        about = About(fitted.name, shop, fitted.seed, digest, code_version(), threshold, params)
        write_card(folder, about, self.plan.protocol, self.parts, fitted.test)
        return folder

    @cached_property
    def _lifetime(self) -> "Lifetime | None":
        """One for all models: it carries on what each of them foretells."""
        from ml.lifetime import lifetime_of

        window = max(self.plan.protocol.horizons.spend_days, default=None)
        return lifetime_of(self.plan.protocol, window, self.home) if window else None

    @cached_property
    def _feature_report(self) -> "DataFrame":
        """One for all models, since they are given the same."""
        from ml.feature_report import feature_report

        return feature_report(self.parts)

    @cached_property
    def _example(self) -> "DataFrame":
        """Rows as the model is served, numbers as floats since any of them may be missing elsewhere."""
        import pandas as pd

        from ml.cohorts import INPUT_COLUMNS
        from ml.predict import load_frame

        rows = load_frame(self.plan.cutoff, self.home).head(EXAMPLE_ROWS)
        names = [name for name in INPUT_COLUMNS if name not in ("customer_key", "first_purchase_date")]
        dates = {name: pd.to_datetime(rows[name]) for name in ("snapshot_date", "first_purchase_date")}
        return pd.DataFrame({"customer_key": rows["customer_key"]} | dates | {n: rows[n].astype(float) for n in names})


def tags_of(plan: Plan) -> dict[str, str]:
    """What all runs of a training have in common, for search."""
    from expectations.version import code_version

    return {
        "lifestage.cutoff": str(plan.cutoff),
        "lifestage.budget": plan.budget,
        "lifestage.training_digest": plan.digest,
        "lifestage.data_digest": plan.data_digest,
        "lifestage.code_version": code_version(),
    }


def params_of(plan: Plan, parts: Parts) -> dict[str, object]:
    """Cutoffs, horizons, population and data of a training, written beside every number of it."""
    from expectations.version import code_version

    protocol = plan.protocol
    examples = {"train": parts.train, "valid": parts.valid, "test": parts.tests[-1]}
    return {
        "cutoff_test": str(plan.cutoff),
        "cutoff_valid": str(protocol.valid),
        "cutoffs_train": " ".join(map(str, protocol.train)),
        **{f"examples_{part}": len(rows) for part, rows in examples.items()},
        **{name: _shown(value) for name, value in _flat(protocol)},
        "data_digest": plan.data_digest,
        "code_version": code_version(),
        "budget": plan.budget,
    }


def summary_of(metrics: dict[str, float]) -> str:
    shown = {"AUC": "test_auc", "Brier": "test_brier", "ECE": "test_calibration_error", "Gini": "test_normalised_gini"}
    return "test  " + "  ".join(f"{title} {metrics[name]:.4f}" for title, name in shown.items() if name in metrics)


def _flat(protocol: Protocol) -> Iterator[tuple[str, object]]:
    yield from asdict(protocol.horizons).items()
    yield from asdict(protocol.population).items()


def _shown(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


@cache
def _code() -> str:
    """SHA-256 of every file of code here, as it was when first asked for."""
    digest, here = hashlib.sha256(), Path(__file__).parent
    for file in sorted(here.rglob("*.py")):
        digest.update(str(file.relative_to(here)).encode() + file.read_bytes())
    return digest.hexdigest()
