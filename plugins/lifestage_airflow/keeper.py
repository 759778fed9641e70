"""keeper.py LOCK RECORD COMMAND…: runs one job and leaves only when nothing of it is left. See fence.py for why.

Standard library alone and no import of the package: it is run as a file, beside every job. LOCK: ``FD:PATH`` of the
lock that it holds. RECORD: what it writes into the lock's file, JSON, with the job's and its own process added.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

GRACE_S = 2.5
"""Seconds between SIGTERM and SIGKILL; Airflow itself kills the task 5 s after it asked it to end."""
WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
# Loaded before any fork: the child of a process that may have threads must not import.
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 2, 36


def end_with_parent(number: int, parent: int) -> None:
    """In a child: ``number`` when the thread that started it is gone, at once if it is gone already."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def started(pid: int) -> str | None:
    """When a process was started, in ticks since the machine's, which tells it from a later one of its id; else None.

    A process that is dead and not yet reaped counts as gone.
    """
    try:
        with open(f"/proc/{pid}/stat") as file:
            facts = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if facts[0] in "ZX" else facts[19]


def run(lock: int, path: str, record: dict, command: list[str]) -> int:
    """Runs the command in a session of its own; its exit status as ``waitpid`` gives it."""
    # Kept until asked for, so that none is missed between the job's start and the waiting for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    if LIBC:
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)  # what the job leaves behind is handed to this process
    process = _start(lock, command)  # held on to: a Popen that goes takes the status of a job that has ended with it
    job = process.pid
    status, asked = None, False
    try:
        mine, its = ((pid, started(pid)) for pid in (os.getpid(), job))
        os.pwrite(lock, json.dumps({**record, "keeper": mine, "job": its}).encode(), 0)
        while status is None and not asked:
            heard = signal.sigwait(WATCHED)
            asked = heard != signal.SIGCHLD
            status = _reap(job, status)
    finally:  # without its record, too, for which a full disk may have no room
        ended = end_session(job, status)
    with suppress(FileNotFoundError):
        os.unlink(path)  # while it is locked; whoever waits for it looks whether it is still there
    return ended


def _start(lock: int, command: list[str]) -> subprocess.Popen:
    parent = os.getpid()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        end_with_parent(signal.SIGKILL, parent)

    return subprocess.Popen(command, start_new_session=True, pass_fds=[lock], preexec_fn=prepare)


def _reap(job: int, status: int | None) -> int | None:
    """Takes in what has ended; the job's status as soon as it is known."""
    while True:
        try:
            pid, how = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        status = how if pid == job else status


def end_session(job: int, status: int | None) -> int:
    """SIGTERM to all of the job's session, SIGKILL to what is left after ``GRACE_S``; returns when nothing is left."""
    deadline = time.monotonic() + GRACE_S
    number = signal.SIGTERM
    while left := members(job):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(0.02)
        status = _reap(job, status)
        number = signal.SIGKILL if time.monotonic() > deadline else 0
    return _reap(job, status) or 0


def members(session: int) -> list[int]:
    """Who lives in a session, in whatever group: Spark's Python workers make one of their own.

    As ``os.kill`` takes them. A system without /proc tells only whether anybody is in its leader's group.
    """
    if os.path.isdir("/proc"):
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_in(session, pid)]
    with suppress(ProcessLookupError):
        os.killpg(session, 0)
        return [-session]
    return []


def _is_in(session: int, pid: int) -> bool:
    with suppress(OSError):
        return os.getsid(pid) == session and started(pid) is not None
    return False


def main() -> int:
    fd, _, path = sys.argv[1].partition(":")
    status = run(int(fd), path, json.loads(sys.argv[2]), sys.argv[3:])
    if os.WIFSIGNALED(status):  # told on as it came
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        os.kill(os.getpid(), number)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
