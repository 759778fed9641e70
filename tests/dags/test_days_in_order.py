"""Two days under way keep their order: what a later day waits for, and what it never waits for."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from lifestage_airflow.gates import DayBefore

DAYS = [datetime(2017, 12, day, tzinfo=UTC) for day in (28, 29, 30, 31)]


def run_of(start: int, state: str, kind: str = "scheduled", at: timedelta = timedelta()) -> SimpleNamespace:
    """The run of a day of DAYS; ``at``: how long after the midnight that begins it, where it was started by hand."""
    return SimpleNamespace(
        dag_id="lifestage_daily", run_id=f"{kind} {start}", state=state, run_type=kind, logical_date=DAYS[start] + at,
        data_interval_start=DAYS[start], data_interval_end=DAYS[start + 1],
    )  # fmt: skip


def goes_on(run: SimpleNamespace, others: list[SimpleNamespace], states: dict[str, str | None]) -> bool:
    """``others`` are found as Airflow finds them: of those in a state the newest by logical date, of whatever kind."""

    def previous(state: str | None = None):
        found = [o for o in others if o.logical_date < run.logical_date and state in (None, o.state)]
        return max(found, key=lambda o: o.logical_date, default=None)

    ti = SimpleNamespace(
        get_previous_dagrun=previous, get_task_states=lambda **asked: {asked["run_ids"][0]: states}
    )  # fmt: skip
    task = DayBefore(task_id="publish_of_day_before", tasks=["aggregate", "publish"])
    return task.poke({"ti": ti, "dag_run": run})


@pytest.fixture
def may_go():
    """Whether a day may go on, given the run before it (its state, or none) and the state of the task waited for."""

    def ask(
        run: str | None, task: str | None, aggregate: str | None = "success", kinds: tuple = ("scheduled", "scheduled")
    ) -> bool:
        before = [run_of(1, run, kinds[0])] if run else []
        return goes_on(run_of(2, "running", kinds[1]), before, {"publish": task, "aggregate": aggregate})

    return ask


def test_a_run_by_hand_in_between_hides_no_day_that_is_on_its_way():
    """Started at 09:15 of the day before, it has ended long since, and comes last by its date."""
    by_hand = run_of(1, "success", "manual", timedelta(hours=9, minutes=15))
    before, unfinished = run_of(1, "running", "backfill_job"), {"aggregate": "running", "publish": None}
    assert not goes_on(run_of(2, "running", "backfill_job"), [before, by_hand], unfinished)
    before.state = "queued"
    assert not goes_on(run_of(2, "running"), [before, by_hand], unfinished)


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_backfill_of_older_days_is_not_waited_for(state):
    assert goes_on(run_of(2, "running"), [run_of(0, state, "backfill_job")], {"publish": None, "aggregate": None})


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "up_for_retry", "restarting", "deferred"])
def test_a_day_waits_while_the_day_before_is_on_its_way(may_go, state):
    assert not may_go("running", state)


@pytest.mark.parametrize("state", ["success", "skipped", "failed", "upstream_failed"])
def test_it_goes_on_once_that_task_has_ended_however_it_did(may_go, state):
    assert may_go("running", state)


def test_a_closed_day_skips_ahead_of_tasks_that_still_run(may_go):
    """Its features are skipped while its empty day is still being added up, without which the next day has a hole."""
    assert not may_go("running", "skipped", aggregate="running")
    assert may_go("running", "skipped", aggregate="success")


@pytest.mark.parametrize("run", [None, "success", "failed", "queued"])
def test_it_waits_for_no_run_that_has_ended_or_waits_itself(may_go, run):
    """A failed day is cleared into the queue while later days hold the places: were it waited for, none could go."""
    assert may_go(run, None)


@pytest.mark.parametrize("kind", ["scheduled", "manual"])
def test_a_day_that_falls_due_during_a_backfill_waits_for_the_one_before_it_in_there(may_go, kind):
    assert not may_go("queued", None, aggregate=None, kinds=("backfill_job", kind))
    # Within the backfill the queue is not waited for: it holds the places in which a failed day is to be mended.
    assert may_go("queued", None, kinds=("backfill_job", "backfill_job"))
    assert may_go("failed", None, kinds=("backfill_job", kind))
