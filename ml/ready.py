"""Whether the lake holds what a training reads; each refusal names the command that brings what is missing."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from expectations.behaviour import CUSTOMER_DAY, FEATURES
from expectations.errors import DataError
from ml.home import HomePath, home_folder, partition_days, written_at

if TYPE_CHECKING:
    from ml.dataset import Examples


def first_day(home: HomePath = None) -> date:
    """The first day of the shop's data; DataError if there is none."""
    known = partition_days(CUSTOMER_DAY, home)
    if not known:
        raise DataError("lake/customer_day is empty: run `python -m jobs ingest` and `python -m jobs aggregate` first")
    return known[0]


def require_matured(cutoff: date, days: list[date], home: HomePath = None) -> None:
    """DataError unless customer_day holds all ``days`` of the label window of ``cutoff``."""
    known = partition_days(CUSTOMER_DAY, home)
    missing = sorted(set(days) - set(known))
    if missing:
        latest = f" on or before {known[-1] - timedelta(days=len(days))}" if known else ""
        raise DataError(
            f"labels of cutoff {cutoff} have not matured: they need lake/customer_day for every day up to {days[-1]}; "
            f"{len(missing)} are missing, the first {missing[0]}. Choose a cutoff{latest}, or run "
            f"`python -m jobs ingest` and `python -m jobs aggregate` with `--from {missing[0]} --to {days[-1]}`"
        )


def require_snapshots(cutoffs: list[date], home: HomePath = None) -> None:
    """DataError that lists every snapshot of features that is missing, or older than a day it is built from.

    ``cutoffs`` begin with the test cutoff. Older by the time at which the partitions' folders were written.
    """
    built = set(partition_days(FEATURES, home))
    source = {day: written_at(CUSTOMER_DAY, day, home) for day in partition_days(CUSTOMER_DAY, home)}
    missing = [cutoff for cutoff in sorted(cutoffs) if cutoff not in built]
    stale = [
        cutoff
        for cutoff in sorted(set(cutoffs) & built)
        if written_at(FEATURES, cutoff, home) < max((at for day, at in source.items() if day <= cutoff), default=0)
    ]
    kinds = (("missing", missing), ("older than lake/customer_day", stale))
    wrong = [f"{what}: {', '.join(map(str, days))}" for what, days in kinds if days]
    if wrong:
        raise DataError(
            f"{home_folder(home) / 'lake' / FEATURES.name} does not hold the snapshots that training reads; "
            f"{'; '.join(wrong)}. "
            f"Run `python -m jobs build_features --for-training {cutoffs[0]}{' --skip-unchanged' * bool(stale)}` first"
        )


def require_examples(part: str, examples: "Examples", horizon_days: int) -> None:
    """DataError where there is nothing to learn from or to judge by."""
    buyers, payers = int(examples.is_buyer.sum()), int((examples.spend > 0).sum())
    if not 0 < buyers < len(examples):
        raise DataError(
            f"{part} examples: {buyers:,} of {len(examples):,} customers buy within {horizon_days} days; a model needs "
            "both customers who do and customers who do not. Choose another cutoff, or wait for more data"
        )
    if not payers:
        raise DataError(
            f"{part} examples: none of the {buyers:,} customers who buy within {horizon_days} days pays anything: "
            "purchase_amount is 0 throughout, so there is no spend to learn. Check the amounts in the shop's files and "
            "its mapping, then ingest and aggregate again"
        )
