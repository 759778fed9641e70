"""Takeover: an order unlike all that was seen of the customer before in device, country, hour and amount at once.

Each of the four is told in powers of ten: −log10 of how probable it was, given the customer's own earlier orders and,
as far as these are few, what is usual in the shop. They are added up, as if they came about independently.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from jobs.risk.listing import Found, count, money
from jobs.risk.settings import RiskSettings, beyond

PRIOR_ORDERS = 5
"""For how many orders of the customer's own what is usual in the shop counts."""
NEAR_HOURS = 2
"""Orders so many hours apart, around the clock, are of the same time of day."""
MOST_OF_ONE = 4
"""Powers of ten that one sign counts at most: somebody has to be the oddest, and one sign alone is no takeover."""
TOLD_FROM = 0.5
"""Powers of ten from which something is a reason."""


@dataclass(frozen=True)
class Past:
    """Of each order, sorted by customer and time: what came before its day. (orders,) places and counts.

    begin, end   the customer's orders of earlier days are the places begin … end - 1
    """

    begin: np.ndarray
    end: np.ndarray

    @property
    def count(self) -> np.ndarray:
        return self.end - self.begin

    def sum(self, values: np.ndarray) -> np.ndarray:
        """(orders,): the sum of ``values`` (orders,) over each order's past."""
        total = np.concatenate([[0], np.cumsum(values, dtype=np.float64)])
        return total[self.end] - total[self.begin]


def find_takeovers(orders: pd.DataFrame, first: date, settings: RiskSettings) -> Found:
    """Orders from ``first`` on, of customers who were seen on an earlier day; ``orders``: see sorted_orders."""
    past = past_of(orders["customer_key"].cat.codes.to_numpy(), orders["event_date"].to_numpy("datetime64[D]"))
    judged = (orders["seen_since"] < orders["event_date"]).to_numpy()
    rows = orders.assign(
        by_device=_of_new(orders, "device", past, judged),
        by_country=_of_new(orders, "country", past, judged),
        by_amount=_of_amount(orders["amount"].to_numpy(), past, judged),
        begin=past.begin,
        end=past.end,
    )
    rows["surprise"] = rows["by_device"] + rows["by_country"] + rows["by_amount"]
    least = settings.takeover_surprise * settings.least_ratio
    # The hour is looked up for orders that are odd already: it never makes an alert by itself.
    rows = rows[judged & (orders["event_date"] >= first).to_numpy() & (rows["surprise"] >= least / 2).to_numpy()]
    rows["by_hour"] = _of_hour(rows, orders["hour"].to_numpy("float64", na_value=np.nan))
    rows["surprise"] += rows["by_hour"]
    rows["score"] = beyond(rows["surprise"], settings.takeover_surprise)
    return Found("takeover", rows, lambda row: _words(row, orders))


def past_of(customer: np.ndarray, day: np.ndarray) -> Past:
    """Of orders sorted by customer and day."""
    places = np.arange(len(customer))
    changes = np.r_[True, customer[1:] != customer[:-1]] if len(customer) else np.empty(0, bool)
    new_day = changes | np.r_[True, day[1:] != day[:-1]] if len(customer) else changes
    return Past(np.maximum.accumulate(places * changes), np.maximum.accumulate(places * new_day))


def _of_new(orders: pd.DataFrame, name: str, past: Past, judged: np.ndarray) -> np.ndarray:
    """(orders,) powers of ten: of a value of ``name`` with which the customer was never seen before the day; else 0."""
    known, days = orders[name].notna().to_numpy(), orders["event_date"].to_numpy("datetime64[D]")
    is_new = known & (orders[f"{name}_since"].to_numpy("datetime64[D]") >= days)
    changes = past.sum(is_new & judged)
    usual = ((is_new & judged).sum() + 0.5) / (judged.sum() + 1)
    return np.where(is_new, surprise((changes + PRIOR_ORDERS * usual) / (past.count + PRIOR_ORDERS)), 0.0)


def surprise(probability: np.ndarray) -> np.ndarray:
    return np.clip(-np.log10(probability), 0, MOST_OF_ONE)


def _of_amount(amount: np.ndarray, past: Past, judged: np.ndarray) -> np.ndarray:
    """(orders,) powers of ten: the share of the shop's judged orders that exceed their customer's usual as far.

    The usual is the mean of the customer's earlier orders and one such as the shop's are, in logarithms.
    """
    size = np.log1p(np.nan_to_num(np.maximum(amount, 0)))
    n = past.count + 1
    beyond_usual = (size - (past.sum(size) + size.mean()) / n) / np.sqrt(1 + 1 / n)
    known = np.sort(beyond_usual[judged])
    as_far = len(known) - np.searchsorted(known, beyond_usual, side="left")
    return surprise(np.maximum(as_far, 1) / (len(known) + 1))


def _of_hour(rows: pd.DataFrame, hours: np.ndarray) -> np.ndarray:
    """(rows,) powers of ten: how rare orders of the customer's are within NEAR_HOURS of the order's hour."""
    known = hours[~np.isnan(hours)].astype(np.int64)
    counts = np.bincount(known, minlength=24)
    near = sum(np.roll(counts, shift) for shift in range(-NEAR_HOURS, NEAR_HOURS + 1)) + 0.5
    usual = near / (len(known) + 1)
    found = np.zeros(len(rows))
    for n, (hour, begin, end) in enumerate(zip(rows["hour"], rows["begin"], rows["end"], strict=True)):
        own = hours[begin:end]
        if pd.notna(hour) and not np.isnan(own).any():
            close = near_orders(own, hour)
            found[n] = surprise((close + PRIOR_ORDERS * usual[int(hour)]) / (len(own) + PRIOR_ORDERS))
    return found


def near_orders(hours: np.ndarray, hour: float) -> int:
    """How many of ``hours`` lie within NEAR_HOURS of ``hour``, around the clock."""
    apart = np.abs(hours - hour)
    return int((np.minimum(apart, 24 - apart) <= NEAR_HOURS).sum())


def _words(row: object, orders: pd.DataFrame) -> list[str]:
    own = orders.iloc[row.begin : row.end]
    earlier = f"{count(len(own), 'earlier order')}"
    usual, country = np.expm1(np.log1p(own["amount"]).mean()), own["country"].mode()
    times = f", {row.amount / max(usual, 0.01):,.1f} times the usual {money(usual)}" if len(own) else ""
    texts = {
        "by_device": f"a device never seen of the customer before ({row.device})",
        "by_country": f"from {row.country}, never seen of the customer before"
        + (f" (usual {country.iloc[0]})" if len(country) else ""),
        "by_amount": f"{money(row.amount)} paid in {'an order' if len(own) else 'the first order'}{times}",
        "by_hour": "" if pd.isna(row.hour) else f"at {int(row.hour)} o'clock, as "
        f"{near_orders(own['hour'].to_numpy('float64', na_value=np.nan), row.hour)} of {earlier}",
    }  # fmt: skip
    strongest = sorted(texts, key=lambda name: -getattr(row, name))
    return [texts[name] for name in strongest if getattr(row, name) >= TOLD_FROM]
