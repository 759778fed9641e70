"""Velocity: many orders, or payment methods, within a short time, as when stolen cards are tried out."""

from datetime import date

import numpy as np
import pandas as pd

from jobs.risk.listing import Found, count, money
from jobs.risk.settings import RiskSettings, beyond

COLUMNS = ["customer_key", "score", "event_date", "orders", "payments", "minutes", "amount", "by_orders"]


def find_bursts(orders: pd.DataFrame, first: date, settings: RiskSettings) -> Found:
    """Bursts of orders from ``first`` on: those within velocity_minutes up to each order whose time of day is known.

    ``orders``: see jobs.risk.reading.orders, sorted by customer_key and at.
    """
    timed = orders[(orders["hour"].notna() & (orders["event_date"] >= first)).to_numpy()]
    start = burst_starts(timed["customer_key"].cat.codes.to_numpy(), seconds_of(timed["at"]), settings.velocity_minutes)
    size = np.arange(len(timed)) - start + 1
    # A burst has no more payment methods than orders.
    least = min(settings.velocity_orders, settings.velocity_payments) * settings.least_ratio
    rows = [_burst(timed.iloc[start[n] : n + 1], settings) for n in np.flatnonzero(size >= least)]
    # Of equal scores the larger burst is told.
    found = pd.DataFrame(rows, columns=COLUMNS).sort_values("orders", ascending=False, kind="stable")
    return Found("velocity", found, _words)


def seconds_of(times: pd.Series) -> np.ndarray:
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy()


def burst_starts(customer: np.ndarray, seconds: np.ndarray, minutes: float) -> np.ndarray:
    """(orders,): the place of the customer's first order within ``minutes`` before each; sorted by both."""
    if not len(seconds):
        return np.empty(0, np.int64)
    # One rising line of time: customers follow each other, further apart than any burst.
    line = seconds - seconds.min() + customer.astype(np.int64) * (np.ptp(seconds) + 60 * minutes + 1)
    return np.searchsorted(line, line - 60 * minutes, side="left")


def _burst(rows: pd.DataFrame, settings: RiskSettings) -> tuple:
    size, payments = len(rows), rows["payment"].nunique()
    by_orders, by_payments = beyond([size, payments], [settings.velocity_orders, settings.velocity_payments])
    last = rows.iloc[-1]
    minutes = (last["at"] - rows.iloc[0]["at"]).total_seconds() / 60
    return (last["customer_key"], max(by_orders, by_payments), last["event_date"], size, payments, minutes,
            rows["amount"].sum(), by_orders)  # fmt: skip


def _words(row: object) -> list[str]:
    orders = f"{count(row.orders, 'order')} within {count(max(round(row.minutes), 1), 'minute')}"
    paid = f"paid by {count(row.payments, 'payment method')}"
    told = [orders, paid] if row.by_orders >= row.score or row.payments < 2 else [f"{orders}, {paid}"]
    return [*(text for text in told if row.payments > 1 or text != paid), f"{money(row.amount)} paid in all"]
