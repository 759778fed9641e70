"""Prints the champion's metrics beside those of the models it was chosen from; or the latest training of a cutoff."""

import argparse
import json
import math
from datetime import date

from expectations.commands import command_parser
from expectations.errors import DataError
from ml.home import HomePath

# Metric of a model's run, of which its training's run has a copy of the best → heading.
SHOWN = {
    "test_auc": "AUC",
    "test_auc_low": "from",
    "test_auc_high": "to",
    "test_average_precision": "AP",
    "test_brier": "Brier",
    "test_calibration_error": "ECE",
    "test_normalised_gini": "Gini",
    "test_spend_mae": "spend MAE",
    "test_total_bias": "total bias",
}


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "metrics", __doc__)
    parser.add_argument("--cutoff", type=date.fromisoformat, metavar="D", help="default: the champion's")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, every metric")
    return parser


def main(args: argparse.Namespace) -> None:
    if not args.json:
        print(table(args.home, args.cutoff))
        return
    cutoff, models = model_metrics(args.home, args.cutoff)
    for name, values in models.items():
        # JSON knows no NaN: a metric without meaning on this data is null.
        clean = {key: value if math.isfinite(value) else None for key, value in sorted(values.items())}
        print(json.dumps({"cutoff": cutoff, "model": name, **clean}))


def model_metrics(home: HomePath = None, cutoff: date | None = None) -> tuple[str, dict[str, dict[str, float]]]:
    """(cutoff, model → metrics), the one that was registered first: the champion's training, or the latest one."""
    from ml.plan import KIND
    from ml.tracking import runs_of, tags_of_run

    if cutoff is None:
        parent = _training_of_champion(home)
    else:
        found = runs_of({"lifestage.cutoff": str(cutoff), "lifestage.kind": KIND}, home)
        if not found:
            raise DataError(f"nothing was trained as of {cutoff}: run `python -m ml train --cutoff {cutoff}` first")
        parent = list(found.values())[-1].info.run_id
    tags = tags_of_run(parent, home)
    runs = runs_of({"mlflow.parentRunId": parent}, home)
    best = tags["lifestage.best_model"]
    ordered = sorted(runs, key=lambda name: (name != best, -runs[name].data.metrics.get("test_auc", 0.0), name))
    return tags["lifestage.cutoff"], {name: runs[name].data.metrics for name in ordered}


def _training_of_champion(home: HomePath) -> str:
    """The run of the training that the champion came from."""
    from ml.registry import MODEL_NAME, required_champion, run_of_version
    from ml.saved import TRAIN_AGAIN
    from ml.tracking import tags_of_run

    version = required_champion(home)
    parent = tags_of_run(run_of_version(MODEL_NAME, version, home), home).get("mlflow.parentRunId")
    if parent is None:
        raise DataError(f"{MODEL_NAME}/{version} was trained by an earlier version of this code: {TRAIN_AGAIN}")
    return parent


def table(home: HomePath = None, cutoff: date | None = None) -> str:
    """The metrics as an aligned table with its cutoff above and what the columns mean below."""
    day, models = model_metrics(home, cutoff)
    rows = [["model", *SHOWN.values()]]
    rows += [[name, *(_number(values.get(metric, math.nan)) for metric in SHOWN)] for name, values in models.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    notes = (
        "the first was the best on validation · from, to, […]: 95 % interval of AUC · ECE: calibration error · "
        "Gini, MAE, bias: of expected spend"
    )
    return "\n".join([f"test cutoff {day}", *lines, notes, *verdicts(models)])


def verdicts(models: dict[str, dict[str, float]]) -> list[str]:
    """One line a rival: whether the test AUC of the first of ``models`` is shown to be another than its own."""
    if not models:
        return []
    (best, ours), lines = next(iter(models.items())), []
    for rival in models:
        name = f"test_auc_gain_over_{rival}"
        gain, low, high = (ours.get(f"{name}{end}", math.nan) for end in ("", "_low", "_high"))
        if math.isfinite(gain):
            verdict = _verdict(best, low, high)
            lines.append(f"{best} − {rival}: AUC {_signed(gain)} [{_signed(low)}, {_signed(high)}]: {verdict}")
    return lines


def _verdict(best: str, low: float, high: float) -> str:
    if low > 0:
        return f"{best} is better"
    return f"{best} is worse" if high < 0 else "no difference shown"


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.2f}"
