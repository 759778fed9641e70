"""segment_settings: what decided a snapshot's segments, of this part and of every other that decides one."""

from dataclasses import fields
from datetime import date
from importlib import import_module

import pyarrow as pa

from expectations.segments import SEGMENT_SETTINGS
from jobs.home import Home
from jobs.schemas import arrow_schema
from jobs.segments.settings import DayCuts, SegmentSettings, setting_row, settings_rows
from jobs.settings import load_settings

PARTS: dict[str, tuple[str, str]] = {
    "watch": ("jobs.watch_churn", "WatchSettings"),
    "risk": ("jobs.risk.settings", "RiskSettings"),
    "cluster": ("ml.clustering.settings", "ClusterSettings"),
    "tags": ("jobs.profiles.tag_rules", "TagSettings"),
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


def shown_settings(home: Home, settings: SegmentSettings, cuts: DayCuts, day: date) -> pa.Table:
    """Rows of SEGMENT_SETTINGS."""
    rows = [{"snapshot_date": day, **row} for row in (*settings_rows(settings, cuts), *others(home))]
    return pa.Table.from_pylist(rows, arrow_schema(SEGMENT_SETTINGS))
