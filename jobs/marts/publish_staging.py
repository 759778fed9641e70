"""Staging tables of a publish: one per table and attempt, loaded by binary COPY, made ready to become a partition."""

import hashlib
import uuid
from datetime import date
from typing import TYPE_CHECKING

import psycopg

from expectations.contract import TYPES, Table
from expectations.errors import SetupError, UnavailableError
from expectations.segments import CUSTOMER_SEGMENTS
from jobs.home import Home
from jobs.marts.warehouse import uri
from jobs.marts.warehouse_ddl import PARTITIONED, partition_name, quoted

if TYPE_CHECKING:
    import pyarrow as pa

DAY_CHECK = "holds_one_day"

NOT_SET_UP = ("3F000", "42P01", "42501")
"""SQL states of a missing schema, a missing table and a missing right."""


def not_set_up(error: Exception) -> SetupError:
    """The server's complaint of a missing table or right, as a person's error."""
    said = str(error).rpartition("ERROR:")[2].strip().splitlines()[0]
    return SetupError(f"the warehouse is not set up ({said}): run `python -m jobs setup` first")


def drop_leftovers(connection: psycopg.Connection, day: date) -> None:
    """Removes the staging tables that earlier attempts at ``day`` left. Call it as the day's only publisher."""
    there = connection.execute("select tablename from pg_tables where schemaname = 'staging'").fetchall()
    prefixes = tuple(f"{partition_name(table, day)}_" for table in PARTITIONED)
    for (name,) in there:
        if name.startswith(prefixes):
            connection.execute(f"drop table staging.{name}")


def load(home: Home, table: Table, day: date, rows: "pa.Table") -> str:
    """Loads ``rows`` into a new staging table and returns its name.

    The table takes nulls and doubles, so that the audit can count them rather than the load break off at the first.
    """
    import adbc_driver_manager
    import adbc_driver_postgresql.dbapi as adbc

    name = f"{partition_name(table, day)}_{uuid.uuid4().hex[:8]}"
    columns = ", ".join(f"{column.name} {TYPES[column.type][1]}" for column in table.columns)
    try:
        with adbc.connect(uri(home)) as connection, connection.cursor() as cursor:
            # In one transaction with its table, COPY need not write the rows to the log as well.
            cursor.execute(f"create table staging.{name} ({columns})")
            cursor.adbc_ingest(name, rows, mode="append", db_schema_name="staging")
            connection.commit()
    except adbc_driver_manager.Error as error:
        if error.sqlstate in NOT_SET_UP:
            raise not_set_up(error) from error
        raise UnavailableError(f"loading staging.{name} failed: {error}") from error
    return name


def make_attachable(connection: psycopg.Connection, table: Table, name: str, day: date) -> None:
    """Adds what a partition of ``table`` has, and proves its day, so that attaching it has nothing left to scan."""
    required = [f"alter {column.name} set not null" for column in table.columns if not column.nullable]
    in_day = f"{table.partition} is not null and {table.partition} = {quoted(str(day))}"
    with connection.transaction():
        connection.execute(
            f"alter table staging.{name} {', '.join(required)}, "
            f"add constraint {partition_name(table, day)}_pkey primary key ({', '.join(table.key)}), "
            f"add constraint {DAY_CHECK} check ({in_day})"
        )
        connection.execute(f"analyze staging.{name}")


def content_digest(connection: psycopg.Connection, name: str) -> str:
    """SHA-256 over the staged customers in key order, as PostgreSQL's COPY writes them in text form.

    The same by hand, as lifestage_writer: \\copy (select * from warehouse.customer_segments_v3 where
    snapshot_date = '<day>' order by customer_key collate "C") to stdout
    """
    columns, digest = ", ".join(CUSTOMER_SEGMENTS.column_names), hashlib.sha256()
    rows = f'select {columns} from staging.{name} order by customer_key collate "C"'
    with connection.transaction():
        for setting in ("datestyle = 'ISO'", "extra_float_digits = 1", "timezone = 'UTC'"):
            connection.execute(f"set local {setting}")
        with connection.cursor().copy(f"copy ({rows}) to stdout") as copy:
            for block in copy:
                digest.update(block)
    return digest.hexdigest()
