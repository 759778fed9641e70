"""The compare table as a page: choose task, cutoff and stratum, sort by any metric, see intervals as bars.

One self-contained file: no network is needed to read it, and MLflow's artifact view shows it.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent
OUTCOME = "outcome"
DIGITS = 5

METRICS = {
    "auc": ("AUC", "more", "how often a buyer ranks above a non-buyer"),
    "auc_minus_champion": ("AUC − champion", "more", "paired difference; its interval excludes 0 where it is coloured"),
    "average_precision": ("AP", "more", "average precision"),
    "accuracy": ("accuracy", "more", "at the threshold chosen on validation"),
    "recall": ("recall", "more", "at the threshold chosen on validation"),
    "f1": ("F1", "more", "at the threshold chosen on validation"),
    "brier": ("Brier", "less", "mean squared distance of probability and outcome"),
    "calibration_error": ("ECE", "less", "calibration error over ten bins of equal size"),
    "calibration_excess": ("ECE excess", "less", "above that of a perfectly calibrated model of this size"),
    "normalised_gini": ("Gini", "more", "normalised Gini of spend ranked by expected spend"),
    "normalised_gini_minus_champion": ("Gini − champion", "more", "paired difference"),
    "spearman": ("rank ρ", "more", "Spearman's correlation of expected and actual spend"),
    "decile_mape": ("decile MAPE", "less", "mean error of the ten groups by expected spend"),
    "total_bias": ("bias", "zero", "share by which the total of predictions exceeds what happened"),
    "coverage_90": ("90 % cover", "0.9", "share of outcomes within the 90 % interval"),
    "mean_absolute_error": ("MAE", "less", "currency a customer"),
    "top_decile_lift": ("lift", "more", "of the top tenth over the mean"),
    "validation_score": ("validation score", "more", "by which the champion was chosen"),
    "fit_seconds": ("fit s", "less", "seconds to fit, with search and calibration"),
    "predict_seconds": ("predict s", "less", "seconds to predict all tests"),
}
"""Metric → its heading, which way is better, what it is; in the order of the columns."""


def write_compare_page(path: Path, rows: Iterable, title: str = "Models compared", champion: str = "") -> None:
    """Writes the page of ``rows``: objects or mappings with the fields of ml.comparing.rows.Row.

    Paired differences to others than the champion are left to the table's own file.
    """
    told = [asdict(row) if is_dataclass(row) else dict(row) for row in rows]
    data = {"champion": champion, "metrics": METRICS, "tables": tables(told), "outcomes": outcomes(told)}
    path.write_text(page(title, _embedded(data)), encoding="utf-8")


def page(title: str, data: str) -> str:
    """``data``: JSON that is safe inside a script."""
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("compare.css", "compare.js"))
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{style}</style></head><body><h1>{escape(title)}</h1>"
        "<noscript>This page needs JavaScript; compare.md and compare.csv beside it hold the same numbers.</noscript>"
        "<div id='choice'></div><p id='about'></p><div id='table'></div><p id='notes'></p>"
        f"<script type='application/json' id='data'>{data}</script><script>{script}</script></body></html>\n"
    )


def tables(rows: list[dict]) -> dict[str, dict]:
    """task → cutoff → stratum → model → metric → [value, low, high], rounded."""
    found: dict[str, dict] = {}
    for row in rows:
        if row["metric"] in METRICS and row["model"] != OUTCOME:
            place = found.setdefault(row["task"], {}).setdefault(row["cutoff"], {}).setdefault(row["stratum"], {})
            triple = [_rounded(row.get(end)) for end in ("value", "low", "high")]
            place.setdefault(row["model"], {})[row["metric"]] = triple if triple[1] is not None else triple[:1]
    return found


def outcomes(rows: list[dict]) -> dict[str, dict]:
    """What happened: "task|cutoff|stratum" → {customers, mean}."""
    found: dict[str, dict] = {}
    for row in rows:
        if row["model"] == OUTCOME:
            key = "|".join((row["task"], row["cutoff"], row["stratum"]))
            found.setdefault(key, {})[row["metric"]] = _rounded(row["value"])
    return found


def _rounded(value: float | None) -> float | None:
    return round(float(value), DIGITS) if value is not None and math.isfinite(value) else None


def _embedded(data: object) -> str:
    """JSON that cannot end the script it stands in."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
