"""Contract → PostgreSQL: tables, views, comments and grants, as SQL text. Nothing newer than PostgreSQL 15."""

from collections.abc import Iterator
from datetime import date

from expectations.contract import TYPES, Column, Table
from expectations.segments import CUSTOMER_SEGMENTS, SEGMENT_SETTINGS
from expectations.tables import WAREHOUSE
from expectations.views import VIEWS, bounds, meaning, rounded

SCHEMAS = {
    "warehouse": "Versioned tables behind the views of marts.",
    "staging": "Days being loaded and audited; what an audit refused stays until the day is published again.",
    "marts": "Views for BI: the published segments. DICTIONARY.md explains them.",
}

PARTITIONED = (CUSTOMER_SEGMENTS, SEGMENT_SETTINGS)
"""Loaded a day at a time: one list partition a snapshot_date."""

IDENTITY = {("publish_log", "publish_id")}
"""Columns that the server numbers."""

POINTER = "warehouse.snapshot_pointer"
CURRENT = f"(select snapshot_date from {POINTER} where name = 'current')"


def quoted(text: str) -> str:
    """``text`` as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def stored_name(table: Table) -> str:
    """Name of the table in schema warehouse; readers use the view without the version."""
    return f"{table.name}_v{table.version}"


def partition_name(table: Table, day: date) -> str:
    return f"{stored_name(table)}_{day:%Y%m%d}"


def stored_statements() -> list[str]:
    """Schemas and stored tables, as the owner of the warehouse makes them at setup; safe to repeat."""
    statements = [f"create schema if not exists {name}" for name in SCHEMAS]
    for table in WAREHOUSE:
        statements += table_statements(table)
    return [
        *statements,
        f"create table if not exists {POINTER} (name text primary key, snapshot_date date not null)",
        f"comment on table {POINTER} is 'Which day the views without a date show; moves forward only.'",
    ]


def shown_statements(reader: str, shop: str) -> list[str]:
    """Views, and who sees them; after ``stored_statements``. ``shop``: what the comment on marts says of its data."""
    texts = SCHEMAS | {"marts": f"{SCHEMAS['marts']} {shop}"}
    statements = [f"comment on schema {name} is {quoted(text)}" for name, text in texts.items()]
    for name in VIEWS:
        statements += view_statements(name)
    return [*statements, *grant_statements(reader)]


def table_statements(table: Table) -> list[str]:
    """The versioned table with its comments."""
    name = f"warehouse.{stored_name(table)}"
    columns = [column_ddl(table, column) for column in table.columns]
    by_day = f" partition by list ({table.partition})" if table in PARTITIONED else ""
    create = f"create table if not exists {name} ({', '.join(columns)}, primary key ({', '.join(table.key)})){by_day}"
    return [create, *comments("table", name, table, f"{table.description} Grain: {table.grain}.")]


def column_ddl(table: Table, column: Column) -> str:
    identity = " generated always as identity" if (table.name, column.name) in IDENTITY else ""
    return f"{column.name} {TYPES[column.type][1]}{'' if column.nullable else ' not null'}{identity}"


def comments(kind: str, name: str, table: Table, text: str) -> Iterator[str]:
    """Comments on a table or view and on each of its columns: what DICTIONARY.md says."""
    yield f"comment on {kind} {name} is {quoted(text)}"
    for column in table.columns:
        unit = f" Unit: {column.unit}." if column.unit else ""
        values = ", ".join(column.values) or bounds(column)
        allowed = f" Allowed: {values}." if values else ""
        yield f"comment on column {name}.{column.name} is {quoted(meaning(column) + unit + allowed)}"


def view_statements(name: str) -> list[str]:
    """The view of schema marts with its comments."""
    view = VIEWS[name]
    columns = ", ".join(f"{rounded(column, column.name)} as {column.name}" for column in view.table.columns)
    rows = f" where snapshot_date = {CURRENT}" if view.is_current else ""
    create = f"create or replace view marts.{name} as select {columns} from warehouse.{stored_name(view.table)}{rows}"
    return [create, *comments("view", f"marts.{name}", view.table, view.summary)]


def grant_statements(reader: str) -> list[str]:
    """The reader sees the views of marts and nothing else."""
    return [
        "revoke all on schema warehouse, staging, marts from public",
        f"grant usage on schema marts to {reader}",
        *(f"grant select on marts.{name} to {reader}" for name in VIEWS),
    ]


def database_statements(database: str, reader: str) -> list[str]:
    """What the database's administrator runs at setup: nobody but the owner and ``reader`` comes in, or writes."""
    return [
        f"revoke all on database {database} from public",
        f"grant connect on database {database} to {reader}",
        "revoke all on schema public from public",
    ]


def superuser_statements() -> list[str]:
    """Large objects are the one thing that anyone may otherwise write; the functions belong to the superuser."""
    return ["revoke execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) from public"]


def reader_statements(reader: str) -> list[str]:
    """Habits of the reader's sessions: marts in sight, and nothing that holds up a publish for long."""
    settings = {
        "search_path": "marts",
        "default_transaction_read_only": "on",
        "statement_timeout": "5min",
        "idle_in_transaction_session_timeout": "5min",
    }
    return [f"alter role {reader} set {name} = {quoted(value)}" for name, value in settings.items()]
