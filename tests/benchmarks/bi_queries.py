"""The slowest of the ten queries of docs/queries on a million customers and thirty days, as bi_reader."""

import shutil
import statistics
import time
from datetime import date, timedelta
from pathlib import Path

from expectations.tables import PUBLISHED
from expectations.version import REPOSITORY
from jobs import publish, setup
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.local import postgres
from jobs.marts.warehouse import READER, connect
from jobs.marts.warehouse_ddl import POINTER, partition_name, quoted, stored_name
from tests.benchmarks.publish_speed import CUSTOMERS, DAY, day_of

DAYS = 30
ROUNDS = 3


def measure(folder: Path, customers: int = CUSTOMERS, days: int = DAYS) -> dict[str, float]:
    """Seconds of the slowest query, each the median of rounds after a first that warms up."""
    home = Home(folder / "bi queries")
    if home.postgres.exists():
        postgres.stop(home)
    shutil.rmtree(home.path, ignore_errors=True)
    home.adopt("bench_shop", "complete_journey", simulated=True)
    setup.create_warehouse(home)
    try:
        for table, rows in day_of(customers).items():
            LakeTable(home, table).write_arrow(DAY, rows)
        publish.publish(home, DAY)
        for n in range(1, days):
            copy_day(home, DAY + timedelta(days=n))
        with connect(home, autocommit=True) as connection:
            connection.execute("vacuum analyze")
        times = {path.stem: seconds(home, path.read_text()) for path in sorted(queries())}
    finally:
        postgres.stop(home)
        shutil.rmtree(home.path)
    for name, took in sorted(times.items(), key=lambda item: -item[1]):
        print(f"{name:<24} {took:6.2f} s")
    return {"bi_query_s": max(times.values())}


def queries() -> list[Path]:
    return list((REPOSITORY / "docs" / "queries").glob("*.sql"))


def copy_day(home: Home, day: date) -> None:
    """The first day's rows once more under another date, as partitions of their own."""
    with connect(home) as connection:
        for table in PUBLISHED:
            target, parent = f"warehouse.{partition_name(table, day)}", f"warehouse.{stored_name(table)}"
            names = [f"date {quoted(str(day))}" if n == "snapshot_date" else n for n in table.column_names]
            connection.execute(f"create table {target} partition of {parent} for values in ({quoted(str(day))})")
            connection.execute(
                f"insert into {target} ({', '.join(table.column_names)}) "
                f"select {', '.join(names)} from warehouse.{partition_name(table, DAY)}"
            )
        connection.execute(f"update {POINTER} set snapshot_date = %s", [day])


def seconds(home: Home, query: str) -> float:
    took = []
    with connect(home, READER) as connection:
        for _ in range(ROUNDS + 1):
            began = time.perf_counter()
            connection.execute(query).fetchall()
            took.append(time.perf_counter() - began)
    return statistics.median(took[1:])
