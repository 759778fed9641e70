"""The slowest of the ten queries of docs/queries on a million customers and thirty days, as bi_reader.

The latest day is published as ever. The days before are made of it within PostgreSQL: whole for the tables that a query
reads day by day, as empty partitions for those whose view shows the latest day alone.
"""

import shutil
import statistics
import time
from datetime import date, timedelta
from pathlib import Path

import psycopg

from expectations.contract import Table
from expectations.segments import CUSTOMER_SEGMENTS, LIFECYCLE_STAGES, PUBLISH_LOG, SEGMENT_SUMMARY
from expectations.tables import PUBLISHED
from expectations.version import REPOSITORY
from expectations.views import VIEWS
from jobs import publish, setup
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.local import postgres
from jobs.marts.warehouse import READER, connect
from jobs.marts.warehouse_ddl import partition_name, quoted, stored_name
from tests.benchmarks.publish_speed import CUSTOMERS, DAY, day_of

DAYS = 30
ROUNDS = 3


def measure(folder: Path, customers: int = CUSTOMERS, days: int = DAYS) -> dict[str, float]:
    """Seconds of the slowest query, each the median of rounds after a first that warms up."""
    home = Home(folder / "bi queries")
    if home.postgres.exists():
        postgres.stop(home)
    shutil.rmtree(home.path, ignore_errors=True)
    try:
        fill(home, customers, days)
        times = {path.stem: seconds(home, path.read_text()) for path in sorted(queries())}
    finally:
        postgres.stop(home)
        shutil.rmtree(home.path)
    for name, took in sorted(times.items(), key=lambda item: -item[1]):
        print(f"{name:<24} {took:6.2f} s")
    return {"bi_query_s": max(times.values())}


def queries() -> list[Path]:
    return list((REPOSITORY / "docs" / "queries").glob("*.sql"))


def fill(home: Home, customers: int, days: int) -> None:
    """A warehouse of ``days`` days; what a query does not read of earlier days is not made."""
    home.adopt("bench_shop", "complete_journey", simulated=True)
    setup.create_warehouse(home)
    for table, rows in day_of(customers).items():
        LakeTable(home, table).write_arrow(DAY, rows)
    publish.publish(home, DAY)
    for n in range(1, days):
        copy_day(home, DAY - timedelta(days=n))
    with connect(home, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def read_by_day() -> set[Table]:
    """Tables of which a query reads other days than the latest."""
    text = " ".join(path.read_text() for path in queries())
    return {view.table for name, view in VIEWS.items() if not view.is_current and f"marts.{name}" in text}


def copy_day(home: Home, day: date) -> None:
    """The published day's rows under an earlier date."""
    with connect(home) as connection:
        for table in PUBLISHED:
            partition = f"warehouse.{partition_name(table, day)}"
            of = f"partition of warehouse.{stored_name(table)} for values in ({quoted(str(day))})"
            connection.execute(f"create table {partition} {of}")
            if table in read_by_day():
                _copy(connection, table, f"warehouse.{partition_name(table, DAY)}", partition, day)
        for table in (SEGMENT_SUMMARY, PUBLISH_LOG):
            stored = f"warehouse.{stored_name(table)}"
            _copy(connection, table, f"{stored} where snapshot_date = {quoted(str(DAY))}", stored, day)


def _copy(connection: psycopg.Connection, table: Table, source: str, target: str, day: date) -> None:
    """Every column as it is, but for the date, the number that the server gives, and a stage for one in twenty."""
    changed = {"snapshot_date": f"date {quoted(str(day))}"}
    if table is CUSTOMER_SEGMENTS:
        stages = ", ".join(map(quoted, LIFECYCLE_STAGES))
        another = f"(array[{stages}])[1 + (hashtext(customer_key || 'stage') & 3)]"
        changed["lifecycle_stage"] = (
            f"case when hashtext(customer_key) % 20 = 0 then {another} else lifecycle_stage end"
        )
    names = [name for name in table.column_names if name != "publish_id"]
    values = ", ".join(changed.get(name, name) for name in names)
    connection.execute(f"insert into {target} ({', '.join(names)}) select {values} from {source}")


def seconds(home: Home, query: str) -> float:
    took = []
    with connect(home, READER) as connection:
        for _ in range(ROUNDS + 1):
            began = time.perf_counter()
            connection.execute(query).fetchall()
            took.append(time.perf_counter() - began)
    return statistics.median(took[1:])
