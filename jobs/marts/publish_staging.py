"""Staging tables of a publish: one per table and attempt, loaded by binary COPY, made ready to become a partition."""

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from expectations.contract import TYPES, Table
from expectations.errors import DataError, LifestageError, SetupError, UnavailableError
from expectations.tables import PUBLISHED
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.marts.rows_digest import rows_digest
from jobs.marts.warehouse import connect, uri
from jobs.marts.warehouse_ddl import partition_name, quoted, stored_key, stored_name

if TYPE_CHECKING:
    import adbc_driver_manager
    import pyarrow as pa

DAY_CHECK = "holds_one_day"
OLD = re.compile(r"\w+_v\d+_\d{8}")
"""A partition that was taken out: a table being staged has a suffix besides."""

NOT_SET_UP = ("3F000", "42P01", "42501")
"""SQL states of a missing schema, a missing table and a missing right."""

MOST_CONNECTIONS = 4
"""Tables that are loaded side by side: each is held in memory as a whole."""


@dataclass(frozen=True)
class Staged:
    """A day of ``table`` in schema staging, under ``name``, with the digest of its rows.

    ``is_attachable``: whether it can become a partition; if not, the audit has to say why.
    """

    table: Table
    name: str
    rows: int
    digest: str
    is_attachable: bool


def not_set_up(error: Exception) -> SetupError:
    """The server's complaint of a missing table or right, as a person's error."""
    said = str(error).rpartition("ERROR:")[2].strip().splitlines()[0]
    return SetupError(f"the warehouse is not set up ({said}): run `python -m jobs setup` first")


def load_error(what: str, error: "adbc_driver_manager.Error") -> LifestageError:
    """Why ``what`` could not be loaded: the setting, values that no try will make fit (class 22), or the moment."""
    state = error.sqlstate or ""
    if state in NOT_SET_UP:
        return not_set_up(error)
    if state.startswith("22"):
        return DataError(f"the warehouse refuses values of {what}: {error}")
    return UnavailableError(f"loading {what} failed: {error}")


def drop_leftovers(connection: psycopg.Connection, day: date) -> None:
    """Removes the staging tables that earlier attempts at ``day`` left, and partitions that have had their day.

    Call it as the day's only publisher.
    """
    there = connection.execute("select tablename from pg_tables where schemaname = 'staging'").fetchall()
    prefixes = tuple(f"{partition_name(table, day)}_" for table in PUBLISHED)
    for (name,) in there:
        if name.startswith(prefixes) or OLD.fullmatch(name):
            connection.execute(f"drop table if exists staging.{name}")


def stage_all(home: Home, day: date) -> Iterator[Staged]:
    """Every published table of the lake's ``day``, as soon as it is in staging; the largest are begun first."""
    lake = {table: LakeTable(home, table) for table in PUBLISHED}
    size = {table: sum(f.stat().st_size for f in of.folder(day).glob("*.parquet")) for table, of in lake.items()}
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_CONNECTIONS)) as pool:
        begun = [pool.submit(stage, home, table, day) for table in sorted(lake, key=size.get, reverse=True)]
        for done in as_completed(begun):
            yield done.result()


def stage(home: Home, table: Table, day: date) -> Staged:
    """Loads the lake's partition, and makes it attachable where its rows let it."""
    rows = LakeTable(home, table).read_arrow([day])
    name, count, digest = load(home, table, day, rows), rows.num_rows, rows_digest(rows)
    del rows  # indexes take their time, and memory is others' meanwhile
    with connect(home, autocommit=True) as connection:
        try:
            make_attachable(connection, table, name, day)
        except (errors.NotNullViolation, errors.UniqueViolation, errors.CheckViolation):
            return Staged(table, name, count, digest, is_attachable=False)
    return Staged(table, name, count, digest, is_attachable=True)


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
        raise load_error(f"staging.{name}", error) from error
    return name


def make_attachable(connection: psycopg.Connection, table: Table, name: str, day: date) -> None:
    """Adds what a partition of ``table`` has, and proves its day, so that attaching it has nothing left to scan."""
    required = [f"alter {column.name} set not null" for column in table.columns if not column.nullable]
    in_day = f"{table.partition} is not null and {table.partition} = {quoted(str(day))}"
    with connection.transaction():
        connection.execute(
            f"alter table staging.{name} {', '.join(required)}, "
            f"add constraint {name}_pkey primary key ({', '.join(stored_key(table))}), "
            f"add constraint {DAY_CHECK} check ({in_day})"
        )
        connection.execute(f"analyze staging.{name}")


def digest_of_day(staged: list[Staged]) -> str:
    """SHA-256 over the lines `<stored name> <digest>` of every table, by name."""
    lines = sorted(f"{stored_name(each.table)} {each.digest}\n" for each in staged)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
