"""Whether the lake holds what a training reads; each refusal names the command that brings what is missing."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from expectations.behaviour import CUSTOMER_DAY, FEATURES
from expectations.errors import DataError
from expectations.sequences import SEQUENCES
from ml.home import HomePath, home_folder, partition_days, partition_folder, written_at

if TYPE_CHECKING:
    from ml.examples import Examples


def first_day(home: HomePath = None) -> date:
    """The first day of the shop's data; DataError if there is none."""
    return known_days(home)[0]


def known_days(home: HomePath = None) -> list[date]:
    """The days of customer_day, in order; DataError if there is none."""
    known = partition_days(CUSTOMER_DAY, home)
    if not known:
        raise DataError("lake/customer_day is empty: run `python -m jobs ingest` and `python -m jobs aggregate` first")
    return known


def last_known(day: date | None, home: HomePath = None) -> date:
    """``day``, at most the last of customer_day: of later ones nothing is known. None: that one. DataError as above."""
    last = known_days(home)[-1]
    return min(day or last, last)


def label_days(cutoff: date, horizon_days: int) -> list[date]:
    """The days of the label window of ``cutoff``."""
    return [cutoff + timedelta(days=n) for n in range(1, horizon_days + 1)]


def require_matured(cutoff: date, horizon_days: int, home: HomePath = None) -> None:
    """DataError unless customer_day holds all days of the label window of ``cutoff``."""
    known, days = partition_days(CUSTOMER_DAY, home), label_days(cutoff, horizon_days)
    missing = sorted(set(days) - set(known))
    if missing:
        latest = f" on or before {known[-1] - timedelta(days=horizon_days)}" if known else ""
        raise DataError(
            f"labels of cutoff {cutoff} have not matured: they need lake/customer_day for every day up to {days[-1]}; "
            f"{len(missing)} are missing, the first {missing[0]}. Choose a cutoff{latest}, or run "
            f"`python -m jobs ingest` and `python -m jobs aggregate` with `--from {missing[0]} --to {days[-1]}`"
        )


def missing_features(cutoffs: Sequence[date], home: HomePath = None) -> list[date]:
    """Those of ``cutoffs`` without a snapshot of features, in order."""
    return sorted(set(cutoffs) - set(partition_days(FEATURES, home)))


def missing_sequences(cutoffs: Sequence[date], home: HomePath = None) -> list[date]:
    """Those of ``cutoffs`` without a snapshot of sequences, in order."""
    return [day for day in sorted(cutoffs) if not (partition_folder(SEQUENCES, day, home) / "about.json").is_file()]


def require_snapshots(cutoffs: Sequence[date], cutoff: date, home: HomePath = None) -> None:
    """DataError that lists every snapshot of features that is missing, or older than a day it is built from.

    ``cutoffs``: those that a training as of ``cutoff`` reads. Older by the time at which the partitions' folders were
    written.
    """
    missing = missing_features(cutoffs, home)
    source = {day: written_at(CUSTOMER_DAY, day, home) for day in partition_days(CUSTOMER_DAY, home)}
    stale = [
        day
        for day in sorted(set(cutoffs) - set(missing))
        if written_at(FEATURES, day, home) < max((at for past, at in source.items() if past <= day), default=0)
    ]
    kinds = (("missing", missing), ("older than lake/customer_day", stale))
    wrong = [f"{what}: {', '.join(map(str, days))}" for what, days in kinds if days]
    if wrong:
        raise DataError(
            f"{home_folder(home) / 'lake' / FEATURES.name} does not hold the snapshots that training reads; "
            f"{'; '.join(wrong)}. "
            f"Run `python -m jobs build_features --for-training {cutoff}{' --skip-unchanged' * bool(stale)}` first"
        )


def require_sequences(cutoffs: Sequence[date], cutoff: date, models: Sequence[str], home: HomePath = None) -> None:
    """DataError that lists every snapshot of sequences that is missing, and the command that builds them."""
    if missing := missing_sequences(cutoffs, home):
        raise DataError(
            f"{home_folder(home) / 'lake' / SEQUENCES.name} lacks snapshots for {', '.join(models)} to read: "
            f"{', '.join(map(str, missing))}. Run "
            f"`python -m jobs build_sequences --for-training {cutoff} --models {','.join(models)}` first"
        )


def require_examples(part: str, examples: "Examples") -> None:
    """DataError where there is nothing to learn from or to judge by."""
    days = examples.horizons.churn_days
    is_buyer = examples.is_buyer(days)
    buyers, matured = int(np.nansum(is_buyer)), int(np.isfinite(is_buyer).sum())
    if not 0 < buyers < matured:
        raise DataError(
            f"{part} examples: {buyers:,} of {matured:,} customers buy within {days} days; a model needs "
            "both customers who do and customers who do not. Choose another cutoff, or wait for more data"
        )
    if not any((examples.spend_within(window) > 0).any() for window in examples.horizons.spend_days):
        raise DataError(
            f"{part} examples: none of the {buyers:,} customers who buy within {days} days pays anything: "
            "purchase_amount is 0 throughout, so there is no spend to learn, and a shop without amounts cannot be "
            "trained yet. If the shop has amounts, check its files and its mapping, then ingest and aggregate again"
        )
