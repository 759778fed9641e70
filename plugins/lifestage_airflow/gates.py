"""Tasks that decide whether a run goes on, and when."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseSensorOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from lifestage_airflow.alerts import AlertNotifier
from lifestage_airflow.operators import JobOperator

ENDED = {"success", "skipped", "failed", "upstream_failed", "removed"}


class JobGate(JobOperator):
    """Asks a job whether the run goes on; if its last line says no, all that follows is skipped, and nothing failed.

    :param no: how the last line of standard output begins if the answer is no.
    :param is_open: templated; where it renders to "True", a person has answered and the job is not asked.
    """

    template_fields: Sequence[str] = (*JobOperator.template_fields, "is_open")

    def __init__(self, *, no: str, is_open: str = "", **kwargs) -> None:
        super().__init__(push_last_line=True, **kwargs)
        self.no, self.is_open = no, is_open

    def execute(self, context: Context) -> None:
        if self.is_open == "True":
            self.log.info("not asked: the run was started to go on in any case")
            return
        said = super().execute(context) or ""
        if said.startswith(self.no):
            raise AirflowSkipException(said)


class WarnOperator(JobOperator):
    """Runs a job that lists what warns; unless its last line begins with ``none``, that line is sent as an alert."""

    def __init__(self, *, none: str, **kwargs) -> None:
        super().__init__(push_last_line=True, **kwargs)
        self.none = none

    def execute(self, context: Context) -> None:
        said = super().execute(context) or ""
        if not said.startswith(self.none):
            AlertNotifier("warned", said)(context)


class DayBefore(BaseSensorOperator):
    """Waits while the run of the day before is on its way through ``tasks``: what follows reads what those leave.

    Where it has ended, failed, stands still in the queue or never was, nothing is waited for: a job says itself if it
    lacks something, and a run that waited for a failed one would keep the place in which that one is to be mended. A
    backfill's queue keeps places of its own, so that a scheduled day waits for the one before it in there.

    :param tasks: of this DAG. On a closed day a task is skipped as soon as that is known, beside those that still run.
    """

    def __init__(self, *, tasks: Sequence[str], **kwargs) -> None:
        super().__init__(mode="poke", poke_interval=2.0, **kwargs)
        self.tasks = list(tasks)

    def poke(self, context: Context) -> bool:
        ti = context["ti"]
        before = _on_its_way(ti, context["dag_run"])
        if before is None:
            return True
        known = ti.get_task_states(dag_id=before.dag_id, task_ids=self.tasks, run_ids=[before.run_id])
        states = {task: known.get(before.run_id, {}).get(task) for task in self.tasks}
        self.log.info("%s: %s", before.run_id, ", ".join(f"{task} {state}" for task, state in states.items()))
        return all(state in ENDED for state in states.values())


def _on_its_way(ti: Any, run: Any) -> Any:
    """The run of the day before, if it is running, or waits in a backfill that this one is not part of.

    Airflow gives the newest before a logical date. It is asked for by state, and known by its interval: between two
    days there may lie runs that somebody started by hand.
    """
    for state in ("running", "queued"):
        before = ti.get_previous_dagrun(state=state)
        if before is None or before.data_interval_end is None or before.data_interval_end < run.data_interval_start:
            continue
        if state == "running" or before.run_type == "backfill_job" != run.run_type:
            return before
    return None
