"""Old results of the gates; what stays is shown by Data Docs, which are built anew."""

import logging
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from jobs.home import Home
from jobs.maintenance.gone import Gone, MaintainSettings, newest_until

log = logging.getLogger(__name__)


def find(home: Home, day: date, settings: MaintainSettings) -> Iterator[Gone]:
    """Results whose last day is older than ``results_days``, counted from ``day`` or the newest day with a result."""
    files = sorted(home.validations.glob("*/*.json")) if settings.results_days else []
    bound = (newest_until(day, map(last_day, files)) or day) - timedelta(days=settings.results_days)
    for file in files:
        if last_day(file) < bound:
            yield Gone(f"results of {file.parent.name}", file.stem, file.stat().st_size, partial(file.unlink, True))


def last_day(file: Path) -> date:
    """The day of a result, or the last one of a range: ``D``, ``D_E`` and ``D-warehouse`` are its names."""
    return date.fromisoformat(file.stem.removesuffix("-warehouse").split("_")[-1])


def afterwards(home: Home, day: date) -> None:
    """Data Docs from what is kept."""
    from jobs.checks.data_docs import build_data_docs

    if any(home.validations.glob("*/*.json")):
        log.info("Data Docs: %s", build_data_docs(home))
