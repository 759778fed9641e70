"""What publishing costs beside a bare COPY of the same rows with the same indexes, both on the embedded server."""

import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.contract import TYPES, Column, Table
from expectations.lifecycle import STAGE_TRANSITIONS
from expectations.segments import CUSTOMER_SEGMENTS, SCORES
from expectations.tables import PUBLISHED
from jobs import publish, setup
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.local import postgres
from jobs.marts.publish_staging import MOST_CONNECTIONS
from jobs.marts.warehouse import connect, uri
from jobs.marts.warehouse_ddl import stored_key
from jobs.schemas import arrow_schema

CUSTOMERS = 1_000_000
DAY = date(2024, 3, 5)
PER_CUSTOMER = {"customer_segments": 1, "next_actions": 1, "customer_tags": 3, "recommendations": 5}
"""Rows of the large tables; of every other there are OTHERS."""
OTHERS = 1_000
ROUNDS = 3


def measure(folder: Path, customers: int = CUSTOMERS) -> dict[str, float]:
    """Seconds of a publish, audit in and imports out, / seconds of the bare COPY; medians of turns taken in turn."""
    import great_expectations  # noqa: F401

    home = Home(folder / "publish")
    if home.postgres.exists():
        postgres.stop(home)
    shutil.rmtree(home.path, ignore_errors=True)
    home.adopt("bench_shop", "complete_journey", simulated=True)
    setup.create_warehouse(home)
    try:
        days = day_of(customers)
        for table, rows in days.items():
            LakeTable(home, table).write_arrow(DAY, rows)
        published = {table: LakeTable(home, table).read_arrow([DAY]) for table in PUBLISHED}
        turns = [(_seconds(lambda: copy(home, published)), _seconds(lambda: publish.publish(home, DAY)))
                 for _ in range(ROUNDS)]  # fmt: skip
    finally:
        postgres.stop(home)
        shutil.rmtree(home.path)
    copied, told = (statistics.median(times) for times in zip(*turns, strict=True))
    rows = sum(map(len, published.values()))
    print(f"publish: {rows:,} rows of {customers:,} customers in {told:.1f} s, a bare COPY of them in {copied:.1f} s")
    return {"publish_1m_s": told, "publish_vs_copy": told / copied}


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def copy(home: Home, tables: dict[Table, pa.Table]) -> None:
    """Rows that are in memory already → tables of the same columns and keys, as many at a time as publishing takes."""
    with ThreadPoolExecutor(min(MOST_CONNECTIONS, 2)) as pool:
        list(pool.map(lambda item: _copy(home, *item), tables.items()))
    with connect(home) as connection:
        for table in tables:
            connection.execute(f"drop table staging.bare_{table.name}")


def _copy(home: Home, table: Table, rows: pa.Table) -> None:
    import adbc_driver_postgresql.dbapi as adbc

    name = f"bare_{table.name}"
    columns = ", ".join(f"{c.name} {TYPES[c.type][1]}{'' if c.nullable else ' not null'}" for c in table.columns)
    with adbc.connect(uri(home)) as connection, connection.cursor() as cursor:
        cursor.execute(f"create table staging.{name} ({columns})")
        cursor.adbc_ingest(name, rows, mode="append", db_schema_name="staging")
        cursor.execute(f"alter table staging.{name} add primary key ({', '.join(stored_key(table))})")
        connection.commit()


# -- rows --------------------------------------------------------------------------------------------------------------


def day_of(customers: int, others: int = OTHERS, day: date = DAY) -> dict[Table, pa.Table]:
    """A day's tables, made up by their contracts so that the audit lets them pass."""
    random = np.random.default_rng(0)
    keys = pa.array(sorted(random.bytes(16).hex() for _ in range(customers)))
    days = {table: made_up(table, keys, random, others, day) for table in (SCORES, *PUBLISHED)}
    if STAGE_TRANSITIONS in days:
        days[STAGE_TRANSITIONS] = flows(days[CUSTOMER_SEGMENTS], day)
    return days


def made_up(
    table: Table, keys: pa.Array, random: np.random.Generator, others: int = OTHERS, day: date = DAY
) -> pa.Table:
    """Rows in the order of their key: the first columns of the key repeat, the last counts on."""
    each = PER_CUSTOMER.get(table.name, 1 if table is SCORES else 0)
    size = each * len(keys) or min(others, len(keys))
    counts = np.tile(np.arange(1, (each or size) + 1), size // (each or size))
    known = {"customer_key": keys.take(pa.array(np.arange(size) // (each or 1))), "snapshot_date": pa.scalar(day)}
    last = next(name for name in reversed(stored_key(table)) if name != "snapshot_date")
    if last != "customer_key" and (each > 1 or "customer_key" not in table.column_names):
        column = table.column(last)
        # Of a hundred words each, so that there are as many tags as a shop has, and a customer has each once.
        numbers = counts + each * random.integers(0, 100, size)
        words = pa.array([f"{last} {n:06}" for n in numbers.tolist()])
        known[last] = pa.array(counts) if column.type != "string" else words
    columns = [known.get(c.name, _column(c, size, random)) for c in table.columns]
    columns = [pa.repeat(c, size) if isinstance(c, pa.Scalar) else c for c in columns]
    schema = arrow_schema(table)
    return pa.table([c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _column(column: Column, size: int, random: np.random.Generator) -> pa.Array | pa.Scalar:
    if column.name in ("model_version", "cluster_id"):
        return pa.scalar(1)
    if column.values:
        return pa.array(column.values).take(pa.array(random.integers(0, len(column.values), size)))
    match column.type:
        case "double":
            return pa.array(random.random(size) * (column.maximum or 500))
        case "int32" | "int64":
            return pa.array(random.integers(1, 300, size))
        case "bool":
            return pa.array(random.random(size) < 0.5)
        case "date":
            return pa.array(np.datetime64(DAY) - random.integers(0, 300, size))
    return pa.scalar(f"what {column.name} says")


def flows(segments: pa.Table, day: date) -> pa.Table:
    """Everybody comes in anew."""
    counts = pc.value_counts(segments["lifecycle_stage"]).to_pylist()
    common = {"snapshot_date": day, "previous_snapshot_date": None, "from_stage": "unseen", "is_expected": True}
    rows = [common | {"to_stage": item["values"], "customers": item["counts"]} for item in counts]
    return pa.Table.from_pylist(rows, arrow_schema(STAGE_TRANSITIONS))
