"""One thing that may go, and how long things are kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from expectations.errors import SetupError


@dataclass(frozen=True)
class Gone:
    """``kind``: what it is one of, for the summary; ``name``: which one; ``size`` in bytes; ``remove`` removes it."""

    kind: str
    name: str
    size: int
    remove: Callable[[], None]


@dataclass(frozen=True)
class MaintainSettings:
    """Days for which things are kept, 0: for good. Section ``maintain``.

    results_days  results of gates, from which Data Docs are built
    runs_days     files of MLflow runs that no registered version comes from; their metrics stay
    logs_days     logs of tasks, and what Airflow remembers of its runs
    staging_days  rows that an audit refused, kept to be looked at
    """

    results_days: int = 400
    runs_days: int = 180
    logs_days: int = 90
    staging_days: int = 14

    def __post_init__(self) -> None:
        if 0 < self.runs_days < 30 or 0 < self.logs_days < 7:
            raise SetupError("maintain: runs_days must be 30 or more, logs_days 7 or more, or 0 (keep all)")


def newest_until(day: date, days: Iterable[date]) -> date | None:
    """The newest of ``days`` that is not after ``day``: where a shop's time stands, as far as they tell."""
    return max((one for one in days if one <= day), default=None)


def bytes_of(files: Iterable[Path]) -> int:
    """Bytes of the files, and of those below the folders, among ``files``."""
    parts = [path for each in files for path in ([each] if each.is_file() else each.rglob("*"))]
    return sum(path.stat().st_size for path in parts if path.is_file())


def shown(size: int) -> str:
    """A size as people read it."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
