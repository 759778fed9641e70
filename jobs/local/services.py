"""Long-running processes of a home: started in sessions of their own, found again by process id and start time."""

import json
import logging
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from expectations.errors import UnavailableError
from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.local.processes import CLOCK_SLACK_S, end_session

log = logging.getLogger(__name__)

POLL_S = 0.25
LAST_LINES = 15
"""How much of a log goes into the message about a service that did not start."""


@dataclass(frozen=True)
class Service:
    """What to start. ``environment`` replaces this process's own."""

    name: str
    command: list[str]
    environment: dict[str, str]
    port: int | None = None


@dataclass(frozen=True)
class Record:
    """What was started. ``started`` (seconds since the epoch) tells the process from a later one with the same id."""

    name: str
    pid: int
    started: float
    log: str
    port: int | None = None

    def is_running(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < CLOCK_SLACK_S
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def _folder(home: Home) -> Path:
    return home.run / "services"


def recorded(home: Home) -> Iterator[Record]:
    """Everything that was started over the home and not stopped since, running or not."""
    for file in sorted(_folder(home).glob("*.json")):
        yield Record(**json.loads(file.read_text()))


def running(home: Home) -> dict[str, Record]:
    """The services that run now, by name."""
    return {record.name: record for record in recorded(home) if record.is_running()}


def start(home: Home, service: Service) -> Record:
    """Starts a service and records it. Its output goes to ``logs/services/<name>.log``, the previous one to ``.1``.

    What an earlier one of the name has left behind is ended first, since its record is replaced.
    """
    for before in recorded(home):
        if before.name == service.name:
            stop(home, before)
    log_file = home.logs / "services" / f"{service.name}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    if log_file.exists():
        log_file.replace(log_file.with_suffix(".log.1"))
    with log_file.open("w") as output:
        process = subprocess.Popen(
            service.command, env=service.environment, cwd=REPOSITORY, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    started = psutil.Process(process.pid).create_time()
    record = Record(service.name, process.pid, started, str(log_file), service.port)
    _folder(home).mkdir(parents=True, exist_ok=True)
    staged = _folder(home) / f"{service.name}.new"
    staged.write_text(json.dumps(asdict(record)) + "\n")
    os.replace(staged, staged.with_suffix(".json"))
    return record


def stop(home: Home, record: Record) -> bool:
    """Ends the service with everything it started, even if it died itself; False if nothing was left."""
    was_running = end_session(record.pid, record.started)
    (_folder(home) / f"{record.name}.json").unlink(missing_ok=True)
    return was_running


def stop_all(home: Home, records: list[Record]) -> dict[str, bool]:
    """``stop`` for each, side by side, since every one takes seconds to leave; by name."""
    with ThreadPoolExecutor(max_workers=max(1, len(records))) as pool:
        ended = pool.map(lambda record: stop(home, record), records)
        return dict(zip((record.name for record in records), ended, strict=True))


def wait_until(healthy: Callable[[], str], records: list[Record], limit_s: float) -> float:
    """Waits until ``healthy`` returns nothing (else: what is still missing); returns the seconds it took.

    UnavailableError if a service ends meanwhile or ``limit_s`` seconds pass, with the last lines of its log.
    """
    began = time.monotonic()
    while missing := healthy():
        for record in records:
            if not record.is_running():
                raise UnavailableError(
                    f"{record.name} ended while it was starting:\n{_tail(record.log)}\nlog: {record.log}"
                )
        if time.monotonic() - began > limit_s:
            raise UnavailableError(
                f"not ready after {limit_s:.0f} s, still missing: {missing}; logs: {Path(records[0].log).parent}"
            )
        time.sleep(POLL_S)
    return time.monotonic() - began


def _tail(log_file: str) -> str:
    return "\n".join(Path(log_file).read_text(errors="replace").splitlines()[-LAST_LINES:])


def free_port(wanted: int, tries: int = 50) -> int:
    """``wanted`` on loopback, or the next one up that nothing listens on. UnavailableError if there is none."""
    for port in range(wanted, wanted + tries):
        with socket.socket() as probe:
            # As servers do, so that a port in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise UnavailableError(f"no free port between {wanted} and {wanted + tries - 1}: name another with --port")
