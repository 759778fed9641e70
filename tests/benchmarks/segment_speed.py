"""How long a million customers take to be segmented: from a day's features and scores, with the snapshot before."""

import shutil
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from expectations.behaviour import FEATURES
from expectations.contract import Table
from expectations.segments import CUSTOMER_SEGMENTS, SCORES
from jobs import segment
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema

CUSTOMERS = 1_000_000
DAY = date(2024, 3, 4)


def measure(folder: Path) -> dict[str, float]:
    """Seconds of the job on the second of two made-up days, each customer a day further in their life."""
    home = Home(folder / "segments")
    shutil.rmtree(home.path, ignore_errors=True)
    try:
        home.adopt("made_up", "made_up", simulated=True)
        for day in (DAY, DAY + timedelta(1)):
            write_day(home, day)
            began = time.perf_counter()
            segment.main(segment.arg_parser().parse_args(["--home", str(home.path), "--ds", str(day)]))
            seconds = time.perf_counter() - began
            assert LakeTable(home, CUSTOMER_SEGMENTS).row_count(day) == CUSTOMERS
        return {"segment_1m_s": seconds}
    finally:
        shutil.rmtree(home.path, ignore_errors=True)


def write_day(home: Home, day: date) -> None:
    """Features and scores of all customers: what segments read is drawn, everything else is one value."""
    drawn = numbers(day)
    for table in (FEATURES, SCORES):
        columns = [column(table, field, drawn, day) for field in arrow_schema(table)]
        LakeTable(home, table).write_arrow(day, pa.table(columns, table.column_names), is_sorted=True)


def numbers(day: date) -> dict[str, np.ndarray]:
    """Every stage and tier is among them: buyers by gaps of 1 to 60 days who stay away for up to four, one in ten never
    bought."""
    draw, aged = np.random.default_rng(1), (day - DAY).days
    gap, silence = draw.uniform(1, 60, CUSTOMERS), draw.uniform(0, 4, CUSTOMERS)
    recency = (gap * silence).astype(np.int32) + aged
    chance = np.exp2(-silence)
    return {
        "frequency_days": np.where(draw.random(CUSTOMERS) < 0.1, 0, draw.integers(2, 60, CUSTOMERS)),
        "recency_days": recency,
        "tenure_days": recency + draw.integers(30, 700, CUSTOMERS) + aged,
        "first_purchase_date": np.datetime64(day) - recency - draw.integers(5, 700, CUSTOMERS),
        "gap_mean_days": gap,
        "gap_last_days": (gap * draw.uniform(0, 5, CUSTOMERS)).astype(np.int32),
        "gap_mean_before_last_days": gap,
        "purchase_days_365d": draw.integers(0, 60, CUSTOMERS),
        "purchase_amount_365d": draw.lognormal(4, 1, CUSTOMERS),
        "purchase_probability_30d": chance,
        "churn_probability": 1 - chance,
        "expected_spend_30d": chance * draw.lognormal(3, 1, CUSTOMERS),
        "is_eligible": draw.random(CUSTOMERS) < 0.9,
        "customer_key": np.array([f"{n:064x}" for n in range(CUSTOMERS)]),
    }


def column(table: Table, field: pa.Field, drawn: dict[str, np.ndarray], day: date) -> pa.Array:
    """One column of a made-up day; nobody who never bought has a first purchase or a rhythm."""
    if field.name in drawn:
        bought = drawn["frequency_days"] > 0
        gone = ~bought if table.column(field.name).nullable else None
        return pa.array(drawn[field.name], mask=gone).cast(field.type)
    if field.nullable:
        return pa.nulls(CUSTOMERS, field.type)
    same = {pa.string(): "same", pa.date32(): day, pa.bool_(): False}.get(field.type, 1)
    return pa.repeat(pa.scalar(same, field.type), CUSTOMERS)
