"""The operator that runs one job of the jobs environment as a process of its own."""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

REPOSITORY = Path(__file__).resolve().parents[2]
NO_RETRY = {65: "the data is wrong", 78: "a setting is wrong"}
"""Exit codes (expectations/errors.py) after which another try gives the same."""
GRACE_S = 2.5
"""Seconds between SIGTERM and SIGKILL; Airflow itself kills the task 5 s after it asked it to end."""


class JobFailed(AirflowException):
    """The job ended with an error that another try may not give. ``exit_code`` is negative for a signal."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class JobRefused(AirflowFailException):
    """The job ended with an error that every other try gives too."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class JobOperator(BaseOperator):
    """Runs ``python -m <arguments>`` in the jobs environment, from the repository's root, and streams what it prints.

    The interpreter is $LIFESTAGE_PYTHON, else ``.venv/bin/python`` beside the plugins. The job inherits the
    environment without Airflow's own settings. Exit codes 65 and 78 fail at once; any other failure is retried.

    :param arguments: module and arguments, templated one by one; none may render to nothing.
    :param push_last_line: return the last line of standard output (a name or a path, never data) as the XCom.
    """

    template_fields: Sequence[str] = ("arguments",)
    ui_color = "#e8f0fe"

    def __init__(self, *, arguments: Sequence[str], push_last_line: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.arguments = list(arguments)
        self.push_last_line = push_last_line
        self._process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        """What is run, interpreter first."""
        python = os.environ.get("LIFESTAGE_PYTHON") or REPOSITORY / ".venv/bin/python"
        return [str(python), "-m", *self.arguments]

    def execute(self, context: Context) -> str | None:
        if not all(map(str.strip, self.arguments)):
            raise AirflowFailException(f"an argument rendered to nothing: {self.arguments}")
        command = self.command()
        self.log.info("running %s", subprocess.list2cmdline(command))
        try:
            self._process = _start(command)
        except OSError as error:
            raise AirflowFailException(f"cannot start {command[0]}: {error}. Set LIFESTAGE_PYTHON") from error
        last = {"stdout": "", "stderr": ""}
        try:
            for stream, line in _lines(self._process):
                self.log.info("%s", line)
                last[stream] = line if line.strip() else last[stream]
            code = self._process.wait()
        finally:
            self.on_kill()
        self._raise_for(code, last["stderr"] or last["stdout"])
        return last["stdout"].strip() if self.push_last_line else None

    def on_kill(self) -> None:
        """Ends the job and everything it started; does nothing after a normal end."""
        if self._process is not None:
            end_group(self._process)

    def _raise_for(self, code: int, cause: str) -> None:
        if code in NO_RETRY:
            raise JobRefused(f"{NO_RETRY[code]} (exit {code}): {cause}", code)
        if code:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
            raise JobFailed(f"the job failed ({how}): {cause}", code)


def _start(command: list[str]) -> subprocess.Popen:
    """The job in a session of its own, so that one signal reaches all it starts."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "_AIRFLOW", "PYTHONPATH"))
    }
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**kept, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_end_with_parent if _LIBC else None,
    )


# Loaded before any fork: the child of a process that may have threads must not import.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """In the child: SIGTERM when the task process dies. A killed worker would else leave a job beside its own retry."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _lines(process: subprocess.Popen) -> Iterator[tuple[str, str]]:
    """(stream, line) as they come, until the job has closed both streams or is gone."""
    with selectors.DefaultSelector() as selector:
        rests = {"stdout": b"", "stderr": b""}
        for name in rests:
            selector.register(getattr(process, name), selectors.EVENT_READ, name)
        while selector.get_map():
            ready = selector.select(timeout=1.0)
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                *lines, rests[key.data] = (rests[key.data] + chunk).split(b"\n")
                yield from ((key.data, line.decode(errors="replace")) for line in lines)
            if not ready and process.poll() is not None:
                break  # a child that outlives the job still holds the pipe; it is ended with the group
        yield from ((name, rest.decode(errors="replace")) for name, rest in rests.items() if rest)


def end_group(process: subprocess.Popen, grace_s: float = GRACE_S) -> None:
    """SIGTERM to the whole group, SIGKILL to what is left after ``grace_s``."""
    deadline = time.monotonic() + grace_s
    _signal(process.pid, signal.SIGTERM)
    while _signal(process.pid, 0) and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.05)
    _signal(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)


def _signal(group: int, number: int) -> bool:
    """False when no process of the group is left. A job is its group's leader, so their ids agree."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
