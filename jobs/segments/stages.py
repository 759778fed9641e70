"""The lifecycle: the stage that holds on a day, given where the customer stood in the snapshot before."""

from datetime import date

import numpy as np
import pandas as pd

from expectations.lifecycle import LIFECYCLE_ORDER
from jobs.segments.settings import DayCuts, SegmentSettings

ASLEEP = ("dormant", "churned")


def lifecycle_stages(customers: pd.DataFrame, settings: SegmentSettings, cuts: DayCuts, days_since: int) -> np.ndarray:
    """(customers,) the first stage of LIFECYCLE_ORDER that holds.

    ``customers``: features, scores, and ``stage_before``, null where no snapshot before holds the customer.
    ``days_since``: from the snapshot before to this one; of no account where there is none.
    """
    silent = customers["recency_days"] > patience(settings, customers["gap_mean_days"])
    holds = {
        "prospect": customers["frequency_days"] == 0,
        "new": _days_since_first(customers) < settings.new_days,
        "churned": silent & (customers["purchase_probability_30d"] < settings.churned_below_probability),
        "dormant": silent,
        "reactivated": has_woken(customers, settings, days_since),
        "loyal": (customers["tenure_days"] >= settings.loyal_tenure_days)
        & (customers["purchase_days_365d"] >= cuts.loyal_purchase_days_from)
        & (customers["purchase_amount_365d"] >= cuts.loyal_amount_from),
    }
    *decided, rest = LIFECYCLE_ORDER
    return np.select([holds[stage] for stage in decided], decided, rest)


def has_woken(customers: pd.DataFrame, settings: SegmentSettings, days_since: int) -> pd.Series:
    """(customers,) whether the last purchase has ended a silence, less than ``reactivated_days`` ago.

    It ends the silence that the snapshot before saw; whoever it saw reactivated has bought nothing since. Without a
    snapshot before, the gaps tell: on the evening before the last purchase the customer was silent, and not new.
    """
    was, recency = customers["stage_before"], customers["recency_days"]
    goes_on = (was == "reactivated") & (recency >= days_since)
    first_to_last = _days_since_first(customers) - recency
    silent_before = customers["gap_last_days"] - 1 > patience(settings, customers["gap_mean_before_last_days"])
    by_gaps = was.isna() & silent_before & (first_to_last - 1 >= settings.new_days)
    return (recency < settings.reactivated_days) & (was.isin(ASLEEP) | goes_on | by_gaps)


def patience(settings: SegmentSettings, gap_mean: pd.Series) -> pd.Series:
    """(customers,) days without a purchase that still fit the customer's rhythm, at mean gaps of ``gap_mean`` days.

    One purchase shows no rhythm: then they are as many as the customer is new.
    """
    own = (gap_mean * settings.silent_after_gaps).clip(settings.silent_least_days, settings.silent_most_days)
    return own.fillna(settings.new_days - 1)


def entered(customers: pd.DataFrame, stages: np.ndarray, day: date) -> tuple[pd.Series, pd.Series]:
    """(stage_since, previous_stage) of each customer: carried on by who stayed, anew for who did not."""
    was = customers["stage_before"]
    stayed = was == stages
    since = customers["since_before"].where(stayed, pd.Timestamp(day))
    return since, customers["previous_before"].where(stayed, was)


def _days_since_first(customers: pd.DataFrame) -> pd.Series:
    return (customers["snapshot_date"] - customers["first_purchase_date"]).dt.days
