"""Two days under way keep their order: what a later day waits for, and what it never waits for."""

from types import SimpleNamespace

import pytest
from lifestage_airflow.gates import DayBefore


@pytest.fixture
def may_go():
    """Whether a day may go on, given the run before it (its state, or none) and the state of the task waited for."""

    def ask(run: str | None, task: str | None, aggregate: str | None = "success") -> bool:
        before = run and SimpleNamespace(dag_id="lifestage_daily", run_id="before", state=run)
        ti = SimpleNamespace(
            get_previous_dagrun=lambda: before,
            get_task_states=lambda **asked: {"before": {"publish": task, "aggregate": aggregate}},
        )
        return DayBefore(task_id="publish_of_day_before", tasks=["aggregate", "publish"]).poke({"ti": ti})

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
