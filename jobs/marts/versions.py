"""What the warehouse already stores: older versions of a table, and the days that each version holds."""

from datetime import date

import psycopg

from expectations.contract import Table
from expectations.tables import WAREHOUSE
from jobs.marts.warehouse_ddl import partition_of, stored_name


def older_versions(connection: psycopg.Connection) -> dict[str, dict[str, dict[str, str]]]:
    """Table → stored name of each older version, the newest first → its columns and their types."""
    return {table.name: {name: columns_of(connection, f"warehouse.{name}") for name in older_names(connection, table)}
            for table in WAREHOUSE}  # fmt: skip


def older_names(connection: psycopg.Connection, table: Table) -> list[str]:
    """Stored names of the versions before the contract's that are there, the newest first."""
    names = [f"{table.name}_v{version}" for version in range(table.version - 1, 0, -1)]
    query = "select tablename from pg_tables where schemaname = 'warehouse' and tablename = any(%s)"
    there = {name for (name,) in connection.execute(query, [names])}
    return [name for name in names if name in there]


def columns_of(connection: psycopg.Connection, relation: str) -> dict[str, str]:
    """Columns of ``schema.table`` and their types; none of a table that is not there."""
    query = (
        "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = to_regclass(%s) "
        "and attnum > 0 and not attisdropped order by attnum"
    )
    return dict(connection.execute(query, [relation]).fetchall())


def partitions(connection: psycopg.Connection, stored: str) -> dict[date, str]:
    """Day → name of the partition of the stored table that holds it, in order."""
    query = (
        "select relname from pg_inherits join pg_class on oid = inhrelid "
        "where inhparent = to_regclass(%s) order by relname"
    )
    names = [name for (name,) in connection.execute(query, [f"warehouse.{stored}"])]
    days = {date.fromisoformat(name.rpartition("_")[2]): name for name in names}
    return {day: name for day, name in days.items() if name == partition_of(stored, day)}


def stored_names(connection: psycopg.Connection, table: Table) -> list[str]:
    """The contract's version of the table and every older one that is there."""
    return [stored_name(table), *older_names(connection, table)]
