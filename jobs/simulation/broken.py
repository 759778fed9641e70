"""Rows that no ingestion can keep, at the end of the simulated shop's order files, each with the rule it breaks."""

from dataclasses import dataclass
from datetime import timedelta

from jobs.simulation.plan import Plan

# One sound row by the columns of orders.csv; each broken one differs from it in what its rule forbids.
_SOUND = {
    "customer": "10000001", "at": "{day} 12:00:00", "received": "{day} 12:00:02", "kind": "sale", "visit": "1",
    "order": "broken", "product": "p000000", "pieces": "1", "list_price": "9.99", "paid": "9.99", "rebate": "0.00",
    "channel": "web", "device": "iPad", "country": "DE", "payment": "paypal",
}  # fmt: skip
ORDER_COLUMNS = tuple(_SOUND)
_FAULTS = {
    "customer_key_missing": {"customer": ""},
    "event_type_unknown": {"kind": "exchange"},
    "event_time_not_a_time": {"at": "yesterday"},
    "event_date_after_arrival": {"at": "{after} 12:00:00"},
    "event_date_too_early": {"at": "1970-01-01 00:00:00"},
    "paid_not_a_number": {"paid": "n/a"},
    "amount_missing": {"paid": ""},
    "amount_below_0": {"paid": "-9.99"},
    "quantity_below_0": {"pieces": "-1"},
    "field_count": {"payment": "paypal,surplus"},
    "bad_quotes": {"payment": '"paypal'},
}


@dataclass(frozen=True)
class BrokenRow:
    """``line`` of ``file`` breaks ``rule``, as quarantine names it; delivered on day number ``day``."""

    file: str
    line: int
    rule: str
    day: int
    text: str


def broken_rows(plan: Plan, day: int, file: str, first_line: int, size: int) -> list[BrokenRow]:
    """Broken rows for a file of ``size`` sound ones; the first of them is to stand in ``first_line``."""
    random = plan.random("broken_rows", day)
    rules = random.choice(list(_FAULTS), random.poisson(plan.broken_share * size))
    when = {"day": plan.date_of(day), "after": plan.date_of(day) + timedelta(days=3)}
    texts = [",".join(value.format(**when) for value in (_SOUND | _FAULTS[rule]).values()) for rule in rules]
    return [
        BrokenRow(file, first_line + n, str(rule), day, text)
        for n, (rule, text) in enumerate(zip(rules, texts, strict=True))
    ]
