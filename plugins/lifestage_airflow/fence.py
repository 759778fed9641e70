"""One attempt at a piece of work at a time: a retry never runs beside its predecessor, however that was ended.

What is fenced is a job with its arguments (``jobs encode_text --ds 2017-12-30``), by a lock (flock) on a file of that
name under ``<home>/run/tasks``. Between the task and the job stands a keeper (keeper.py), a small process that holds
the lock and leaves only when no process of the job's session is left. From this follows:

- **A task is ended** (marked failed, timed out, its worker shut down): it asks the keeper to end, and waits for it.
- **The task process is killed**, SIGKILL included: the kernel sends the keeper SIGTERM (PR_SET_PDEATHSIG), and it ends
  the session, first with SIGTERM, then with SIGKILL. All the time the lock is held.
- **The supervisor or the whole worker is killed:** the kernel sends the task process SIGTERM in the same way, while a
  job runs under it, which then ends as above. Where it does not, the retry finds the lock held.
- **The keeper itself is killed:** the kernel kills the job, which holds the lock too, by an inherited descriptor. What
  the job had started may live on; the retry ends it, by the session's id, before it starts.
- **A retry that finds the lock held** reads in the file who holds it. An earlier attempt of the same task on the same
  machine is asked to end, then killed. Anything else (another machine of the home, another run of the same day) is
  waited for, as long as the task's own time limit allows. The lock is the kernel's: it goes with the last process that
  holds it, so that no clean-up is needed after a crash, a power cut included.

On spark-submit the session is spark-submit's, Java and the Python driver: in client mode the work lives as long as its
driver, since executors end when it is gone. Cluster mode is refused for this reason (engine.py).

How far it reaches: not to what leaves the session, as the home's PostgreSQL does, which a job may start and which is to
outlive it. And as far as flock on the home does. That is every process of a machine, containers that share the volume,
and machines that mount it by NFS 4 or another file system whose locks all its machines see. Across machines a keeper
that is killed alone, by name, leaves its job's children for the moments that they need to see it.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lifestage_airflow.keeper import GRACE_S, members, started

log = logging.getLogger(__name__)
POLL_S = 0.1
PATIENCE_S = 4 * GRACE_S
"""How long an earlier attempt that was asked to end may take."""


def lock_file(home: Path, arguments: Sequence[str]) -> Path:
    """Where the lock of this work lies: named by job and arguments, as far as a file's name can be."""
    text = " ".join(arguments)
    name = re.sub(r"[^\w.=-]+", "_", text)[:80]
    return home / "run" / "tasks" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.lock"


def machine() -> str:
    """Within what process ids mean the same: one boot of one machine, one container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


@contextmanager
def only_attempt(path: Path, task: str, given_up: Callable[[], bool]) -> Iterator[tuple[int | None, dict]]:
    """Holds the lock until the block has handed it to a keeper: its descriptor, and the record to give the keeper.

    ``task`` names the task instance without its try. Waits for others' attempts, ends what is left of its own. No
    descriptor but None where it was ``given_up`` meanwhile.
    """
    record = {"task": task, "machine": machine()}
    lock = _locked(path, record, given_up)
    try:
        yield lock, record
    finally:
        if lock is not None:
            os.close(lock)


def _locked(path: Path, record: dict, given_up: Callable[[], bool]) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    asked: dict[str, float] = {}
    while not given_up():
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(lock, path):
                _kill_left(_read(lock), record)
                os.ftruncate(lock, 0)
                return lock
        except BlockingIOError:
            _ask(_read(lock), record, asked)
            time.sleep(POLL_S)
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
    return None


def _is_at(lock: int, path: Path) -> bool:
    """Whether the file that was locked is still the one of that name: a keeper removes it when it leaves."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(lock), os.stat(path))
    return False


def _read(lock: int) -> dict:
    with suppress(ValueError):
        return json.loads(os.pread(lock, os.fstat(lock).st_size, 0))
    return {}  # its holder has only just started


def _ask(holder: dict, record: dict, asked: dict[str, float]) -> None:
    """Asks an earlier attempt of the same task to end, and kills it in the end; says once who else is waited for."""
    if not holder:
        return
    who = json.dumps(holder)
    first = asked.setdefault(who, now := time.monotonic())
    if any(holder[key] != value for key, value in record.items()):
        if first == now:
            log.warning("waiting for %s on %s, which does this very work", holder["task"], holder["machine"])
    elif first == now:
        log.warning("an earlier attempt still runs (process %s): ending it", holder["job"][0])
        _signal(holder["keeper"], signal.SIGTERM)
    elif now - first > PATIENCE_S:
        _signal(holder["keeper"], signal.SIGKILL)
        _kill_left(holder, record)


def _kill_left(holder: dict, record: dict) -> None:
    """Kills what a job has left in its session, where its keeper was killed. Other machines' processes are not ours.

    The system gives the id of a session that has members to no other process: one of that id and another age means
    that the session is gone.
    """
    if not holder or holder["machine"] != record["machine"]:
        return
    session, since = holder["job"]
    if started(session) not in (None, since):
        return
    for pid in members(session):
        log.warning("an earlier attempt left process %s behind: killing it", pid)
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _signal(process: list, number: int) -> None:
    pid, since = process
    with suppress(ProcessLookupError):
        if since and started(pid) == since:
            os.kill(pid, number)
