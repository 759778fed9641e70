"""Create a shop's home: the server, its databases and roles, the tables and views, the customer key. Safe to repeat.

Other servers of one's own: LIFESTAGE_WAREHOUSE_URI (the warehouse) and MLFLOW_TRACKING_URI (runs and models).
"""

import argparse
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from expectations.errors import SetupError, UnavailableError
from expectations.tables import WAREHOUSE
from expectations.views import VIEWS, shown_type
from jobs.arguments import job_parser
from jobs.home import Home
from jobs.home_secrets import secret
from jobs.local.postgres import ensure_running
from jobs.marts.vault_ddl import vault_statements
from jobs.marts.versions import columns_of, older_versions
from jobs.marts.warehouse import (
    ACTIVATION,
    DATABASES,
    READER,
    READERS,
    WRITER,
    connect,
    connect_to,
    external_password,
    is_chosen,
    is_external,
    mlflow_uri,
)
from jobs.marts.warehouse_ddl import (
    database_statements,
    reader_statements,
    shown_statements,
    stored_name,
    stored_statements,
    superuser_statements,
)
from jobs.reading import keys
from jobs.reading.mapping import load_mapping

log = logging.getLogger(__name__)

SETUP_LOCK = 0x4C534554
"""Advisory lock that keeps two setups of one warehouse apart."""


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("setup", __doc__)
    parser.add_argument("--source", metavar="S", help="a source of the shop, by its file jobs/sources/S.yaml")
    parser.add_argument("--landing", type=Path, metavar="DIR", help="where S delivers (default: <home>/landing/S)")
    return parser


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    mapping = load_mapping(args.source) if args.source else None
    home.run.mkdir(parents=True, exist_ok=True)
    with open(home.run / "setup.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one setup at a time
        if mapping:
            home.adopt(mapping.shop, mapping.source, args.landing, mapping.simulated)
        set_up(home)


def set_up(home: Home) -> None:
    """Everything of a home that has a shop; leaves what is there as it is."""
    log.info("home %s, sources %s", home.path, ", ".join(home.sources))
    for folder in (home.landing, home.lake, home.mlflow, home.airflow, home.logs, home.run, home.validations):
        folder.mkdir(parents=True, exist_ok=True)
    keys.ensure_key(home)
    create_warehouse(home)
    write_tracking_uri(home)
    log.info("the warehouse is ready: `python -m jobs warehouse_uri` prints its address")


def create_warehouse(home: Home) -> None:
    """Databases, roles, schemas, tables, views and grants; leaves what is there as it is."""
    if is_external():
        with _needing_rights():
            _prepare_external(home)
    if not (is_external() and os.environ.get("MLFLOW_TRACKING_URI")):
        _prepare_embedded(home)
    with _needing_rights(), connect(home) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [SETUP_LOCK])
        connection.execute("set local lock_timeout = '10s'")  # rather than hold up readers behind a long query
        refuse_other_columns(connection)
        _run(connection, stored_statements())
        _drop_changed_views(connection)
        _run(connection, shown_statements(READERS, shop_text(home), older_versions(connection)))


@contextmanager
def _needing_rights() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise SetupError(
            f"the user of LIFESTAGE_WAREHOUSE_URI may not set the warehouse up ({error}): let an administrator create "
            f"the roles {WRITER}, {READER} and {ACTIVATION} (login) and make {WRITER} the owner of the database"
        ) from error
    except psycopg.errors.LockNotAvailable as error:
        raise UnavailableError("a query has held the marts for 10 s, and setup does not shut it out: retry") from error


def _prepare_embedded(home: Home) -> None:
    """As the superuser of the home's own server, which is made here and nowhere else."""
    ensure_running(home)
    with connect(home, "postgres", "postgres", autocommit=True) as admin:
        admin.execute("select pg_advisory_lock(%s)", [SETUP_LOCK])
        for role in (*DATABASES.values(), *READERS):
            _ensure_role(admin, role, secret(home, f"{role}_password"))
        there = {name for (name,) in admin.execute("select datname from pg_database")}
        for database, owner in DATABASES.items():
            if database not in there:
                admin.execute(f"create database {database} owner {owner}")
            admin.execute(f"revoke all on database {database} from public")
        admin.execute("revoke connect on database postgres, template1 from public")
        _run(admin, [statement for role in READERS for statement in reader_statements(role)])
        if not is_external():
            with connect(home, "postgres", "warehouse") as inside:
                _run(inside, [*database_statements("warehouse", READERS), *superuser_statements()])
                _ensure_vault(inside)


def _prepare_external(home: Home) -> None:
    """As the user that LIFESTAGE_WAREHOUSE_URI names."""
    with connect_to(os.environ["LIFESTAGE_WAREHOUSE_URI"], "its user", "of LIFESTAGE_WAREHOUSE_URI") as admin:
        admin.execute("select pg_advisory_xact_lock(%s)", [SETUP_LOCK])
        there = {name for (name,) in admin.execute("select rolname from pg_roles")}
        for role in {WRITER, *READERS} - there:
            _ensure_role(admin, role, external_password(home, role))
        for role in READERS:
            _renew_reader(home, admin, role, role in there)
        database = sql.Identifier(admin.info.dbname).as_string(admin)
        if admin.info.user != WRITER:
            admin.execute(f"grant create on database {database} to {WRITER}")
        _run(admin, database_statements(database, READERS))
        _ensure_vault(admin)
        if admin.info.parameter_status("is_superuser") == "on":
            _run(admin, superuser_statements())


def _ensure_vault(admin: psycopg.Connection) -> None:
    """Leaves a vault alone that another user owns: whoever made it keeps the writer out of it."""
    there = "select pg_has_role(nspowner, 'usage') from pg_namespace where nspname = 'vault'"
    if admin.execute(there).fetchone() != (False,):
        _run(admin, vault_statements(ACTIVATION, WRITER))


def _renew_reader(home: Home, admin: psycopg.Connection, role: str, was_there: bool) -> None:
    """Its sessions' habits; of a reader that was there, only a password that someone chose for it here is set."""
    try:
        with admin.transaction():
            if was_there and is_chosen(role):
                _ensure_role(admin, role, external_password(home, role))
            _run(admin, reader_statements(role))
    except psycopg.errors.InsufficientPrivilege:
        log.info("%s keeps the password and settings it has: our user may not change them", role)


def _run(connection: psycopg.Connection, statements: list[str]) -> None:
    for statement in statements:
        connection.execute(statement)


def _ensure_role(admin: psycopg.Connection, role: str, password: str) -> None:
    if not admin.execute("select from pg_roles where rolname = %s", [role]).rowcount:
        admin.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    # Sent hashed, so that no log of the server's can hold it.
    hashed = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    admin.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(hashed)))


def shop_text(home: Home) -> str:
    """Whose data the marts show: shop, sources with their time zones and currencies, and what is simulated."""
    mappings = [load_mapping(source) for source in home.sources]
    each = (
        f"{m.source} (time zone {m.timezone}, currency {m.currency}{', simulated data' * m.simulated})"
        for m in mappings
    )
    return f"Shop: {', '.join(dict.fromkeys(m.shop for m in mappings))}. Sources: {', '.join(each)}."


def _drop_changed_views(connection: psycopg.Connection) -> None:
    """Views whose columns are no longer their contract's: `create or replace` can only add columns at the end."""
    there = {name for (name,) in connection.execute("select viewname from pg_views where schemaname = 'marts'")}
    for name, view in VIEWS.items():
        found = list(columns_of(connection, f"marts.{name}").items()) if name in there else []
        if found and found != [(column.name, shown_type(column)) for column in view.table.columns]:
            connection.execute(f"drop view marts.{name}")


def refuse_other_columns(connection: psycopg.Connection) -> None:
    """SetupError if a stored table differs from its contract: a changed contract needs a new version."""
    for table in WAREHOUSE:
        name = f"warehouse.{stored_name(table)}"
        found = list(columns_of(connection, name))
        if found and found != table.column_names:
            raise SetupError(
                f"{name} holds other columns than its contract: {', '.join(sorted({*found} ^ {*table.column_names}))}. "
                f"Raise the contract's version (Table(version={table.version + 1})), so that it becomes a new table"
            )


def write_tracking_uri(home: Home) -> None:
    """Where MLflow's clients find the home's tracking store: a password in it, so for the owner alone."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return
    staged = home.mlflow / ".tracking_uri"
    staged.unlink(missing_ok=True)
    with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(mlflow_uri(home))
    os.replace(staged, home.mlflow / "tracking_uri")
