"""A PostgreSQL database ↔ an archive, by the server's own pg_dump and pg_restore."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from expectations.errors import SetupError, UnavailableError
from jobs.local.postgres_cluster import tools

VARIABLES = {
    "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT",
}  # fmt: skip


def dump(uri: str, file: Path, server: int, schemas: Iterable[str] = (), snapshot: str = "") -> str:
    """Writes the database, or these schemas of it, for its owner alone; returns the tool's version.

    ``server``: major version of the server; ``snapshot``: of an open transaction, so that several archives agree.
    """
    found = tool("pg_dump", server, server)
    file.touch(mode=0o600)
    chosen = [f"--schema={name}" for name in schemas]
    more = [f"--snapshot={snapshot}"] if snapshot else []
    _run(uri, [str(found), "--format=custom", "--no-password", f"--file={file}", *chosen, *more])
    return str(_version(found))


def restore(uri: str, file: Path, server: int, made_by: int, role: str = "") -> None:
    """Makes what the archive holds, all of it or nothing; ``role`` is to own it (default: the uri's user)."""
    found = tool("pg_restore", server, made_by)
    own = [f"--role={role}"] if role else []
    _run(
        uri,
        [str(found), "--exit-on-error", "--single-transaction", "--no-owner", "--no-password",
         f"--dbname={conninfo_to_dict(uri)['dbname']}", *own, str(file)],
    )  # fmt: skip


def tool(name: str, server: int, least: int) -> Path:
    """The server's own, if PATH has it, else the embedded server's; SetupError where neither fits the server.

    ``least``: version of what wrote the archive. A server before 17 refuses what tools of 17 or newer say.
    """
    paths = [Path(path) for path in (shutil.which(name), tools() / name) if path and Path(path).exists()]
    fit = [path for path in paths if _version(path) >= max(server, least) and (_version(path) < 17 or server >= 17)]
    if not fit:
        wanted = f"{max(server, least)}" + (" or newer" if server >= 17 else "")
        raise SetupError(f"no {name} of PostgreSQL {wanted} for a server of {server}: install its client tools")
    return min(fit, key=_version)


@cache
def _version(tool: str | Path) -> int:
    said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    return int(re.search(r"\) (\d+)", said)[1])


def _run(uri: str, command: list[str]) -> None:
    """The address goes by environment: a command line is for everybody to read."""
    parts = conninfo_to_dict(uri)
    named = {VARIABLES[key]: str(value) for key, value in parts.items() if key in VARIABLES}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    done = subprocess.run(command, env={**inherited, **named}, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-3:]
        raise UnavailableError(f"{Path(command[0]).name} failed ({done.returncode}): {' '.join(said)}")
