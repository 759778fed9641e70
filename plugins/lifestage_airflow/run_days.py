"""python -m lifestage_airflow.run_days --events FD DAY [DAY …]: lifestage_daily for days, in order, in one process.

Airflow is imported once and runs each day by ``dag.test``: the same DAG, operators, templates and metadata as under a
scheduler, at a tenth of a second a task. The runs stay in the metadata database with their intervals and their logs lie
where the UI looks for them. Stops at the first day that fails. Events go to file descriptor FD, one JSON object a line.
"""

import argparse
import json
import os
import sys
import time
from datetime import datetime, timedelta
from getpass import getuser
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.jobs.job import most_recent_job
from airflow.listeners import hookimpl
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.sdk import DAG
from airflow.sdk import timezone as utc
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.listener import get_listener_manager
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import update

from lifestage_airflow.schedule import DELAY, ZONE

DAG_ID = "lifestage_daily"
RETRIES, RETRY_DELAY = 2, timedelta(seconds=15)
"""A person waits here and can start again: less patience than the schedule's at night."""


class TaskWatch:
    """Hears from Airflow when tasks begin and end: tells it as events, and sends each task's log to a file of its own.

    With [logging] json_logs the process writes on standard output what Airflow's task log files hold, so while a task
    runs standard output is that task's file.
    """

    def __init__(self, events: TextIO) -> None:
        self._events = events
        self._own_output = os.dup(sys.stdout.fileno())
        self._began = time.monotonic()

    def tell(self, event: str, **facts: object) -> None:
        self._events.write(json.dumps({"event": event, **facts}) + "\n")
        self._events.flush()

    @hookimpl
    def on_task_instance_running(self, previous_state, task_instance):  # noqa: ANN001, ANN201 - Airflow's signature
        self._began = time.monotonic()
        note_start(task_instance)
        path = log_path(task_instance)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            self._switch_output(file.fileno())
        self.tell("begun", task=task_instance.task_id)

    @hookimpl
    def on_task_instance_success(self, previous_state, task_instance):  # noqa: ANN001, ANN201
        self._end("done", task_instance)

    @hookimpl
    def on_task_instance_failed(self, previous_state, task_instance, error):  # noqa: ANN001, ANN201
        final = isinstance(error, AirflowFailException) or task_instance.try_number > task_instance.max_tries
        self._end(
            "failed", task_instance, cause=str(error), exit_code=getattr(error, "exit_code", None), final=final,
            log=str(log_path(task_instance)),
        )  # fmt: skip

    def _end(self, event: str, task_instance: object, **facts: object) -> None:
        self._switch_output(self._own_output)
        self.tell(event, task=task_instance.task_id, seconds=round(time.monotonic() - self._began, 1), **facts)

    def _switch_output(self, target: int) -> None:
        sys.stdout.flush()
        os.dup2(target, sys.stdout.fileno())


def log_path(task_instance: object) -> Path:
    """Where Airflow's UI looks for the log of a try ([logging] log_filename_template's default)."""
    t = task_instance
    parts = (f"dag_id={t.dag_id}", f"run_id={t.run_id}", f"task_id={t.task_id}", f"attempt={t.try_number}.log")
    return Path(conf.get("logging", "base_log_folder"), *parts)


def note_start(task_instance: object) -> None:
    """The run began now; dag.test takes its logical date for the start, by which `airflow db clean` deletes runs."""
    t = task_instance
    of_run = (DagRun.dag_id == t.dag_id, DagRun.run_id == t.run_id, DagRun.start_date == DagRun.logical_date)
    with create_session() as session:
        session.execute(update(DagRun).where(*of_run).values(start_date=utc.utcnow()))


def refusal(bag: DagBag) -> str:
    """Why no day may be run now; empty if there is no reason."""
    if DAG_ID not in bag.dags:
        errors = "; ".join(map(str, bag.import_errors.values())) or f"no DAG {DAG_ID} in it"
        return f"dags/{DAG_ID}.py cannot be used: {errors}"
    with create_session() as session:
        known = DagModel.get_current(DAG_ID, session=session)
        scheduler = most_recent_job("SchedulerJob", session=session)
        if known and not known.is_paused and scheduler and scheduler.is_alive():
            return f"a scheduler is up and {DAG_ID} unpaused: it would run the same tasks at once. Pause the DAG first"
    return ""


def run_day(dag: DAG, day: datetime) -> str:
    """Runs the DAG for the business day that begins at ``day`` in the shop's time zone; the run's final state."""
    began = utc.utcnow()
    # Due when a scheduled run is: the UI then sorts runs by day.
    run_after = (day + timedelta(days=1) + DELAY).astimezone(utc.utc)
    run = dag.test(logical_date=day.astimezone(utc.utc), run_after=run_after)
    with create_session() as session:
        run = session.merge(run)  # with the start that dag.test took: see note_start
        run.start_date, run.triggered_by, run.triggering_user_name = began, DagRunTriggeredByType.CLI, getuser()
        return str(run.state)


def arg_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lifestage_airflow.run_days", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--events", type=int, required=True, metavar="FD", help="file descriptor that takes the events")
    parser.add_argument("days", nargs="+", type=datetime.fromisoformat, metavar="DAY")
    return parser


def main(args: argparse.Namespace) -> int:
    with os.fdopen(args.events, "w") as events:
        watch = TaskWatch(events)
        bag = DagBag(dag_folder=str(Path(conf.get("core", "dags_folder"), f"{DAG_ID}.py")), bundle_name="dags-folder")
        if reason := refusal(bag):
            watch.tell("refused", cause=reason)
            return 78
        get_listener_manager().add_listener(watch)
        dag = bag.dags[DAG_ID]
        for task in dag.tasks:
            task.retries, task.retry_delay = RETRIES, RETRY_DELAY
        for day in args.days:
            watch.tell("day", day=str(day.date()))
            state = run_day(dag, day.replace(tzinfo=ZoneInfo(ZONE)))
            watch.tell("day_done", day=str(day.date()), state=state)
            if state != "success":
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(arg_parser().parse_args()))
