"""Warehouse and vault under the new key, in one transaction: a reader sees all of the old keys or all of the new."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors, sql

from expectations.errors import DataError, SetupError, UnavailableError
from expectations.vault import CUSTOMER_IDS
from jobs.home import Home
from jobs.local.postgres_cluster import is_made
from jobs.marts.publish_switch import SWITCH_LOCK
from jobs.marts.warehouse import administrator, is_external
from jobs.rekeying.key_map import KeyMap

log = logging.getLogger(__name__)

LOCK_LIMIT = "60s"
_STORED = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'customer_key' and not a.attisdropped
    where n.nspname = 'warehouse' and c.relkind in ('r', 'p') and not c.relispartition order by c.relname
"""


def rekey_warehouse(home: Home, keys: KeyMap) -> int:
    """Every row of a customer, in every stored version, and the vault's; returns how many rows that were.

    Nothing is left to do the second time. DataError, and nothing changed, where a key's raw id is not known.
    """
    if not (is_external() or is_made(home)):
        return 0
    with _administrator(home) as connection:
        with connection.transaction():
            connection.execute(f"set local lock_timeout = '{LOCK_LIMIT}'")
            connection.execute("select pg_advisory_xact_lock(%s)", [SWITCH_LOCK])
            _load(connection, keys)
            stored = [sql.Identifier("warehouse", name) for (name,) in connection.execute(_STORED)]
            changed = sum(_update(connection, table) for table in stored)
            _drop_staged(connection)
            connection.execute(
                f"update vault.{CUSTOMER_IDS.name} as rows set customer_key = new_key, key_id = %s "
                "from new_keys where old_key = rows.customer_key",
                [keys.new.key_id],
            )
        # What an update leaves of the old rows is taken out, and with it the old keys.
        for table in (*stored, sql.Identifier("vault", CUSTOMER_IDS.name)) if changed else ():
            connection.execute(sql.SQL("vacuum (analyze) {}").format(table))
    log.info("%s rows of the warehouse are under the new key", f"{changed:,}")
    return changed


def _load(connection: psycopg.Connection, keys: KeyMap) -> None:
    connection.execute(
        "create temporary table new_keys (old_key text primary key, new_key text not null) on commit drop"
    )
    with connection.cursor().copy("copy new_keys from stdin") as copy:
        for pair in zip(keys.old_keys.to_pylist(), keys.new_keys.to_pylist(), strict=True):
            copy.write_row(pair)
    connection.execute("create index on new_keys (new_key)")
    connection.execute("analyze new_keys")


def _update(connection: psycopg.Connection, table: sql.Identifier) -> int:
    update = "update {} as rows set customer_key = new_key from new_keys where old_key = rows.customer_key"
    changed = connection.execute(sql.SQL(update).format(table)).rowcount
    unknown = "select count(*) from {} where customer_key not in (select new_key from new_keys)"
    (left,) = connection.execute(sql.SQL(unknown).format(table)).fetchone()
    if left:
        raise DataError(
            f"{left:,} rows of {table.as_string(connection)} are of customers whose raw ids are in no vault: ingest "
            "their deliveries again and run rekey again, or let `publish: {keep_days: N}` drop their days first"
        )
    return changed


def _drop_staged(connection: psycopg.Connection) -> None:
    """What audits refused: it holds old keys, and a publish loads its day anew."""
    for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'staging'").fetchall():
        connection.execute(sql.SQL("drop table {}").format(sql.Identifier("staging", name)))


@contextmanager
def _administrator(home: Home) -> Iterator[psycopg.Connection]:
    """Who owns the vault, which the writer cannot read."""
    try:
        with administrator(home, autocommit=True) as connection:
            yield connection
    except errors.InsufficientPrivilege as error:
        raise SetupError(
            f"the user of LIFESTAGE_WAREHOUSE_URI may not change the vault ({error}): run rekey with the address of "
            "the administrator who made it"
        ) from error
    except (errors.LockNotAvailable, errors.OperationalError) as error:
        raise UnavailableError(f"the warehouse did not carry the change of keys through: {error}") from error
