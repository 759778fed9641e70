"""The warehouse: whether each role comes in, what it may see there, version, tables and clock."""

import time
from contextlib import closing

import psycopg

from expectations.errors import SetupError
from expectations.tables import WAREHOUSE
from expectations.views import VIEWS
from jobs.health.finding import ANSWER_SECONDS, Doubt
from jobs.health.machine import SLACK_S
from jobs.home import Home
from jobs.marts.versions import columns_of
from jobs.marts.warehouse import ACTIVATION, READER, WRITER, connect, is_external
from jobs.marts.warehouse_ddl import stored_name

SETUP = "run `python -m jobs setup` as the warehouse's administrator"
LEAST_VERSION = 15
LOCKS = 512
_RELATIONS = """
    select format('%%I.%%I', n.nspname, c.relname), has_table_privilege(%(role)s, c.oid, 'select'),
        has_table_privilege(%(role)s, c.oid, 'insert, update, delete, truncate')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname in ('warehouse', 'staging', 'marts', 'vault', 'public')
"""


def as_writer(home: Home) -> str:
    return _entered(home, WRITER)


def as_reader(home: Home) -> str:
    return _entered(home, READER)


def as_activation(home: Home) -> str:
    return _entered(home, ACTIVATION)


def _entered(home: Home, role: str) -> str:
    with closing(_connect(home, role)) as connection:
        info = connection.info
        found = connection.execute("select current_user").fetchone()[0]
        if found != role:
            raise SetupError(f"came in as {found}, not as {role}: {SETUP}")
        return f"{info.host}:{info.port}/{info.dbname}"


def _connect(home: Home, role: str = WRITER) -> psycopg.Connection:
    return connect(home, role, connect_timeout=int(ANSWER_SECONDS) - 1, autocommit=True)


def version(home: Home) -> str:
    with closing(_connect(home)) as connection:
        number = connection.info.server_version // 10000
        (locks,) = connection.execute("select current_setting('max_locks_per_transaction')::int").fetchone()
    if number < LEAST_VERSION:
        raise SetupError(f"PostgreSQL {number}, {LEAST_VERSION} or newer is needed: upgrade the server")
    if is_external() and locks < LOCKS:
        raise Doubt(
            f"PostgreSQL {number}; max_locks_per_transaction is {locks}, too few for years of days: set {LOCKS}"
        )
    return f"PostgreSQL {number}"


def tables(home: Home) -> str:
    """Every stored table and view is there, as its contract says."""
    with closing(_connect(home)) as connection:
        lacking = [
            name
            for name, wanted in (
                *((f"warehouse.{stored_name(table)}", table.column_names) for table in WAREHOUSE),
                *((f"marts.{name}", view.table.column_names) for name, view in VIEWS.items()),
            )
            if list(columns_of(connection, name)) != wanted
        ]
    if lacking:
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise SetupError(f"missing, or not as the contract says: {', '.join(lacking[:5])}{more}: {SETUP}")
    return f"{len(WAREHOUSE)} tables, {len(VIEWS)} views"


def grants(home: Home) -> str:
    """bi_reader sees views and nothing else, activation the vault besides; the writer not even that."""
    with closing(_connect(home)) as connection:
        found = {
            role: connection.execute(_RELATIONS, {"role": role}).fetchall() for role in (READER, ACTIVATION, WRITER)
        }
        powerful = [role for (role,) in connection.execute(
            "select rolname from pg_roles where rolname = any(%s) and (rolsuper or rolcreaterole or rolbypassrls)",
            [[READER, ACTIVATION]],
        )]  # fmt: skip
    if powerful:
        raise SetupError(f"{' and '.join(powerful)} may do more than read (superuser, createrole): {SETUP}")
    views = {f"marts.{name}" for name in VIEWS}
    _hold(READER, found[READER], views, set())
    _hold(ACTIVATION, found[ACTIVATION], views | {"vault.customer_ids", "vault.export_log"}, {"vault.export_log"})
    if ("vault.customer_ids", True) in [(name, may_read) for name, may_read, _ in found[WRITER]]:
        raise Doubt(
            "lifestage_writer may read the vault, since it owns it: let an administrator make it "
            "(drop schema vault, then setup with the administrator's LIFESTAGE_WAREHOUSE_URI)"
        )
    return f"{READER} sees {len(views)} views and nothing else"


def _hold(role: str, found: list[tuple], readable: set[str], writable: set[str]) -> None:
    """SetupError where the role may read or write other relations than these."""
    reads, writes = ({name for name, *may in found if may[n]} for n in (0, 1))
    if more := sorted((reads - readable) | (writes - writable)):
        raise SetupError(f"{role} may use {', '.join(more[:3])}: `revoke all on {more[0]} from {role}`, then {SETUP}")
    if less := sorted(readable - reads):
        raise SetupError(f"{role} may not read {', '.join(less[:3])}: {SETUP}")


def clock(home: Home) -> str:
    with closing(_connect(home)) as connection:
        before = time.time()
        (there,) = connection.execute("select clock_timestamp()").fetchone()
        ahead = there.timestamp() - (before + time.time()) / 2
        (zone,) = connection.execute("show timezone").fetchone()
    return judged(ahead, zone)


def judged(ahead: float, zone: str) -> str:
    """``ahead``: seconds by which the server's clock is before ours."""
    if abs(ahead) > SLACK_S:
        raise Doubt(
            f"the server's clock is {ahead:+.1f} s off this machine's: let both follow one time server (chrony)"
        )
    if zone not in ("UTC", "Etc/UTC", "GMT"):
        raise Doubt(f"sessions show times in {zone}: `alter database … set timezone = 'UTC'` shows what the marts say")
    return f"{abs(ahead) * 1000:.0f} ms apart, times in {zone}"
