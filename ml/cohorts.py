"""lake/features and lake/customer_day → examples: the eligible customers of each cutoff and what became of them."""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from expectations.behaviour import CUSTOMER_DAY, FEATURE_NAMES, FEATURES
from expectations.errors import DataError
from ml.examples import LIFE_NAMES, Examples, Inputs
from ml.home import HomePath, partition_days, partition_folder
from ml.horizons import Horizons
from ml.partitions import read_rows
from ml.protocols import Population, Protocol
from ml.ready import known_days, missing_features

EVERYBODY = Population(min_purchase_days=0)


@dataclass(frozen=True)
class Parts:
    """Examples by time. ``tests``: one a test cutoff."""

    train: Examples
    valid: Examples
    tests: tuple[Examples, ...]


def load_parts(protocol: Protocol, home: HomePath = None) -> Parts:
    """What ``protocol`` trains, validates and tests on; DataError that says which days or snapshots are missing."""
    days = known_days(home)
    if missing := missing_features(protocol.cutoffs, home):
        raise DataError(
            f"{partition_folder(FEATURES, protocol.tests[-1], home).parent} lacks snapshots; "
            f"run `python -m jobs build_features --ds {' '.join(map(str, missing))}` first"
        )
    purchases = read_purchases(protocol.cutoffs[0], days[-1], home)

    def part(cutoffs: tuple[date, ...], known_until: date) -> Examples:
        return load_examples(cutoffs, known_until, protocol.horizons, protocol.population, purchases, home)

    train = part(protocol.train, days[-1] if protocol.by_customer else protocol.valid)
    valid = part((protocol.valid,), days[-1] if protocol.by_customer else protocol.tests[0])
    return Parts(train, valid, tuple(part((test,), days[-1]) for test in protocol.tests))


def load_examples(
    cutoffs: tuple[date, ...],
    known_until: date,
    horizons: Horizons,
    population: Population,
    purchases: pd.DataFrame,
    home: HomePath = None,
) -> Examples:
    """Eligible customers of every cutoff; their labels as known at the end of ``known_until``."""
    parts = [
        label(load_inputs(cutoff, home, population), cutoff, known_until, horizons, purchases)
        for cutoff in sorted(cutoffs)
    ]
    return parts[0] if len(parts) == 1 else _joined(parts)


INPUT_COLUMNS = (
    *("customer_key", "first_purchase_date"),
    *dict.fromkeys((*FEATURE_NAMES, *LIFE_NAMES[:2], "tenure_days", "monetary_value")),
)
"""What models read of a row of features."""


def load_inputs(cutoff: date, home: HomePath = None, population: Population = EVERYBODY) -> Inputs:
    """Features of the eligible customers as of ``cutoff``, ordered by customer_key."""
    rows = read_rows(FEATURES, [cutoff], list(INPUT_COLUMNS), home).sort_by("customer_key")
    return inputs_of(rows.filter(is_eligible(rows, population)), cutoff, home)


def is_eligible(rows: pa.Table, population: Population) -> pa.ChunkedArray:
    """(rows,) bool: which of these customers are of the population."""
    eligible = pc.greater_equal(rows["frequency_days"], population.min_purchase_days)
    if population.max_silent_days is not None:
        recent = pc.less_equal(rows["recency_days"], population.max_silent_days)
        eligible = pc.and_(eligible, pc.fill_null(recent, False))
    return eligible


def inputs_of(rows: pa.Table, cutoff: date, home: HomePath = None) -> Inputs:
    """What models read of ``rows``, which hold INPUT_COLUMNS as of ``cutoff``, in their order."""
    first = _numbers(pc.cast(pc.cast(rows["first_purchase_date"], pa.date32()).cast(pa.int32()), pa.float64()))
    ages = {"first_purchase_age_days": (cutoff - date(1970, 1, 1)).days - first}
    return Inputs(
        home=home,
        customer_keys=rows["customer_key"].to_numpy(),
        cutoffs=np.full(len(rows), np.datetime64(cutoff)),
        features=np.column_stack([_numbers(rows[name]) for name in FEATURE_NAMES]),
        life={name: ages[name] if name in ages else _numbers(rows[name]) for name in LIFE_NAMES},
    )


def label(inputs: Inputs, cutoff: date, known_until: date, horizons: Horizons, purchases: pd.DataFrame) -> Examples:
    """``inputs`` of one cutoff with labels from ``purchases`` (customer_key, event_date, arrival_date, amount).

    An event counts by its date if it had arrived by the end of the window it is counted in; a purchase that came to
    be known only in a later interval of the hazard is that one's, so that no label changes once its window is over.
    """
    observed = min((known_until - cutoff).days, horizons.longest)
    day = (purchases["event_date"] - np.datetime64(cutoff)).dt.days
    arrived = (purchases["arrival_date"] - np.datetime64(cutoff)).dt.days
    place = pd.Index(inputs.customer_keys).get_indexer(purchases["customer_key"])
    mine = place >= 0

    def within(days: int) -> np.ndarray:
        return (mine & (day > 0) & (day <= days) & (arrived <= days)).to_numpy()

    edges = np.array(horizons.edges_days)
    ends = edges[np.searchsorted(edges, day.clip(1, edges[-1]))]
    told = np.where(arrived <= ends, day, arrived).astype(np.float64)
    first = np.full(len(inputs), np.inf)
    np.minimum.at(first, place[within(observed)], told[within(observed)])
    spend = np.full((len(inputs), len(horizons.spend_days)), np.nan)
    for n, days in enumerate(horizons.spend_days):
        if days <= observed:
            inside = within(days)
            spend[:, n] = np.bincount(place[inside], purchases["amount"].to_numpy()[inside], minlength=len(inputs))
    return Examples(horizons, inputs, first, np.full(len(inputs), observed), spend)


def read_purchases(after: date, until: date, home: HomePath = None) -> pd.DataFrame:
    """Customer-days with a purchase that arrived in (after, until]: customer_key, event_date, arrival_date, amount."""
    days = [after + timedelta(days=n) for n in range(1, (until - after).days + 1)]
    if missing := sorted(set(days) - set(partition_days(CUSTOMER_DAY, home))):
        raise DataError(
            f"labels need lake/customer_day for every day from {days[0]} to {until}; {len(missing)} are missing, the "
            f"first {missing[0]}: run `python -m jobs ingest` and `python -m jobs aggregate` with "
            f"`--from {missing[0]} --to {until}`"
        )
    columns = ["customer_key", "event_date", "arrival_date", "purchase_count", "purchase_amount"]
    rows = read_rows(CUSTOMER_DAY, days, columns, home)
    rows = rows.filter(pc.greater(rows["purchase_count"], 0)).to_pandas()
    return pd.DataFrame(
        {
            "customer_key": rows["customer_key"],
            "event_date": pd.to_datetime(rows["event_date"]),
            "arrival_date": pd.to_datetime(rows["arrival_date"]),
            "amount": rows["purchase_amount"].astype("float64"),
        }
    )


def _joined(parts: list[Examples]) -> Examples:
    inputs = [part.inputs for part in parts]
    whole = Inputs(
        home=inputs[0].home,
        customer_keys=np.concatenate([one.customer_keys for one in inputs]),
        cutoffs=np.concatenate([one.cutoffs for one in inputs]),
        features=np.concatenate([one.features for one in inputs]),
        life={name: np.concatenate([one.life[name] for one in inputs]) for name in LIFE_NAMES},
    )
    labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("days_to_purchase", "observed_days"))
    return Examples(parts[0].horizons, whole, *labels, np.concatenate([part.spend for part in parts]))


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """float64, nulls as NaN."""
    return pc.fill_null(pc.cast(column, pa.float64()), np.nan).to_numpy()


def customer_folds(customer_keys: np.ndarray, folds: int, within: str = "") -> np.ndarray:
    """(rows,) int64: the fold, 0 … folds - 1, of each customer; by a hash of the key, so that it never moves.

    within  who splits what others may have split already: a split of its own, or all rows would fall into one fold
    """
    prefixes = (hashlib.sha256(f"{within}{key}".encode()).digest()[:8] for key in customer_keys)
    return np.array([int.from_bytes(prefix, "big") % folds for prefix in prefixes], dtype=np.int64)
