"""What a model learns from: features as of a cutoff, labels from the window after it, splits by time.

A cutoff is the end of its day. Features are read as the jobs wrote them; labels lie in (cutoff, cutoff + HORIZON_DAYS]
and exist only once that window has matured.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.behaviour import CUSTOMER_DAY, FEATURE_NAMES, FEATURES
from expectations.contract import Table
from expectations.errors import DataError
from ml.home import HomePath, partition_days, partition_folder
from ml.ready import first_day, require_examples, require_matured, require_snapshots

HORIZON_DAYS = 30
"""How far ahead the models look, in days."""


@dataclass(frozen=True)
class Settings:
    """What counts as an example.

    min_history_days   days of the shop's history that must lie before a training cutoff
    max_cutoffs        cutoffs in all: one to test, one to validate, the rest to train; older behaviour says less
    min_purchase_days  days with a purchase a customer needs by the cutoff: who never bought shows no rhythm
    """

    min_history_days: int = 60
    max_cutoffs: int = 6
    min_purchase_days: int = 1


@dataclass(frozen=True)
class Examples:
    """Rows of one split, ordered by cutoff, then customer.

    features  float64, one column a name of FEATURE_NAMES, NaN where the feature is null
    is_buyer  1.0 if the customer bought in the window, else 0.0
    spend     money paid in the window, in the shop's currency
    """

    customer_keys: np.ndarray
    features: np.ndarray
    is_buyer: np.ndarray
    spend: np.ndarray

    def __len__(self) -> int:
        return len(self.customer_keys)

    def update(self, digest: "hashlib._Hash") -> None:
        """Adds every key, feature and label to ``digest``."""
        digest.update("\n".join(self.customer_keys).encode())
        for values in (self.features, self.is_buyer, self.spend):
            digest.update(np.ascontiguousarray(values).tobytes())


@dataclass(frozen=True)
class Splits:
    """Examples by time: every label window of one part ends before the next part's begins."""

    cutoffs: tuple[date, ...]
    train: Examples
    valid: Examples
    test: Examples

    @property
    def digest(self) -> str:
        """SHA-256 of everything a model is given here: equal digests, equal data."""
        digest = hashlib.sha256(" ".join(FEATURE_NAMES).encode())
        for part in (self.train, self.valid, self.test):
            part.update(digest)
        return digest.hexdigest()


def training_cutoffs(cutoff: date, first_day: date, settings: Settings = Settings()) -> list[date]:
    """Cutoffs, latest first: test (``cutoff``), validation, then training ones, HORIZON_DAYS apart.

    Apart by the horizon, so that the label window of each ends where the next one's begins. A cutoff is taken if at
    least ``min_history_days`` lie between ``first_day`` and it. DataError if fewer than three can be had.
    """
    days = [cutoff - timedelta(days=HORIZON_DAYS * n) for n in range(settings.max_cutoffs)]
    days = [day for day in days if (day - first_day).days >= settings.min_history_days]
    if len(days) < 3:
        needed = settings.min_history_days + 2 * HORIZON_DAYS
        raise DataError(
            f"cutoff {cutoff} lies {(cutoff - first_day).days} days after the first day of data ({first_day}); "
            f"training needs {needed}: {settings.min_history_days} of history, a window to train and one to validate. "
            f"Choose a cutoff on or after {first_day + timedelta(days=needed)}"
        )
    return days


def load_frame(cutoff: date, home: HomePath = None) -> pd.DataFrame:
    """Features of every customer as of ``cutoff``, one row each, ordered by customer_key; columns of the contract."""
    if cutoff not in partition_days(FEATURES, home):
        folder = partition_folder(FEATURES, cutoff, home)
        raise DataError(f"{folder} is missing: run `python -m jobs build_features --ds {cutoff}` first")
    table = _read(FEATURES, [cutoff], FEATURES.column_names, home)
    return table.sort_by("customer_key").to_pandas()


def labels(cutoff: date, home: HomePath = None) -> pd.DataFrame:
    """is_buyer_30d and spend_30d of every customer active after ``cutoff``, ordered by customer_key; others: 0.

    Counts event dates in (cutoff, cutoff + HORIZON_DAYS] that had arrived by the window's end, so that labels of a
    cutoff never change later. Nothing arrives before it happens, so deliveries up to the cutoff hold none of them.
    """
    days = label_days(cutoff)
    require_matured(cutoff, days, home)
    rows = _read(CUSTOMER_DAY, days, ["customer_key", "event_date", "purchase_count", "purchase_amount"], home)
    inside = pc.and_(pc.greater(rows["event_date"], pa.scalar(cutoff)), pc.less_equal(rows["event_date"], days[-1]))
    sums = (
        rows.filter(inside).group_by("customer_key").aggregate([("purchase_count", "sum"), ("purchase_amount", "sum")])
    )
    sums = sums.sort_by("customer_key").to_pandas()
    return pd.DataFrame(
        {
            "customer_key": sums["customer_key"],
            "is_buyer_30d": sums["purchase_count_sum"] > 0,
            "spend_30d": sums["purchase_amount_sum"].astype("float64"),
        }
    )


def label_days(cutoff: date) -> list[date]:
    """The days of the label window of ``cutoff``."""
    return [cutoff + timedelta(days=n) for n in range(1, HORIZON_DAYS + 1)]


def feature_matrix(frame: pd.DataFrame, names: tuple[str, ...] = FEATURE_NAMES) -> np.ndarray:
    """The named columns as float64, nulls as NaN."""
    return frame[list(names)].to_numpy(dtype=np.float64, na_value=np.nan)


def examples(cutoffs: list[date], home: HomePath = None, settings: Settings = Settings()) -> Examples:
    """Eligible customers of every cutoff with their labels."""
    parts = []
    for cutoff in sorted(cutoffs):
        frame = load_frame(cutoff, home)
        frame = frame[frame["frequency_days"] >= settings.min_purchase_days]
        frame = frame.merge(labels(cutoff, home), on="customer_key", how="left", sort=False)
        parts.append(frame)
    rows = pd.concat(parts, ignore_index=True)
    return Examples(
        customer_keys=rows["customer_key"].to_numpy(dtype=object),
        features=feature_matrix(rows),
        is_buyer=rows["is_buyer_30d"].fillna(False).to_numpy(dtype=np.float64),
        spend=rows["spend_30d"].fillna(0.0).to_numpy(dtype=np.float64),
    )


def load_splits(cutoff: date, home: HomePath = None, settings: Settings = Settings()) -> Splits:
    """Test examples as of ``cutoff``, validation and training examples before it; DataError that says what lacks."""
    cutoffs = training_cutoffs(cutoff, first_day(home), settings)
    # Before the snapshots: of a cutoff that is too late there is no use in building any.
    require_matured(cutoff, label_days(cutoff), home)
    require_snapshots(cutoffs, home)
    test, valid, *train = cutoffs
    splits = Splits(
        cutoffs=tuple(cutoffs),
        train=examples(train, home, settings),
        valid=examples([valid], home, settings),
        test=examples([test], home, settings),
    )
    for name in ("train", "valid", "test"):
        require_examples(name, getattr(splits, name), HORIZON_DAYS)
    return splits


def _read(table: Table, days: list[date], columns: list[str], home: HomePath) -> pa.Table:
    """The columns of the partitions of ``days``; DataError that names the file and the columns it lacks."""
    parts = []
    for day in days:
        for file in sorted(partition_folder(table, day, home).glob("*.parquet")):
            lacking = set(columns) - set(pq.read_schema(file).names)
            if lacking:
                raise DataError(
                    f"{file} lacks columns {', '.join(sorted(lacking))}: rebuild it with the job that writes it"
                )
            parts.append(pq.read_table(file, columns=columns, partitioning=None))
    return pa.concat_tables(parts, promote_options="permissive")
