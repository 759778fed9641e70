"""A simulated shop's days, made by several processes. What comes out does not depend on how many."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context

from jobs.simulation.broken import BrokenRow
from jobs.simulation.days import delivered_rows, later_rows
from jobs.simulation.plan import Plan
from jobs.simulation.rows import Rows
from jobs.simulation.world import World, make_world

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """What became of a day: rows that hold an event, and those that are broken on purpose."""

    events: int
    broken: tuple[BrokenRow, ...] = ()


Write = Callable[[int, Rows], Written]
"""Takes a day's number and its delivery."""
MakeWriter = Callable[[World], Write]

_state: dict = {}


def run_days(plan: Plan, make_writer: MakeWriter, processes: int) -> Iterator[Written]:
    """Makes every day and hands it to the writer that each process makes for itself; yields what became of it.

    First what arrives on a later day than it belongs to, then the days themselves. Processes are started afresh, with a
    world of their own: they share nothing but the plan. ``make_writer`` must be picklable.
    """
    events = 0
    with _pool(plan, make_writer, processes) as map_days:
        waiting: dict[int, list[Rows]] = {}
        for later in map_days(_later, ((day,) for day in range(plan.days))):
            for day, rows in later.items():
                waiting.setdefault(day, []).append(rows)
        for day, written in enumerate(map_days(_deliver, ((day, waiting.pop(day, [])) for day in range(plan.days)))):
            events += written.events
            if day % 30 == 29:
                log.info("simulated %d of %d days, %s events", day + 1, plan.days, f"{events:,}")
            yield written


class _pool:
    """``map_days(task, arguments)`` in order, by ``processes``, or in this one where that is one."""

    def __init__(self, plan: Plan, make_writer: MakeWriter, processes: int):
        self._processes = processes
        self._start = (plan, make_writer)

    def __enter__(self) -> Callable[[Callable, Iterator[tuple]], Iterator]:
        if self._processes == 1:
            _begin(*self._start)
            return map
        self._pool = get_context("spawn").Pool(self._processes, _begin, self._start)
        return self._pool.imap

    def __exit__(self, *error: object) -> None:
        if self._processes == 1:
            _state.clear()
        else:
            self._pool.terminate()
            self._pool.join()


def _begin(plan: Plan, make_writer: MakeWriter) -> None:
    world = make_world(plan)
    _state.update(world=world, write=make_writer(world))


def _later(task: tuple[int]) -> dict[int, Rows]:
    return later_rows(_state["world"], task[0])


def _deliver(task: tuple[int, list[Rows]]) -> Written:
    day, from_before = task
    return _state["write"](day, delivered_rows(_state["world"], day, from_before))
