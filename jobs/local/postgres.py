"""The embedded PostgreSQL server: start, find and stop it. One server a home, whoever started it."""

import fcntl
import json
import logging
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from expectations.errors import SetupError, UnavailableError
from jobs.home import Home
from jobs.local.postgres_cluster import data_folder, give_to_server, log_file, prepare, run_tool, write_settings

log = logging.getLogger(__name__)

START_TIMEOUT_S = 120
"""How long a start may take; recovery after a crash reads the log of the last minutes."""

STOP_TIMEOUT_S = 60
"""How long a stop may take: it writes out what the caches hold."""

LOG_BYTES = 5_000_000
"""A server log above this size is set aside at the next start."""


@dataclass(frozen=True)
class Server:
    """A running server: its process, and where it listens."""

    pid: int
    port: int
    socket_folder: Path
    host: str = "127.0.0.1"


def ensure_running(home: Home, started_by: str = "job") -> Server:
    """The home's server, started if it is not running; safe when several processes call it at once.

    ``started_by`` is recorded by whoever starts it, so that ``stop`` can leave alone what others started.
    """
    if server := running(home):
        return server
    with _locked(home):
        _await_change(home)
        return running(home) or _start(home, started_by)


def running(home: Home) -> Server | None:
    """The home's server if it accepts connections, else None."""
    lines = _pid_file(home)
    # Lines of postmaster.pid: process, data directory, start, port, socket folder, address, shared memory, status.
    if len(lines) < 8 or lines[7].strip() != "ready" or not _is_ours(home, int(lines[0])):
        return None
    return Server(pid=int(lines[0]), port=int(lines[3]), socket_folder=Path(lines[4]))


def stop(home: Home, started_by: str | None = None) -> bool:
    """Stops the server and says whether there was one to stop; with ``started_by``, only if that one started it."""
    with _locked(home):
        server = running(home)
        if server is None or (started_by and _record(home).get("started_by") != started_by):
            return False
        os.kill(server.pid, signal.SIGINT)  # a fast shutdown: open transactions are rolled back
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while _is_ours(home, server.pid):
            if time.monotonic() > deadline:
                raise UnavailableError(f"the embedded PostgreSQL does not stop; log: {log_file(home)}")
            time.sleep(0.02)
        _record_file(home).unlink(missing_ok=True)
    return True


def _start(home: Home, started_by: str) -> Server:
    begun = time.monotonic()
    prepare(home)
    _drop_stale_locks(home)
    _open_log(home)
    _note(home, started_by=started_by)
    while True:
        write_settings(home)
        read_from = log_file(home).stat().st_size
        try:
            run_tool(
                # Relative to the working directory: pg_ctl hands its paths to a shell, where a quote would end them.
                home, "pg_ctl", "start", "--pgdata", data_folder(home).name, "--log", log_file(home).name,
                "--wait", "--timeout", str(START_TIMEOUT_S), "--silent",
            )  # fmt: skip
            break
        except UnavailableError as error:
            said = log_file(home).read_bytes()[read_from:].decode(errors="replace")
            # Backends of a killed server take a moment to leave; a port may be taken between our look and its start.
            transient = "shared memory block" in said or "could not create any TCP/IP sockets" in said
            if not transient or time.monotonic() - begun > START_TIMEOUT_S:
                raise UnavailableError(
                    f"the embedded PostgreSQL did not start: {error}\n{said.strip()[-2000:]}\nlog: {log_file(home)}"
                ) from error
            time.sleep(0.2)
    server = running(home)
    if server is None:
        raise UnavailableError(f"the embedded PostgreSQL started and left again; log: {log_file(home)}")
    _follow_port(home, server.port)
    _note(home, started_by=started_by, server=server)
    log.info("PostgreSQL runs on 127.0.0.1:%d (started in %.1f s)", server.port, time.monotonic() - begun)
    return server


# -- processes ---------------------------------------------------------------------------------------------------------


def _is_ours(home: Home, pid: int) -> bool:
    """Whether the process is a server on this home's data: a server's working directory is its data directory."""
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and Path(process.cwd()) == data_folder(home).resolve()
    except (psutil.Error, OSError):
        return False


def _await_change(home: Home) -> None:
    """Waits while the server is starting or stopping by another hand."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while (lines := _pid_file(home)) and _is_ours(home, int(lines[0])) and running(home) is None:
        if time.monotonic() > deadline:
            raise UnavailableError(f"the embedded PostgreSQL neither starts nor stops; log: {log_file(home)}")
        time.sleep(0.05)


def _drop_stale_locks(home: Home) -> None:
    """Removes lock files of a dead server whose process number another program has now (after a reboot, say).

    The server itself clears the rest, and only where nobody uses its shared memory any more: so where any process
    still works in the data directory, nothing is touched.
    """
    lines = _pid_file(home)
    if not lines or not psutil.pid_exists(int(lines[0])):
        return
    if any(_is_ours(home, pid) for pid in psutil.pids()):
        return
    log.info("removing the lock files of a server that no longer runs (process %s is another program)", lines[0])
    for lock in (data_folder(home) / "postmaster.pid", *Path(lines[4]).glob(".s.PGSQL.*.lock")):
        with suppress(FileNotFoundError):
            lock.unlink()


# -- files -------------------------------------------------------------------------------------------------------------


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    home.run.mkdir(parents=True, exist_ok=True)
    with open(home.run / "postgres.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _pid_file(home: Home) -> list[str]:
    try:
        lines = (data_folder(home) / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise SetupError(f"the database under {home.postgres} belongs to another user: run as that user") from error
    return lines if lines and lines[0].strip().isdigit() else []


def _record_file(home: Home) -> Path:
    return home.run / "postgres.json"


def _record(home: Home) -> dict:
    file = _record_file(home)
    return json.loads(file.read_text()) if file.exists() else {}


def _note(home: Home, started_by: str, server: Server | None = None) -> None:
    record = {"started_by": started_by}
    if server:
        created = psutil.Process(server.pid).create_time()
        record |= {"pid": server.pid, "process_started": created, "port": server.port}
    staged = _record_file(home).with_suffix(".new")
    staged.write_text(json.dumps(record) + "\n")
    os.replace(staged, _record_file(home))


def _follow_port(home: Home, port: int) -> None:
    """Mends the address that setup wrote for MLflow, if the server had to move to another port."""
    file = home.mlflow / "tracking_uri"
    if not file.exists():
        return
    old = file.read_text()
    new = re.sub(r"@127\.0\.0\.1:\d+/", f"@127.0.0.1:{port}/", old)
    if new != old:
        file.write_text(new)
        log.warning("another program holds PostgreSQL's old port: it moved to %d", port)


def _open_log(home: Home) -> None:
    file = log_file(home)
    if file.exists() and file.stat().st_size > LOG_BYTES:
        file.rename(file.with_suffix(".log.1"))
    file.touch(mode=0o600)
    give_to_server(home, file)
