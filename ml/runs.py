"""Each fitted model of a training as an MLflow run: measured, drawn, told, saved."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ml.cohorts import Parts
from ml.home import HomePath
from ml.plan import Plan, params_of, tags_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from ml.calibrate import Calibrated
    from ml.forecast import Forecast
    from ml.lifetime import Lifetime

log = logging.getLogger(__name__)

EXAMPLE_ROWS = 4


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
    run_name: str
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
        from ml.comparing.choice import validation_score
        from ml.judging import auc_interval, measure, threshold_of
        from ml.model_run import Run, log_run

        self.first = self.first or fitted
        name = fitted.name if fitted.seed == self.plan.seed else f"{fitted.name}_seed_{fitted.seed}"
        threshold = threshold_of(self.parts.valid, fitted.valid)
        judged = {"valid": (self.parts.valid, fitted.valid), "test": (self.test, fitted.test)}
        metrics = {
            f"{part}_{name}": value
            for part, pair in judged.items()
            for name, value in measure(*pair, threshold).items()
        }
        low, high = auc_interval(self.test, fitted.test, self.plan.seed)
        metrics |= {"test_auc_low": low, "test_auc_high": high}
        metrics["validation_score"] = validation_score(fitted.valid, self.parts.valid)
        metrics |= {"fit_seconds": fitted.fit_seconds, "predict_seconds": fitted.predict_seconds}
        params = params_of(self.plan, self.parts) | {"model": fitted.name, "seed": fitted.seed}
        params |= {"threshold": threshold, **{k: v for k, v in fitted.model.params().items() if k not in params}}
        with TemporaryDirectory(prefix="lifestage-run-") as folder:
            artifacts = self._artifacts(Path(folder) / "artifacts", fitted, threshold, params)
            run = Run(
                name=name,
                tags=self._tags(fitted, artifacts),
                params=params,
                metrics=metrics,
                artifacts=artifacts,
                saved=self._saved(Path(folder) / "saved", fitted),
                example=self._example,
                history=fitted.model.history,
                parent=self.parent,
            )
            run_id, uri = log_run(run, self.home)
        log.info("%-20s %s  fitted in %.1f s", name, summary_of(metrics), fitted.fit_seconds)
        return Logged(fitted, name, run_id, uri, metrics)

    def _tags(self, fitted: Fitted, artifacts: Path) -> dict[str, str]:
        """For search; and the card's numbers, which a run opens with in the UI."""
        from ml.card import description

        told = description((artifacts / "model_card.md").read_text(encoding="utf-8"))
        own = {"lifestage.model": fitted.name, "lifestage.kind": "model", "mlflow.note.content": told}
        return tags_of(self.plan) | own

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
        write_card(folder, about, self.plan.protocol, self.parts, fitted.test, self._lifetime)
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


def summary_of(metrics: dict[str, float]) -> str:
    shown = {"AUC": "test_auc", "Brier": "test_brier", "ECE": "test_calibration_error", "Gini": "test_normalised_gini"}
    return "test  " + "  ".join(f"{title} {metrics[name]:.4f}" for title, name in shown.items() if name in metrics)
