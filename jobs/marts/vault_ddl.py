"""Schema vault, as SQL text: raw customer ids, read by role activation alone.

Publishers add to it and cannot read it, as long as the schema's owner is not their own role: on the embedded server,
and where an administrator sets an own server up.
"""

from expectations.contract import Table
from expectations.vault import CUSTOMER_IDS, EXPORT_LOG, VAULT, VAULT_LOADS
from jobs.marts.warehouse_ddl import column_ddl, comments, quoted

NUMBERED = "export_id"
ABOUT = "Whom each customer_key stands for. Role activation alone may read it; every export is logged."


def vault_statements(activation: str, writer: str) -> list[str]:
    """Schema, tables and rights, as the schema's owner makes them; safe to repeat."""
    statements = ["create schema if not exists vault", f"comment on schema vault is {quoted(ABOUT)}"]
    for table in VAULT:
        statements += _table(table)
    ids, loads, log = (f"vault.{table.name}" for table in (CUSTOMER_IDS, VAULT_LOADS, EXPORT_LOG))
    return [
        *statements,
        "revoke all on schema vault from public",
        f"grant usage on schema vault to {activation}, {writer}",
        f"grant select on {ids}, {log} to {activation}",
        f"grant insert on {log} to {activation}",  # entries cannot be changed or taken back
        f"grant insert on {ids} to {writer}",
        f"grant select, insert, update on {loads} to {writer}",
    ]


def _table(table: Table) -> list[str]:
    name = f"vault.{table.name}"
    columns = [
        column_ddl(table, column) + " generated always as identity" * (column.name == NUMBERED)
        for column in table.columns
    ]
    create = f"create table if not exists {name} ({', '.join(columns)}, primary key ({', '.join(table.key)}))"
    return [create, *comments("table", name, table, f"{table.description} Grain: {table.grain}.")]
