"""Addresses of the warehouse and connections to it. They start the embedded server, if setup has made it."""

import logging
import os
import time
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from expectations.errors import SetupError, UnavailableError
from jobs.home import Home
from jobs.home_secrets import secret
from jobs.local.postgres import ensure_running
from jobs.local.postgres_cluster import is_made

log = logging.getLogger(__name__)

WRITER = "lifestage_writer"
READER = "bi_reader"
ACTIVATION = "activation"
"""Reads marts and the vault, to turn segments back into the shop's own ids."""
READERS = (READER, ACTIVATION)
DATABASES = {"warehouse": WRITER, "airflow": "airflow", "mlflow": "mlflow"}
"""Database of the embedded server → the role that owns it."""

RETRY_S = 10
"""How long to try the embedded server, which comes back by itself after a crash."""


def uri(
    home: Home, role: str = WRITER, database: str = "warehouse", driver: str | None = None, socket: bool = False
) -> str:
    """libpq URI with the password in it; with ``driver``, SQLAlchemy's form of it (psycopg, psycopg2).

    ``socket``: through the Unix socket instead of loopback TCP. LIFESTAGE_WAREHOUSE_URI, if set, is the warehouse.
    """
    parts = _external(home, role) if is_external() and database == "warehouse" else None
    if parts is None:
        home.sources  # noqa: B018 - a wrong folder should say so, not be given a server
        if not is_made(home):
            raise SetupError(f"no warehouse in {home.path} yet: run `python -m jobs setup`")
        server = ensure_running(home)
        host = str(server.socket_folder) if socket else server.host
        password = secret(home, f"{role}_password")
        parts = {"user": role, "password": password, "host": host, "port": str(server.port), "dbname": database}
    return _joined(parts, driver)


def is_external() -> bool:
    """Whether the warehouse is a server of the user's own."""
    return bool(os.environ.get("LIFESTAGE_WAREHOUSE_URI"))


def airflow_uri(home: Home) -> str:
    """Address of Airflow's metadata database, as SQLAlchemy takes it."""
    return uri(home, "airflow", "airflow", "psycopg2")


def mlflow_uri(home: Home) -> str:
    """Address of MLflow's tracking store, as SQLAlchemy takes it."""
    return uri(home, "mlflow", "mlflow", "psycopg")


def connect(home: Home, role: str = WRITER, database: str = "warehouse", **options: object) -> psycopg.Connection:
    """A psycopg connection; ``options`` are psycopg.connect's.

    Raises SetupError where someone has to mend a role, a password or an address, UnavailableError where a later try
    may succeed.
    """
    deadline = time.monotonic() + RETRY_S
    while True:
        try:
            return connect_to(uri(home, role, database), role, database, **options)
        except UnavailableError:
            # The server may have died since we looked: the next look starts it again.
            if is_external() or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def administrator_uri(home: Home) -> str:
    """As who may read and make everything in it: the superuser of the home's own server, else the user given."""
    return os.environ["LIFESTAGE_WAREHOUSE_URI"] if is_external() else uri(home, "postgres")


def administrator(home: Home, **options: object) -> psycopg.Connection:
    """``connect`` as that user; SetupError where it does not own the vault, which the writer must not read."""
    if not is_external():
        return connect(home, "postgres", **options)
    connection = connect_to(administrator_uri(home), "its user", "of LIFESTAGE_WAREHOUSE_URI", **options)
    owns = "select pg_has_role(nspowner, 'usage') from pg_namespace where nspname = 'vault'"
    owned, user = connection.execute(owns).fetchone(), connection.info.user
    connection.rollback()
    if owned == (False,):
        connection.close()
        raise SetupError(
            f"{user} may not touch the vault: give LIFESTAGE_WAREHOUSE_URI the address of the administrator who made it"
        )
    return connection


def connect_to(address: str, role: str, database: str, **options: object) -> psycopg.Connection:
    """``connect`` for an address of one's own; ``role`` and ``database`` are what errors speak of."""
    try:
        return psycopg.connect(address, **{"application_name": "lifestage", "connect_timeout": 10} | options)
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise _explained(error, role, database) from error


def _explained(error: psycopg.Error, role: str, database: str) -> SetupError | UnavailableError:
    text = str(error).strip()
    if "authentication failed" in text or "does not exist" in text or "permission denied" in text:
        where = "LIFESTAGE_WAREHOUSE_URI" if is_external() else "the home's secrets"
        return SetupError(
            f"{role} may not connect to database {database}: {text}\n"
            f"`python -m jobs setup` makes databases and roles; passwords come from {where}"
        )
    return UnavailableError(f"the warehouse does not answer: {text}")


def _external(home: Home, role: str) -> dict[str, str]:
    """LIFESTAGE_WAREHOUSE_URI for ``role``: the writer's as it stands, another role's with that role's password."""
    try:
        parts = conninfo_to_dict(os.environ["LIFESTAGE_WAREHOUSE_URI"])
    except psycopg.ProgrammingError as error:
        raise SetupError("LIFESTAGE_WAREHOUSE_URI is no libpq address (postgresql://user:password@host/db)") from error
    if role == WRITER:
        if parts.get("user") != WRITER:  # an administrator's address: what we make still has to belong to the writer
            parts["options"] = f"{parts.get('options', '')} -crole={WRITER}".strip()
        return parts
    return parts | {"user": role, "password": external_password(home, role)}


def external_password(home: Home, role: str) -> str:
    """LIFESTAGE_BI_READER_PASSWORD, LIFESTAGE_ACTIVATION_PASSWORD or LIFESTAGE_WRITER_PASSWORD, else the generated one
    that setup gives the role."""
    return os.environ.get(_variable(role)) or secret(home, f"{role}_password")


def is_chosen(role: str) -> bool:
    """Whether the environment gives the role's password."""
    return bool(os.environ.get(_variable(role)))


def _variable(role: str) -> str:
    return f"LIFESTAGE_{role.removeprefix('lifestage_').upper()}_PASSWORD"


def _joined(parts: dict[str, str], driver: str | None) -> str:
    parts = {name: str(value) for name, value in parts.items()}
    scheme = f"postgresql+{driver}" if driver else "postgresql"
    login = ":".join(quote(parts.pop(name), safe="") for name in ("user", "password") if name in parts)
    database = quote(parts.pop("dbname", ""), safe="")
    host, port = parts.pop("host", ""), parts.pop("port", "")
    if host.startswith("/") or "," in host:  # a socket folder, or several hosts, stand in the query
        parts |= {"host": host} | ({"port": port} if port else {})
        host = port = ""
    address = f"[{host}]" if ":" in host else host
    query = f"?{urlencode(parts, quote_via=quote)}" if parts else ""
    return f"{scheme}://{login}{'@' if login else ''}{address}{':' if port else ''}{port}/{database}{query}"
