"""Contract → PostgreSQL: tables, views, comments and grants, as SQL text. Nothing newer than PostgreSQL 15."""

from collections.abc import Iterator, Mapping
from datetime import date

from expectations.contract import TYPES, Column, Table
from expectations.tables import PUBLISHED, WAREHOUSE
from expectations.views import VIEWS, bounds, meaning, rounded, shown_type

SCHEMAS = {
    "warehouse": "Versioned tables behind the views of marts; days that an older version holds stay there.",
    "staging": "Days being loaded and audited; what an audit refused stays until the day is published again.",
    "marts": "Views for BI: the published segments. DICTIONARY.md explains them.",
}

IDENTITY = {("publish_log", "publish_id")}
"""Columns that the server numbers."""

Older = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Table → stored name of an older version of it → the columns of that version and their types."""

POINTER = "warehouse.snapshot_pointer"
CURRENT = f"(select snapshot_date from {POINTER} where name = 'current')"


def quoted(text: str) -> str:
    """``text`` as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def stored_name(table: Table) -> str:
    """Name of the table in schema warehouse; readers use the view without the version."""
    return f"{table.name}_v{table.version}"


def partition_name(table: Table, day: date) -> str:
    return partition_of(stored_name(table), day)


def partition_of(stored: str, day: date) -> str:
    return f"{stored}_{day:%Y%m%d}"


def stored_key(table: Table) -> list[str]:
    """Columns that are unique in the stored table: its day and the key within it."""
    return list(dict.fromkeys((table.partition, *table.key) if table in PUBLISHED else table.key))


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


def shown_statements(readers: tuple[str, ...], shop: str, older: Older) -> list[str]:
    """Views, and who sees them; after ``stored_statements``. ``shop``: what the comment on marts says of its data."""
    texts = SCHEMAS | {"marts": f"{SCHEMAS['marts']} {shop}"}
    statements = [f"comment on schema {name} is {quoted(text)}" for name, text in texts.items()]
    for name, view in VIEWS.items():
        statements += view_statements(name, older.get(view.table.name, {}))
    return [*statements, *grant_statements(readers)]


def table_statements(table: Table) -> list[str]:
    """The versioned table with its comments; a published one has one list partition a day."""
    name = f"warehouse.{stored_name(table)}"
    columns, key = [column_ddl(table, column) for column in table.columns], ", ".join(stored_key(table))
    by_day = f" partition by list ({table.partition})" if table in PUBLISHED else ""
    create = f"create table if not exists {name} ({', '.join(columns)}, primary key ({key})){by_day}"
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


def view_statements(name: str, older: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The view of schema marts with its comments.

    ``older``: stored versions before the contract's and their columns. Their days are shown too, until they are
    published again; what they have not, or have as another type, is null.
    """
    view, text = VIEWS[name], VIEWS[name].summary
    rows = f" where snapshot_date = {CURRENT}" if view.is_current else ""
    parts = [f"select {_shown(view.table.columns)} from warehouse.{stored_name(view.table)}{rows}"]
    for stored, known in older.items():
        parts.append(f"select {_shown(view.table.columns, known)} from warehouse.{stored}{rows}")
        if lacking := [column.name for column in view.table.columns if not _is_in(column, known)]:
            text += f" Days that were published before {', '.join(lacking)} came in show null there."
    create = f"create or replace view marts.{name} as {' union all '.join(parts)}"
    return [create, *comments("view", f"marts.{name}", view.table, text)]


def _shown(columns: tuple[Column, ...], known: Mapping[str, str] | None = None) -> str:
    """The select list of a view, from a stored table that has the columns ``known`` (default: all of them)."""
    has = [known is None or _is_in(column, known) for column in columns]
    values = [
        rounded(column, column.name) if there else f"null::{shown_type(column)}"
        for column, there in zip(columns, has, strict=True)
    ]
    return ", ".join(f"{value} as {column.name}" for value, column in zip(values, columns, strict=True))


def _is_in(column: Column, known: Mapping[str, str]) -> bool:
    return known.get(column.name) == TYPES[column.type][1]


def grant_statements(readers: tuple[str, ...]) -> list[str]:
    """Readers see the views of marts and nothing else."""
    names = ", ".join(readers)
    return [
        "revoke all on schema warehouse, staging, marts from public",
        f"grant usage on schema marts to {names}",
        *(f"grant select on marts.{name} to {names}" for name in VIEWS),
    ]


def database_statements(database: str, readers: tuple[str, ...]) -> list[str]:
    """What the database's administrator runs at setup: nobody but the owner and ``readers`` comes in, or writes."""
    return [
        f"revoke all on database {database} from public",
        f"grant connect on database {database} to {', '.join(readers)}",
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
