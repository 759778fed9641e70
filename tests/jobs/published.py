"""A day of three customers as the jobs leave it in the lake, for tests that publish it."""

from collections import Counter
from contextlib import contextmanager
from datetime import date, timedelta

import pyarrow as pa
import pytest

from expectations.lifecycle import LIFECYCLE_PHASES, STAGE_TRANSITIONS
from expectations.offers import NEXT_ACTIONS
from expectations.portraits import SEGMENT_PORTRAITS
from expectations.segments import CUSTOMER_SEGMENTS, SCORES, SEGMENT_SETTINGS
from jobs import publish, setup
from jobs.lake import LakeTable
from jobs.marts import publish_staging, warehouse
from jobs.schemas import arrow_schema

DAY = date(2017, 12, 30)
NEXT = DAY + timedelta(days=1)

# Three customers: a prospect with every null there can be, and two whose numbers are awkward to print and to add up.
ROWS = [
    {
        "customer_key": "c1", "value_tier": "low", "lifecycle_stage": "prospect", "churn_band": "high",
        "purchase_probability_30d": 0.1, "expected_spend_30d": 0.0, "recency_days": None, "frequency_days": 0,
        "monetary_value": None, "tenure_days": 0, "order_count": 0, "first_purchase_date": None,
        "last_purchase_date": None, "purchase_amount_30d": 0.0, "purchase_amount_365d": 0.0, "gap_mean_days": None,
    },
    {
        "customer_key": "c2", "value_tier": "high", "lifecycle_stage": "loyal", "churn_band": "low",
        "purchase_probability_30d": 1.0, "expected_spend_30d": 0.1 + 0.2, "recency_days": 0, "frequency_days": 2**40,
        "monetary_value": 1 / 3, "tenure_days": 2**31 - 1, "order_count": 7, "first_purchase_date": date(1999, 12, 31),
        "last_purchase_date": DAY, "purchase_amount_30d": 1e15 + 0.5, "purchase_amount_365d": 123.25,
        "gap_mean_days": 2 / 3,
    },
    {
        "customer_key": "Ü,\t'\"\\\n", "value_tier": "high", "lifecycle_stage": "loyal", "churn_band": "low",
        "purchase_probability_30d": 0.7, "expected_spend_30d": 0.7, "recency_days": 3, "frequency_days": 1,
        "monetary_value": 2.5, "tenure_days": 3, "order_count": 1, "first_purchase_date": DAY,
        "last_purchase_date": DAY, "purchase_amount_30d": 2.5, "purchase_amount_365d": 0.75, "gap_mean_days": None,
    },
]  # fmt: skip


def segments(day=DAY, rows=ROWS, **changes):
    """The rows with what follows from them; ``changes`` go into every row."""
    return [
        {
            "snapshot_date": day, **row, "lifecycle_phase": LIFECYCLE_PHASES[row["lifecycle_stage"]],
            "stage_since": day, "previous_stage": None, "cluster_id": None,
            "churn_probability_30d": 1 - row["purchase_probability_30d"], "spend_if_purchase_30d": 1.0,
            "churn_probability": 1 - row["purchase_probability_30d"], "churn_days": 30, "is_eligible": True,
            **dict.fromkeys((f"purchase_probability_{days}d" for days in (7, 14, 60, 90)), 0.5),
            **{f"expected_spend_{days}d_{end}": 1.0 for days in (30, 90) for end in ("low", "high")},
            "expected_spend_90d": None, "clv_365d": 12.5, "is_clv_extrapolated": True,
            "gap_last_days": None, "gap_mean_before_last_days": None, "purchase_days_365d": 0,
            "return_amount_30d": 0.0, "return_amount_365d": 0.0,
            "model_name": "purchase", "model_version": 3, "model_cutoff_date": day, **changes,
        }
        for row in rows
    ]  # fmt: skip


FEW = (CUSTOMER_SEGMENTS, SEGMENT_SETTINGS)


@contextmanager
def only(*tables):
    """Within it a day publishes no other tables: each takes a moment to audit. Views of the others stay empty."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (publish, publish_staging):
            patch.setattr(module, "PUBLISHED", tables)
        yield


def write(home, rows, day=DAY, scored=None, cut=0.5, **others):
    """Every published table of the day into the lake, and its scores: of the first ``scored`` rows (default: all).

    ``others``: rows of further tables, by name; a table that is not named has the rows that the audit asks for.
    """
    parts = {SCORES: rows[:scored], CUSTOMER_SEGMENTS: rows, SEGMENT_SETTINGS: [setting(day, cut)]}
    more = [table for table in publish.PUBLISHED if table not in parts]
    parts |= {table: others.get(table.name, needed(table, day, rows)) for table in more}
    for table, part in parts.items():
        # Without the contract's "not null", which pyarrow would hold such rows to already here.
        schema = pa.schema([field.with_nullable(True) for field in arrow_schema(table)])
        part = [{name: row[name] for name in table.column_names} for row in part]
        LakeTable(home, table).write_arrow(day, pa.Table.from_pylist(part, schema))


def setting(day, value):
    row = {"snapshot_date": day, "name": "high_value_from", "value": value, "text": None, "unit": "currency"}
    return row | {"origin": "computed", "description": "Cut."}


def needed(table, day, rows):
    """The least rows of another table that its checks let pass beside these customers."""
    if table is STAGE_TRANSITIONS:
        common = {"snapshot_date": day, "previous_snapshot_date": None, "from_stage": "unseen", "is_expected": True}
        counts = Counter(row["lifecycle_stage"] for row in rows)
        return [common | {"to_stage": stage, "customers": n} for stage, n in counts.items()]
    if table is NEXT_ACTIONS:
        return [action(day, row) for row in rows]
    if table is SEGMENT_PORTRAITS:
        portrait = dict.fromkeys(table.column_names) | {"snapshot_date": day, "segment_kind": "value_tier"}
        return [portrait | {"segment": "high", "fact": "size", "rank": 1, "value": 3.0, "words": "3 customers"}]
    return []


def action(day, row, **changes):
    """A customer's row of next_actions."""
    kinds = {"string": "none", "int32": 1, "double": 1.0, "bool": False, "date": day}
    some = {column.name: (column.values or [kinds[column.type]])[0] for column in NEXT_ACTIONS.columns}
    return some | {name: row[name] for name in ("customer_key", "value_tier", "lifecycle_stage")} | changes


def empty_warehouse(home, folder):
    """The shared server's home with an empty warehouse, an empty lake and an empty vault; ``folder`` takes the rest."""
    with warehouse.connect(home, "postgres", "warehouse") as connection:
        connection.execute("drop schema if exists marts, staging, warehouse, vault cascade")
    setup.create_warehouse(home)
    for part in (home.lake, home.vault):
        part.mkdir(exist_ok=True)
        part.rename(folder / part.name)
        part.mkdir()
    return home
