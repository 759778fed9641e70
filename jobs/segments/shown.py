"""segment_settings: what decided a snapshot's segments, of this part and of every other that decides one."""

import json
from dataclasses import fields
from datetime import date
from importlib import import_module

import pyarrow as pa

from expectations.segments import SCORES, SEGMENT_SETTINGS
from jobs.home import Home
from jobs.lake import RECIPE_FILE, LakeTable
from jobs.schemas import arrow_schema
from jobs.segments.settings import DayCuts, SegmentSettings, setting_row, settings_rows
from jobs.settings import load_settings

PARTS: dict[str, tuple[str, str]] = {
    "watch": ("jobs.watch_churn", "WatchSettings"),
    "risk": ("jobs.risk.settings", "RiskSettings"),
    "cluster": ("ml.clustering.settings", "ClusterSettings"),
    "tags": ("jobs.profiles.tag_rules", "TagSettings"),
    "recommendations": ("jobs.recommend", "RecommendationSettings"),
}
"""Section of settings.yaml → its module, which holds DESCRIPTIONS (name → unit, meaning), and dataclass."""


def others(home: Home) -> list[dict]:
    """Rows of the other parts' settings, each name after its section and a dot."""
    return [row for section in PARTS for row in _rows(home, section)]


def _rows(home: Home, section: str) -> list[dict]:
    module = import_module(PARTS[section][0])
    settings = load_settings(home, section, getattr(module, PARTS[section][1]))
    told = [f.name for f in fields(settings) if f.name in module.DESCRIPTIONS]
    return [setting_row(f"{section}.{name}", getattr(settings, name), *module.DESCRIPTIONS[name]) for name in told]


def calibrated_on(home: Home, day: date) -> list[dict]:
    """The row of what calibrated the day's scores: it changes under one model version. None where nothing says it."""
    told = LakeTable(home, SCORES).folder(day) / RECIPE_FILE
    if not told.is_file() or not told.read_text().startswith("{"):
        return []
    cutoff = json.loads(told.read_text())["calibrated_on"]
    meaning = "the snapshot whose outcomes the day's probabilities were calibrated on; as trained: on none since"
    return [setting_row("score.calibrated_on", cutoff or "as trained", "word", meaning) | {"origin": "computed"}]


def shown_settings(home: Home, settings: SegmentSettings, cuts: DayCuts, day: date) -> pa.Table:
    """Rows of SEGMENT_SETTINGS."""
    told = (*settings_rows(settings, cuts), *others(home), *calibrated_on(home, day))
    rows = [{"snapshot_date": day, **row} for row in told]
    return pa.Table.from_pylist(rows, arrow_schema(SEGMENT_SETTINGS))
