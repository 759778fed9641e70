"""Bots: visits faster or longer than a person's. Purchases do not count: a till prints a basket in one moment."""

import numpy as np
import pandas as pd

from jobs.risk.listing import Found, count
from jobs.risk.settings import RiskSettings, beyond


def find_robots(visits: pd.DataFrame, settings: RiskSettings) -> Found:
    """``visits``: see jobs.risk.reading.visits. Events a minute as if the visit had lasted a second at least."""
    rows = visits.assign(speed=60 * visits["events"] / np.maximum(visits["seconds"], 1))
    rows["by_speed"] = beyond(rows["speed"], settings.bot_events_per_minute)
    rows["by_length"] = beyond(rows["events"], settings.bot_visit_events)
    rows["score"] = rows[["by_speed", "by_length"]].max(axis=1)
    return Found("bot", rows, _words)


def _words(row: object) -> list[str]:
    events = count(row.events, "event")
    length = f"{events} in a visit of {count(max(round(row.seconds / 60), 1), 'minute')}"
    speed = f"{row.speed:,.0f} events a minute" if row.seconds else f"{events} in the same second"
    told = [length, speed] if row.by_length >= row.by_speed else [speed, length]
    return [*told, *([f"nothing bought after {count(row.views, 'view')}"] if not row.purchases else [])]
