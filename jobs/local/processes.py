"""Ending processes together with everything they started, and only those; one run over a home at a time."""

import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from expectations.errors import UnavailableError
from jobs.home import Home

GRACE_S = 10.0
CLOCK_SLACK_S = 5.0
"""Start times are reckoned from boot by the wall clock, so a correction of the clock moves them a little."""
# Loaded before any fork: the child of a process that may have threads must not import.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def end_with_parent(number: int = signal.SIGTERM) -> Callable[[], None] | None:
    """A ``preexec_fn`` by which the child gets a signal when the thread that starts it is gone; None off Linux."""
    if _LIBC is None:
        return None
    parent = os.getpid()

    def arrange() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before it could be told
            os.kill(os.getpid(), number)

    return arrange


@contextmanager
def only_run(home: Home) -> Iterator[None]:
    """Holds the home for one whole run; UnavailableError, with the other's process id, if another run has it.

    The lock is the kernel's, so that it goes with the process however that ends.
    """
    home.run.mkdir(parents=True, exist_ok=True)
    with (home.run / "run_shop.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise UnavailableError(
                f"another run is working on this home, pid {pid}: wait for it or end it ({home.path})"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def end_tree(pid: int, grace_s: float = GRACE_S) -> bool:
    """SIGTERM to a process and all that descend from it, in whatever group; SIGKILL after ``grace_s`` seconds.

    False if there was no such process. Groups are not enough: an Airflow task runs its job in a session of its own.
    """
    try:
        return _end([psutil.Process(pid)], grace_s)
    except psutil.NoSuchProcess:
        return False


def end_session(leader: int, started: float, grace_s: float = GRACE_S) -> bool:
    """``end_tree`` for all of the session of a process that was ``started`` then (seconds since the epoch).

    Finds what the leader has left behind if it died itself. False if nothing was left. The system gives a leader's id
    to no other process while its session has members, so a process of that id and another age means that it is gone.
    """
    with suppress(psutil.NoSuchProcess):
        if abs(psutil.Process(leader).create_time() - started) >= CLOCK_SLACK_S:
            return False
    return _end([process for process in psutil.process_iter() if _belongs(process, leader, started)], grace_s)


def _belongs(process: psutil.Process, session: int, started: float) -> bool:
    with suppress(psutil.Error, ProcessLookupError, PermissionError):
        since = process.create_time() - started
        return os.getsid(process.pid) == session and since > -CLOCK_SLACK_S and _alive(process)
    return False


def _end(family: list[psutil.Process], grace_s: float) -> bool:
    """Ends all of them, with their descendants, as one; False if there is none."""
    if not family:
        return False
    family = _grown(family)
    for process in family:
        _send(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(map(_alive, family)):
        time.sleep(0.05)
        family = _grown(family)
    for process in family:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(family, timeout=3)
    return True


def _grown(family: list[psutil.Process]) -> list[psutil.Process]:
    """With children that were started meanwhile."""
    known = {process.pid: process for process in family}
    for process in family:
        with suppress(psutil.NoSuchProcess):
            known |= {child.pid: child for child in process.children(recursive=True)}
    return list(known.values())


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        process.send_signal(number)  # psutil refuses if the id belongs to another process by now


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
