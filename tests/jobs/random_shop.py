"""Random events of every kind, some of them late, as a lake holds them."""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa

from expectations.events import EVENT_TYPES, EVENTS, INGEST_REPORT, SESSION_TYPES
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.reading.hashes import hash31
from jobs.schemas import arrow_schema

LATE_DAYS = (0, 0, 0, 0, 0, 1, 2, 20, 70)


def random_events(customers: int, first: date, days: int, seed: int = 0, active: float = 0.15) -> list[dict]:
    """Events of ``days`` days from ``first``, each arriving within them."""
    chance, last, events = random.Random(seed), first + timedelta(days=days - 1), []
    for customer in range(customers):
        for day in (first + timedelta(days=n) for n in range(days)):
            for _ in range(chance.randint(1, 5) if chance.random() < active else 0):
                arrival = min(day + timedelta(days=chance.choice(LATE_DAYS)), last)
                events.append(random_event(chance, f"{customer:032x}", day, arrival, len(events) + 1))
    return events


def random_event(chance: random.Random, customer: str, day: date, arrival: date, line: int) -> dict:
    kind = chance.choice(EVENT_TYPES)
    hour = chance.randrange(24) if chance.random() < 0.9 else None
    product = f"p{chance.randrange(200)}" if chance.random() < 0.8 else None
    category = f"c{chance.randrange(20)}" if product and chance.random() < 0.9 else None
    brand = f"b{chance.randrange(30)}" if product and chance.random() < 0.7 else None
    device, payment = f"d{chance.randrange(4)}", f"m{chance.randrange(3)}" if kind == "purchase" else None
    in_session = kind in SESSION_TYPES and hour is not None
    starts = in_session and chance.random() < 0.5
    amount = Decimal(chance.randrange(100_000)) / 100 if kind in ("purchase", "return") else None
    quantity = Decimal(chance.randint(1, 3)) if amount is not None else None
    order = f"o{customer[-4:]}-{day.toordinal() - chance.randrange(3)}"
    return {
        "source": "s", "customer_key": customer, "key_id": "k", "event_type": kind,
        "event_time": datetime.combine(day, time(hour or 0), UTC), "event_date": day, "event_hour": hour,
        "arrival_date": arrival, "session_id": f"{customer}-{day}" if in_session else None,
        "is_session_start": starts, "is_bounce": starts and chance.random() < 0.3,
        "session_step_seconds": chance.randrange(500) if in_session and not starts else 0,
        "order_id": order if kind == "purchase" and chance.random() < 0.9 else None,
        "product_id": product, "category": category, "brand": brand,
        **{f"{name}_hash": value and hash31(value) for name, value in (
            ("product", product), ("category", category), ("brand", brand), ("device", device), ("payment", payment))},
        "quantity": quantity, "price": quantity and (amount / quantity).quantize(Decimal("0.0001")), "amount": amount,
        "discount_amount": Decimal(chance.randrange(3)) if kind == "purchase" else None, "currency": "EUR",
        "device": device, "payment_method": payment,
        "rating": chance.randrange(5) / 4 if kind == "review" else None,
        "source_file": f"{arrival}.csv", "source_line": line,
    }  # fmt: skip


def write_lake(home: Home, events: list[dict], days: list[date]) -> None:
    """The events as partitions of ``days``, by arrival; an empty report for each, as if nothing was wrong."""
    by_arrival = defaultdict(list)
    for row in events:
        by_arrival[row["arrival_date"]].append(row)
    for day in days:
        rows = pa.Table.from_pylist(by_arrival[day], schema=arrow_schema(EVENTS))
        LakeTable(home, EVENTS).write_arrow(day, rows)
        LakeTable(home, INGEST_REPORT).write_arrow(day, arrow_schema(INGEST_REPORT).empty_table())
