"""Features computed one customer and one window at a time from the events themselves, in plain Python."""

import math
from collections import defaultdict
from datetime import date
from decimal import Decimal
from itertools import pairwise
from statistics import pstdev

from expectations.events import EVENT_TYPES
from expectations.features import RATIO_WINDOWS_DAYS, VELOCITY_WINDOWS_DAYS, WINDOWS_DAYS
from expectations.measures import COUNT_OF_TYPE, DAY_PARTS, TOPICS

RARE = (
    "remove_from_cart",
    "favourite",
    "return",
    "review",
    "support",
    "coupon_redeem",
    "campaign_open",
    "campaign_click",
)


def features(events: list[dict], snapshot: date) -> dict[str, dict]:
    """customer_key → feature → value, of events that had happened and arrived; prices unjudged, no texts."""
    of_customer = defaultdict(list)
    for row in events:
        if row["event_date"] <= snapshot and row["arrival_date"] <= snapshot:
            of_customer[row["customer_key"]].append(row)
    return {customer: _features(customer, rows, snapshot) for customer, rows in of_customer.items()}


def _features(customer: str, rows: list[dict], snapshot: date) -> dict:
    bought = sorted({r["event_date"] for r in rows if r["event_type"] == "purchase"})
    gaps = [(b - a).days for a, b in pairwise(bought)]
    paid = total(r["amount"] for r in rows if r["event_type"] == "purchase")
    row = {
        "customer_key": customer,
        "snapshot_date": snapshot,
        "tenure_days": (snapshot - min(r["event_date"] for r in rows)).days,
        "recency_days": (snapshot - bought[-1]).days if bought else None,
        "event_recency_days": min(
            ((snapshot - r["event_date"]).days for r in rows if r["event_type"] != "campaign_send"), default=None
        ),
        "first_purchase_date": bought[0] if bought else None,
        "last_purchase_date": bought[-1] if bought else None,
        "frequency_days": len(bought),
        "order_count": len(orders(rows)),
        "monetary_value": paid / len(bought) if bought else None,
        "gap_mean_days": sum(gaps) / len(gaps) if gaps else None,
        "gap_deviation_days": pstdev(gaps) if len(gaps) > 1 else None,
        "gap_trend": gaps[-1] / (sum(gaps[:-1]) / len(gaps[:-1])) if len(gaps) > 1 else None,
        "gap_last_days": gaps[-1] if gaps else None,
        "gap_mean_before_last_days": sum(gaps[:-1]) / len(gaps[:-1]) if len(gaps) > 1 else None,
        "age": None, "gender": None, "income": None, "household_size": None,
    }  # fmt: skip
    for days in WINDOWS_DAYS:
        row |= {f"{name}_{days}d": value for name, value in window(inside(rows, snapshot, days)).items()}
    for days in RATIO_WINDOWS_DAYS:
        row |= {f"{name}_{days}d": value for name, value in long_window(inside(rows, snapshot, days)).items()}
    for days in VELOCITY_WINDOWS_DAYS:
        within = inside(rows, snapshot, days)
        row[f"device_diversity_{days}d"] = distinct(within, "device_hash", 64)
        row[f"payment_method_diversity_{days}d"] = distinct(within, "payment_hash", 64)
    week, quarter, year = (inside(rows, snapshot, days) for days in (7, 90, 365))
    ratings = [r["rating"] for r in year if r["rating"] is not None]
    return row | {
        "rating_mean_365d": ratio(sum(ratings), len(ratings)),
        "amount_velocity_7d": ratio(paid_in(week) / 7, paid_in(earlier(quarter, week)) / 83),
        "event_velocity_7d": ratio(len(own(week)) / 7, len(own(earlier(quarter, week))) / 83),
        "line_surprise_7d": surprise(week, earlier(year, week)),
        **{f"{topic}_text_count_{days}d": 0 for topic in TOPICS for days in RATIO_WINDOWS_DAYS},
    }


def earlier(rows: list[dict], week: list[dict]) -> list[dict]:
    return [r for r in rows if r not in week]


def own(rows: list[dict]) -> list[dict]:
    return [r for r in rows if r["event_type"] != "campaign_send"]


def paid_in(rows: list[dict]) -> float:
    return total(r["amount"] for r in rows if r["event_type"] == "purchase")


def surprise(week: list[dict], before: list[dict]) -> float | None:
    """The week's dearest line against the mean line before."""
    lines = [r["amount"] for r in before if r["event_type"] == "purchase"]
    dearest = max((float(r["amount"]) for r in week if r["event_type"] == "purchase"), default=0.0)
    return ratio(dearest * len(lines), total(lines))


def inside(rows: list[dict], snapshot: date, days: int) -> list[dict]:
    return [r for r in rows if (snapshot - r["event_date"]).days < days]


def window(rows: list[dict]) -> dict:
    of = by_type(rows)
    return {
        "event_count": len(rows),
        **{COUNT_OF_TYPE[kind].name: len(of[kind]) for kind in ("view", "search", "add_to_cart", "purchase")},
        "campaign_count": len(of["campaign_send"]),
        "session_count": sum(r["is_session_start"] for r in rows),
        "purchase_amount": total(r["amount"] for r in of["purchase"]),
        "return_amount": total(r["amount"] for r in of["return"]),
        "discount_amount": total(r["discount_amount"] for r in of["purchase"]),
        "purchase_days": len({r["event_date"] for r in of["purchase"]}),
        "order_count": len(orders(rows)),
    }


def long_window(rows: list[dict]) -> dict:
    of, sums = by_type(rows), window(rows)
    sessions, lines = sums["session_count"], len(of["purchase"])
    own = [r for r in rows if r["event_type"] != "campaign_send"]
    known = [r for r in own if r["event_hour"] is not None]
    parts = {part: sum(low <= r["event_hour"] <= high for r in known) for part, (low, high) in DAY_PARTS.items()}
    paid, discounts = sums["purchase_amount"], sums["discount_amount"]
    return {
        "outlier_count": 0,
        "winsorised_amount": paid,
        "text_count": 0,
        "negative_text_count": 0,
        **{COUNT_OF_TYPE[kind].name: len(of[kind]) for kind in RARE},
        "largest_line_amount": max((float(r["amount"]) for r in of["purchase"]), default=0.0),
        "sentiment_mean": None,
        "average_order_amount": ratio(paid, sums["order_count"]),
        "cart_per_view": ratio(len(of["add_to_cart"]), len(of["view"])),
        "purchase_per_cart": ratio(lines, len(of["add_to_cart"])),
        "purchase_per_session": ratio(lines, sessions),
        "search_per_session": ratio(len(of["search"]), sessions),
        "session_length_seconds": ratio(sum(r["session_step_seconds"] for r in rows), sessions),
        "session_depth": ratio(sum(r["session_id"] is not None for r in rows), sessions),
        "bounce_rate": ratio(sum(r["is_bounce"] for r in rows), sessions),
        "return_rate": ratio(sums["return_amount"], paid),
        "discount_share": ratio(discounts, paid + discounts),
        "discounted_line_share": ratio(sum(bool(r["discount_amount"]) for r in of["purchase"]), lines),
        "coupon_rate": ratio(len(of["coupon_redeem"]), lines),
        "price_rank_mean": None,
        "open_rate": ratio(len(of["campaign_open"]), len(of["campaign_send"])),
        "click_rate": ratio(len(of["campaign_click"]), len(of["campaign_send"])),
        **{f"{part}_share": ratio(parts[part], len(known)) for part in ("night", "morning", "evening")},
        "items_per_line": ratio(total(r["quantity"] for r in of["purchase"]), lines),
        "product_diversity": distinct(rows, "product_hash", 128),
        "category_diversity": distinct(rows, "category_hash", 64),
        "brand_diversity": distinct(rows, "brand_hash", 64),
        "weekend_share": ratio(sum(r["event_date"].weekday() >= 5 for r in own), len(own)),
    }


def by_type(rows: list[dict]) -> dict[str, list[dict]]:
    return {kind: [r for r in rows if r["event_type"] == kind] for kind in EVENT_TYPES}


def orders(rows: list[dict]) -> set[str]:
    return {r["order_id"] for r in rows if r["event_type"] == "purchase" and r["order_id"]}


def total(values) -> float:
    return float(sum((v or Decimal(0) for v in values), Decimal(0)))


def ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator > 0 else None


def distinct(rows: list[dict], column: str, bits: int) -> float:
    """Linear counting over ``bits`` bits, each chosen by the hash's lowest ones; whole."""
    taken = len({r[column] % bits for r in rows if r[column] is not None})
    return float(round(bits * math.log(bits / max(bits - taken, 1))))
