"""Two days under way keep their order: what a later day waits for, and what it never waits for."""

from types import SimpleNamespace

import pytest
from lifestage_airflow.gates import DayBefore


@pytest.fixture
def may_go():
    """Whether a day may go on, given the run before it (its state, or none) and the state of the task waited for."""

    def ask(
        run: str | None, task: str | None, aggregate: str | None = "success", kinds: tuple = ("scheduled", "scheduled")
    ) -> bool:
        before = run and SimpleNamespace(dag_id="lifestage_daily", run_id="before", state=run, run_type=kinds[0])
        ti = SimpleNamespace(
            get_previous_dagrun=lambda: before,
            get_task_states=lambda **asked: {"before": {"publish": task, "aggregate": aggregate}},
        )
        return DayBefore(task_id="publish_of_day_before", tasks=["aggregate", "publish"]).poke(
            {"ti": ti, "dag_run": SimpleNamespace(run_type=kinds[1])}
        )

    return ask


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
