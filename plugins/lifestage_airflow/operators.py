"""The operators that run one job of the jobs environment as a process of its own."""

import errno
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from lifestage_airflow import keeper, pools
from lifestage_airflow.engine import REPOSITORY, EngineError, Launch, launch
from lifestage_airflow.fence import lock_file, only_attempt
from lifestage_airflow.job_process import ended_with_supervisor, home_folder, keep, lines
from lifestage_airflow.links import links_of

TOLD_LINES = 15
"""Of an error, in an alert: most name each file or check that is wrong, a line each, and then what to do."""
NO_RETRY = {65: "the data is wrong", 78: "a setting is wrong"}
"""Exit codes (expectations/errors.py) after which another try gives the same."""
AIRFLOW_DB = "LIFESTAGE_AIRFLOW_DB"
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
"""What a wrong folder gives; of any other error (a full disk, a share that is away) another try may be free."""
MLFLOW_RUN = re.compile(r"MLflow run: (experiments/\w+/runs/\w+)$")
"""How a job says which run it writes to (ml/tracking.py)."""


class JobFailed(AirflowException):
    """The job ended with an error that another try may not give. ``exit_code`` is negative for a signal."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class JobRefused(AirflowFailException):
    """The job ended, or could not be started, with an error that every other try gives too."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class JobOperator(BaseOperator):
    """Runs ``python -m <arguments>`` in the jobs environment, from the repository's root, and streams what it prints.

    The interpreter is $LIFESTAGE_PYTHON, else ``.venv/bin/python`` beside the plugins. The job inherits the
    environment without Airflow's own settings. Exit codes 65 and 78 fail at once; any other failure is retried. One
    attempt at the same work runs at a time (fence.py).

    :param arguments: module and arguments, templated one by one; none may render to nothing.
    :param push_last_line: return the last line of standard output (a name or a path, never data) as the XCom.
    :param uses_engine: run on what Airflow's connection ``lifestage_engine`` names (engine.py).
    :param cleans_airflow: give it $LIFESTAGE_AIRFLOW_DB, the address of Airflow's metadata, which no other job gets.
    """

    template_fields: Sequence[str] = ("arguments",)
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        arguments: Sequence[str],
        push_last_line: bool = False,
        uses_engine: bool = False,
        cleans_airflow: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = list(arguments)
        self.push_last_line = push_last_line
        self.uses_engine = uses_engine
        self.cleans_airflow = cleans_airflow
        self.operator_extra_links = links_of(self.arguments)
        # Of an attempt, for its links.
        self.exit_code: int | None = None
        self.mlflow_run = ""
        self._process: subprocess.Popen | None = None
        self._asked_to_end = False

    def launch(self) -> Launch:
        """What is run, interpreter or spark-submit first. JobRefused where it cannot be."""
        python = str(os.environ.get("LIFESTAGE_PYTHON") or REPOSITORY / ".venv/bin/python")
        if not all(map(str.strip, self.arguments)):
            raise AirflowFailException(f"an argument rendered to nothing: {self.arguments}")
        if not shutil.which(python):
            raise JobRefused(f"cannot start {python}: no such program. Set LIFESTAGE_PYTHON", 78)
        try:
            plan = launch(python, self.arguments) if self.uses_engine else Launch([python, "-m", *self.arguments])
        except EngineError as error:
            raise JobRefused(str(error), 78) from error
        if not shutil.which(plan.command[0], path=plan.environment.get("PATH")):
            raise JobRefused(f"cannot start {plan.command[0]}: no such program. Set SPARK_HOME", 78)
        return plan

    def execute(self, context: Context) -> str | None:
        plan = self.launch()
        self.log.info("running %s", plan.hidden(plan.shown or subprocess.list2cmdline(plan.command)))
        last, told = "", []
        with ended_with_supervisor():
            self._start(plan, context)
            try:
                for stream, line in ((stream, plan.hidden(line)) for stream, line in lines(self._process)):
                    self.log.info("%s", line)
                    if stream == "stderr":
                        told = self._told(told, line)
                    elif line.strip():
                        last = line
                    self.mlflow_run = found[1] if (found := MLFLOW_RUN.search(line)) else self.mlflow_run
                self.exit_code = self._process.wait()
            finally:
                self._end()
        self._raise_for(self.exit_code, "\n".join(told).rstrip() or last)
        return last.strip() if self.push_last_line else None

    def on_kill(self) -> None:
        """Ends the job and everything it started; does nothing after a normal end."""
        self._asked_to_end = True
        self._end()

    def _start(self, plan: Launch, context: Context) -> None:
        path = lock_file(home_folder(), self.arguments)
        try:
            with only_attempt(path, _task_of(context, self.task_id), lambda: self._asked_to_end) as (lock, record):
                if lock is not None:
                    self._process = keep(plan, lock, path, record, without=() if self.cleans_airflow else (AIRFLOW_DB,))
        except OSError as error:
            if error.errno not in NOT_WRITABLE:
                raise JobFailed(f"the lock of the task cannot be had, {path}: {error}", 75) from error
            raise JobRefused(f"the home cannot be written to, {path}: {error}. Set LIFESTAGE_HOME", 78) from error
        if self._process is None:
            raise JobFailed("the task was asked to end before its job had begun", -signal.SIGTERM)

    def _end(self) -> None:
        """Waits for the keeper to have ended all; what takes longer is left to it: it holds the lock till then."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=keeper.GRACE_S + 1)

    def _told(self, told: list[str], line: str) -> list[str]:
        """The error as the job tells it: from the last line that begins with its name, and without one the last line.

        ``told``: what this gave for the lines before ``line``, of standard error.
        """
        name = f"{''.join(self.arguments[1:2])}: "
        if line.startswith(name) or not (told and told[0].startswith(name)):
            return [line] if line.strip() else told
        return [*told, line][:TOLD_LINES]

    def _raise_for(self, code: int, cause: str) -> None:
        if code in NO_RETRY:
            raise JobRefused(f"{NO_RETRY[code]} (exit {code}): {cause}", code)
        if code:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
            raise JobFailed(f"the job failed ({how}): {cause}", code)
        if self._asked_to_end:
            raise JobFailed("the task was asked to end", -signal.SIGTERM)


class TrainOperator(JobOperator):
    """A job that wants a GPU where there is one: workers of queue $LIFESTAGE_GPU_QUEUE, if that is set, and one at a
    time by pool ``lifestage_gpu``."""

    ui_color = "#fef3e0"

    def __init__(self, **kwargs) -> None:
        queue = os.environ.get("LIFESTAGE_GPU_QUEUE")
        super().__init__(**{"pool": pools.GPU, **({"queue": queue} if queue else {}), **kwargs})


def _task_of(context: Context, task_id: str) -> str:
    """The task instance, whatever its try."""
    if ti := context.get("ti"):
        return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
    return task_id
