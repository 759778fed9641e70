"""Ending processes together with everything they started, and only those."""

import signal
import time
from contextlib import suppress

import psutil

GRACE_S = 10.0


def end_tree(pid: int, grace_s: float = GRACE_S) -> bool:
    """SIGTERM to a process and all that descend from it, in whatever group; SIGKILL after ``grace_s`` seconds.

    False if there was no such process. Groups are not enough: an Airflow task runs its job in a session of its own.
    """
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
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
