"""Who went from which stage to which between two snapshots: counted, added up, and held against the state machine."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from expectations.lifecycle import GONE, STAGE_TRANSITIONS, UNSEEN, reachable
from jobs.schemas import arrow_schema


def stage_transitions(now: pa.Table, before: pa.Table | None, day: date, previous: date | None) -> pa.Table:
    """Rows of STAGE_TRANSITIONS.

    ``now``: customer_key, lifecycle_stage and stage_before of the snapshot of ``day``. ``before``: the first two, of
    the snapshot of ``previous``; neither if there is none.
    """
    flows = [(was or UNSEEN, stage, n) for was, stage, n in _counts(now, "stage_before", "lifecycle_stage")]
    if before is not None:
        gone = pc.invert(pc.is_in(before["customer_key"], value_set=now["customer_key"]))
        flows += [(stage, GONE, n) for stage, n in _counts(before.filter(gone), "lifecycle_stage")]
    days = (day - previous).days if previous else 0
    rows = [
        {"snapshot_date": day, "previous_snapshot_date": previous, "from_stage": was, "to_stage": stage,
         "customers": n, "is_expected": is_expected(was, stage, days)}
        for was, stage, n in flows
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, arrow_schema(STAGE_TRANSITIONS))


def is_expected(was: str, stage: str, days: int) -> bool:
    """Whether a customer can come from ``was`` to ``stage`` within ``days``."""
    return was == UNSEEN or stage == GONE or stage in reachable(was, days)


def unexpected(transitions: pa.Table) -> list[tuple[str, str, int]]:
    """(from_stage, to_stage, customers) of each flow that the state machine does not know."""
    rows = transitions.filter(pc.invert(transitions["is_expected"])).to_pylist()
    return [(row["from_stage"], row["to_stage"], row["customers"]) for row in rows]


def _counts(rows: pa.Table, *names: str) -> list[tuple]:
    """(value of each of ``names``, …, how many rows) of each combination."""
    counted = rows.group_by(list(names)).aggregate([([], "count_all")]).to_pydict()
    return list(zip(*(counted[name] for name in names), counted["count_all"], strict=True))
