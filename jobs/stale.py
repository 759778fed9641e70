"""Which of the jobs behind the features have to run again for a day: their code, settings or inputs have changed."""

from datetime import date
from importlib import import_module

from jobs.home import Home

JOBS = (
    *("cluster", "segment", "tag", "portray", "assess_risk", "watch_churn"),
    *("recommend", "choose_actions", "measure_outcomes"),
)
"""In an order in which each finds what it reads."""


def stale_jobs(home: Home, day: date) -> list[str]:
    """Those of JOBS whose tables of ``day`` are missing, or not what today's code, settings and inputs make."""
    return [name for name in JOBS if not import_module(f"jobs.{name}").is_fresh(home, day)]
