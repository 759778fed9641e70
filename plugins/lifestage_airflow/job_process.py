"""The process that runs a job, from its start under a keeper to the last line that it prints."""

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifestage_airflow import keeper
from lifestage_airflow.engine import REPOSITORY, Launch


def home_folder() -> Path:
    """As the jobs find it: $LIFESTAGE_HOME, else ``.lifestage`` beside the code."""
    return Path(os.environ.get("LIFESTAGE_HOME") or REPOSITORY / ".lifestage").expanduser().resolve()


def keep(plan: Launch, lock: int, path: Path, record: dict, without: tuple[str, ...] = ()) -> subprocess.Popen:
    """Starts the job under its keeper (fence.py says why), ``without`` these variables and Airflow's own settings."""
    hidden = ("AIRFLOW", "_AIRFLOW", "PYTHONPATH", *without)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    parent = os.getpid()
    return subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, f"{lock}:{path}", json.dumps(record), *plan.command],
        cwd=REPOSITORY,
        env={**kept, "PYTHONUNBUFFERED": "1", **plan.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        pass_fds=[lock],
        preexec_fn=lambda: keeper.end_with_parent(signal.SIGTERM, parent),
    )


@contextmanager
def ended_with_supervisor() -> Iterator[None]:
    """Meanwhile this process gets SIGTERM when the one that started it is gone, unless it gets another signal then."""
    told = ctypes.c_int()
    if not keeper.LIBC or threading.current_thread() is not threading.main_thread():
        yield
        return
    keeper.LIBC.prctl(keeper.PR_GET_PDEATHSIG, ctypes.byref(told))
    if told.value == 0:
        keeper.LIBC.prctl(keeper.PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        yield
    finally:
        keeper.LIBC.prctl(keeper.PR_SET_PDEATHSIG, told.value)


def lines(process: subprocess.Popen) -> Iterator[tuple[str, str]]:
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
                *whole, rests[key.data] = (rests[key.data] + chunk).split(b"\n")
                yield from ((key.data, line.decode(errors="replace")) for line in whole)
            if not ready and process.poll() is not None:
                break  # what is in no group of the job's may still hold the pipe
        yield from ((name, rest.decode(errors="replace")) for name, rest in rests.items() if rest)
