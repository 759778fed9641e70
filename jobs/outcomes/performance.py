"""What was predicted against what then happened, for windows that end on a day."""

import logging
from datetime import date, timedelta

import pyarrow as pa

from expectations.errors import DataError
from expectations.outcomes import MODEL_PERFORMANCE
from expectations.segments import PROBABILITY_DAYS, SCORES, SPEND_DAYS
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema

log = logging.getLogger(__name__)


def performance(home: Home, day: date) -> pa.Table:
    """Rows of the model_performance contract: one for each window that ends on ``day`` and whose start was scored."""
    scores = LakeTable(home, SCORES)
    rows = [
        row
        for days in PROBABILITY_DAYS
        if scores.has(day - timedelta(days=days)) and (row := _told(scores, day, days)) is not None
    ]
    return pa.Table.from_pylist(rows, arrow_schema(MODEL_PERFORMANCE))


def _told(scores: LakeTable, day: date, days: int) -> dict | None:
    """``_window``; a window whose days are not all in the lake is left out, and said so."""
    try:
        return _window(scores, day, days)
    except DataError as error:
        log.warning("what was foretold for %d days up to %s cannot be judged: %s", days, day, error)
        return None


def _window(scores: LakeTable, day: date, days: int) -> dict | None:
    """None where nobody was eligible, the model did not look so far, or it had learned from later days."""
    from ml.realised import came_true
    from ml.scoring_rules import auc, brier, calibration_error

    scored_on = day - timedelta(days=days)
    chance_name = f"purchase_probability_{days}d"
    spend_name = f"expected_spend_{days}d" if days in SPEND_DAYS else None
    names = ["customer_key", "is_eligible", "model_name", "model_version", "model_cutoff_date", chance_name]
    rows = scores.read_arrow([scored_on], names + [spend_name] * bool(spend_name)).to_pandas()
    rows = rows[rows["is_eligible"] & rows[chance_name].notna()]
    if rows.empty:
        return None
    if (cutoff := rows["model_cutoff_date"].iloc[0]) > scored_on:
        log.info("%s was scored by a model that learned from days up to %s: no forecast, left out", scored_on, cutoff)
        return None
    bought, paid = came_true(scored_on, days, rows["customer_key"], scores.home.path)
    chance = rows[chance_name].to_numpy()
    label = bought.astype(float)
    is_ranked = 0 < bought.sum() < len(bought)
    return {
        "snapshot_date": day,
        "horizon_days": days,
        "scored_on": scored_on,
        "model_name": rows["model_name"].iloc[0],
        "model_version": int(rows["model_version"].iloc[0]),
        "customers": len(rows),
        "predicted_buyers": chance.sum(),
        "actual_buyers": int(bought.sum()),
        "auc": auc(label, chance) if is_ranked else None,
        "brier_score": brier(label, chance),
        "calibration_error": calibration_error(label, chance),
        "predicted_spend": rows[spend_name].sum() if spend_name else None,
        "actual_spend": paid.sum() if spend_name else None,
    }
