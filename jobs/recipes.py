"""What makes a table's rows, as a digest: a day that was made by another recipe, or before its inputs, is stale."""

import hashlib
from collections.abc import Iterable
from datetime import date
from importlib.util import find_spec
from pathlib import Path

from jobs.lake import LakeTable

Inputs = Iterable[tuple[LakeTable, date]]


def code_of(*names: str) -> str:
    """A digest of the code of modules and packages, by their names. None of them is loaded: that may take seconds."""
    digest = hashlib.sha256()
    for name in names:
        for file in _files(name):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _files(name: str) -> list[Path]:
    spec = find_spec(name)
    folders = spec.submodule_search_locations
    return sorted(Path(folders[0]).glob("*.py")) if folders else [Path(spec.origin)]


def days_of(table: LakeTable, first: date | None, last: date) -> Inputs:
    """Its partitions from ``first`` (None: the first there is) to ``last``."""
    return [(table, day) for day in table.days() if (first is None or day >= first) and day <= last]
