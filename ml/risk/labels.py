"""Whom a shop has marked as fraud, and the snapshots in which what they did shows."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from expectations.behaviour import FEATURE_NAMES, FEATURES
from expectations.errors import DataError, SetupError
from ml.home import HomePath, home_folder, partition_days
from ml.partitions import read_rows

FILE = "risk_labels.csv"
"""Its name in the home: customer_key, event_date (of the fraud), known_date (from when on the shop knew)."""
REACH_DAYS = 7
"""A case is learned from the first snapshot up to so many days after it."""
MOST_OTHERS = 20_000
"""Customers without a mark who are drawn from a snapshot to learn from."""
LEAST_CASES = 20


@dataclass(frozen=True)
class Cases:
    """Examples of one snapshot. features: (rows, FEATURE_NAMES); weight: how many customers a row stands for."""

    snapshot: date
    features: np.ndarray
    is_case: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.is_case)


def labels_file(home: HomePath = None) -> Path:
    return home_folder(home) / FILE


def read_labels(path: Path, day: date) -> pa.Table:
    """The cases known on ``day``; SetupError without the file, DataError for one without its columns or types."""
    types = {"customer_key": pa.string(), "event_date": pa.date32(), "known_date": pa.date32()}
    if not path.is_file():
        raise SetupError(f"there is no {path}: a CSV file of {', '.join(types)}, one line a case of fraud")
    try:
        found = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types, include_columns=list(types)))
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise DataError(f"{path}: {error}: it must hold {', '.join(types)}, dates as YYYY-MM-DD") from error
    import pyarrow.compute as pc

    return found.filter(pc.less_equal(found["known_date"], pa.scalar(day)))


def snapshots_of(labels: pa.Table, days: list[date]) -> dict[date, set[str]]:
    """Snapshot → customers whose case shows in it: the first of ``days`` on or up to REACH_DAYS after the event."""
    found: dict[date, set[str]] = {}
    known = np.array(days, dtype="datetime64[D]")
    for key, event in zip(labels["customer_key"].to_pylist(), labels["event_date"].to_pylist(), strict=True):
        place = np.searchsorted(known, np.datetime64(event))
        if place < len(known) and (days[place] - event).days <= REACH_DAYS:
            found.setdefault(days[place], set()).add(key)
    return dict(sorted(found.items()))


def load_cases(
    labels: pa.Table, day: date, home: HomePath = None, most_others: int | None = MOST_OTHERS
) -> list[Cases]:
    """Examples of every snapshot up to ``day`` that shows a case, in order; DataError where too few cases do."""
    days = [known for known in partition_days(FEATURES, home) if known <= day]
    shown = snapshots_of(labels, days)
    if (cases := sum(map(len, shown.values()))) < LEAST_CASES:
        raise DataError(
            f"{cases} of {len(labels)} marked cases have a snapshot of features within {REACH_DAYS} days after them; "
            f"it takes {LEAST_CASES} to learn from: build_features for the days after the others, or mark more"
        )
    marked = set(labels["customer_key"].to_pylist())
    return [_of_snapshot(snapshot, keys, marked, home, most_others) for snapshot, keys in shown.items()]


def _of_snapshot(snapshot: date, cases: set[str], marked: set[str], home: HomePath, most_others: int | None) -> Cases:
    rows = read_rows(FEATURES, [snapshot], ["customer_key", *FEATURE_NAMES], home).sort_by("customer_key")
    keys = rows["customer_key"].to_pylist()
    mine = np.flatnonzero([key in cases for key in keys])
    # Who is marked for another day is neither a case of this one nor beyond doubt.
    others = np.flatnonzero([key not in marked for key in keys])
    drawn = others
    if most_others is not None and len(others) > most_others:
        drawn = np.sort(np.random.default_rng(snapshot.toordinal()).choice(others, most_others, replace=False))
    chosen = np.concatenate([mine, drawn])
    weight = np.r_[np.ones(len(mine)), np.full(len(drawn), len(others) / max(len(drawn), 1))]
    return Cases(snapshot, features_of(rows.take(chosen)), np.arange(len(chosen)) < len(mine), weight)


def features_of(rows: pa.Table) -> np.ndarray:
    """(rows, FEATURE_NAMES) float64, nulls as NaN."""
    import pyarrow.compute as pc

    numbers = (pc.fill_null(pc.cast(rows[name], pa.float64()), np.nan).to_numpy() for name in FEATURE_NAMES)
    return np.column_stack(list(numbers))
