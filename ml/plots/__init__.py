"""Pictures of one model on one test cutoff, each a PNG below 100 kB; the model beside what it is compared with."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ml.examples import Examples
from ml.forecast import Forecast
from ml.horizons import Horizons

LEAST_FOR_MAP = 20
"""Customers below which there is nothing to project."""


def write_plots(
    folder: Path,
    title: str,
    examples: Examples,
    forecasts: dict[str, Forecast],
    horizons: Horizons,
    threshold: float | None = None,
    seed: int = 0,
) -> list[str]:
    """Writes the pictures into ``folder``, which must exist; their file names.

    title      shop (marked where simulated), model and cutoff; stands above every picture
    forecasts  name → forecast of ``examples``; the run's model first, what it is compared with behind
    threshold  probability of a purchase within churn_days from which a customer counts as a buyer, as chosen on
               validation; None: no confusion matrix

    A picture that needs what is not there (buyers and non-buyers, an embedding, spend windows) is left out. DataError
    where no window of churn_days has matured.
    """
    draw = _Draw(folder, title, examples, forecasts, horizons, seed)
    draw.purchase(threshold)
    draw.timing()
    draw.spend()
    draw.embedding()
    return draw.files


class _Draw:
    def __init__(
        self,
        folder: Path,
        title: str,
        examples: Examples,
        forecasts: dict[str, Forecast],
        horizons: Horizons,
        seed: int,
    ) -> None:
        self.folder, self.title, self.examples, self.forecasts = folder, title, examples, forecasts
        self.horizons, self.seed = horizons, seed
        self.model = next(iter(forecasts.values()))
        self.files: list[str] = []

    def _write(self, name: str, *panels: Callable, **size: float) -> None:
        from ml.plots.style import new_figure, save

        figure, axes = new_figure(len(panels), **size)
        for one, panel in zip(axes, panels, strict=True):
            panel(one)
        save(figure, self.folder / f"{name}.png", self.title)
        self.files.append(f"{name}.png")

    def purchase(self, threshold: float | None) -> None:
        from ml.plots import purchase
        from ml.plots.style import matured

        days = self.horizons.churn_days
        known = matured(self.examples.is_buyer(days), f"window of {days} days")
        is_buyer = self.examples.is_buyer(days)[known]
        said = {name: forecast.probability(days)[known] for name, forecast in self.forecasts.items()}
        model = next(iter(said.values()))
        self._write(
            "calibration",
            lambda axes: purchase.calibration(axes, is_buyer, said, days, self.seed),
            lambda axes: purchase.spread(axes, is_buyer, model, days),
        )
        if threshold is not None:
            self._write("confusion_matrix", lambda axes: purchase.confusion(axes, is_buyer, model, threshold, days))
        if 0 < is_buyer.sum() < len(is_buyer):
            self._write("roc", lambda axes: purchase.roc(axes, is_buyer, said, days))
            self._write("precision_recall", lambda axes: purchase.precision_recall(axes, is_buyer, said, days))
            self._write(
                "lift_and_gain",
                lambda axes: purchase.lift(axes, is_buyer, said, days),
                lambda axes: purchase.gain(axes, is_buyer, said, days),
            )

    def timing(self) -> None:
        from ml.plots.timing import hazard_curve

        self._write("hazard_curve", lambda axes: hazard_curve(axes, self.examples, self.model))

    def spend(self) -> None:
        """One picture of each kind, a panel for each window that has matured and in which money was spent."""
        from ml.plots import spend

        panels: dict[str, list[Callable]] = {"spend_by_decile": [], "spend_residuals": [], "spend_intervals": []}
        for days in self.horizons.spend_days:
            known = np.flatnonzero(~np.isnan(self.examples.spend_within(days)))
            paid = self.examples.spend_within(days)[known]
            if not len(known) or paid.sum() <= 0:
                continue
            expected = {name: forecast.expected_spend(days)[known] for name, forecast in self.forecasts.items()}
            levels = _levels(self.model.rows(known), days, paid, self.seed)
            panels["spend_by_decile"].append(
                lambda axes, p=paid, e=expected, d=days: spend.deciles(axes, p, e, d, self.seed)
            )
            model = next(iter(expected.values()))
            panels["spend_residuals"].append(lambda axes, p=paid, e=model, d=days: spend.residuals(axes, p, e, d))
            panels["spend_intervals"].append(lambda axes, v=levels, d=days: spend.coverage(axes, v, d))
        for name, drawn in panels.items():
            if drawn:
                self._write(name, *drawn)

    def embedding(self) -> None:
        from ml.plots import embedding
        from ml.plots.style import new_figure, save

        if self.model.embedding is None or len(self.model) < LEAST_FOR_MAP:
            return
        rows = embedding.chosen_rows(len(self.model))
        days, model = self.horizons.churn_days, self.model.rows(rows)
        shown = {f"probability of a purchase\nwithin {days} days": model.probability(days)}
        if window := self.horizons.shown_spend_days:
            meaning = f"expected spend over {window} days\n(log10 of 1 + shop's currency)"
            shown[meaning] = np.log10(1 + model.expected_spend(window))
        figure, axes = new_figure(1 + len(shown), width=4.3 * (1 + len(shown)))
        place = embedding.project(model.embedding, self.seed)
        embedding.embedding_map(figure, axes, place, embedding.stages(self.examples.rows(rows)), shown)
        save(
            figure, self.folder / "embedding_map.png", f"{self.title}: {len(rows):,} customers by the model's embedding"
        )
        self.files.append("embedding_map.png")


def _levels(model: Forecast, days: int, spend: np.ndarray, seed: int) -> np.ndarray:
    """(rows,): randomised probability integral transform of ``spend``; nothing is spread over the zero part."""
    below = model.spend_probability_below(days, spend)
    return np.where(spend > 0, below, below * np.random.default_rng(seed).random(len(spend)))
