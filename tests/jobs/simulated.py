"""One simulated shop for all tests of what it holds."""

from functools import cache

import numpy as np

from jobs.simulation import rows as table
from jobs.simulation.plan import Plan
from jobs.simulation.rows import KIND, Rows
from jobs.simulation.run import Written, run_days
from jobs.simulation.world import World, make_world

PLAN = Plan(customers=5000, days=365, seed=7)
BEYOND_CHANCE = 4.5
"""Standard deviations that no count should be off by: once in 150,000 tests."""


@cache
def simulated_world() -> World:
    return make_world(PLAN)


@cache
def simulated_events() -> Rows:
    return made_by(PLAN)


def made_by(plan: Plan) -> Rows:
    """All events of the plan, in order of delivery."""
    days: list[Rows] = []

    def keep(day: int, rows: Rows) -> Written:
        days.append(rows)
        assert (rows["arrival"] == day).all()
        return Written(table.size_of(rows))

    written = sum(day.events for day in run_days(plan, lambda world: keep, processes=1))
    all_rows = table.concat(days)
    assert written == table.size_of(all_rows)
    return all_rows


def of_kind(rows: Rows, *names: str) -> Rows:
    return table.take(rows, np.isin(rows["kind"], [KIND[name] for name in names]))


def without_cases(rows: Rows) -> Rows:
    """Rows that no case of fraud put there: those number their visits apart."""
    return table.take(rows, (rows["session"] < 0) | (rows["session"] % 100_000_000 < 60_000_000))


def day_of(rows: Rows) -> np.ndarray:
    return (rows["time"] - PLAN.first_second) // 86_400
