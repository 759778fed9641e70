"""Contract → Arrow schema and Spark DDL."""

import pyarrow as pa

from expectations.contract import TYPES, Table

_ARROW = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(18, 4),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "bool": pa.bool_(),
    "strings": pa.list_(pa.string()),
    "dates": pa.list_(pa.date32()),
    "floats": pa.list_(pa.float32()),
}


def arrow_schema(table: Table) -> pa.Schema:
    """The table's columns in contract order."""
    return pa.schema([pa.field(c.name, _ARROW[c.type], nullable=c.nullable) for c in table.columns])


def spark_ddl(table: Table) -> str:
    """The table's columns as a Spark DDL string, which StructType.fromDDL and DataFrameReader.schema take."""
    return ", ".join(f"`{c.name}` {TYPES[c.type][0]}" for c in table.columns)
