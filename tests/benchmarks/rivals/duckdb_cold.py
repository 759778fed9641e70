"""A year of events → customer-days, features and preferences, by hand for DuckDB: one connection, two threads."""

import argparse
from datetime import date, timedelta
from pathlib import Path

import duckdb

from expectations.features import WINDOWS_DAYS
from tests.benchmarks.rivals import duckdb_sql as sql

THREADS = 2


def main(lake: Path, target: Path, ds: date) -> None:
    """Writes customer_day/, features.parquet and preferences.parquet into ``target``."""
    (target / "customer_day").mkdir(parents=True)
    connection = connect(target)
    days = days_of(lake / "events", ds)
    mark_prices(connection, files(lake / "events", days))
    # A month at a time, so that the groups of 50 sums each fit in memory.
    for month in sorted({day.replace(day=1) for day in days}):
        part = [day for day in days if day.replace(day=1) == month]
        add_up(connection, lake, part, target / "customer_day" / f"{month:%Y-%m}.parquet")
    prepare(connection, f"read_parquet('{target}/customer_day/*.parquet')", lake, ds)
    write_features(connection, ds, target / "features.parquet")
    recent = [day for day in days if day > ds - timedelta(days=180)]
    wanted = sql.template("customer_product").format(events=files(lake / "events", recent))
    write_preferences(connection, f"({wanted})", ds, target / "preferences.parquet")


def connect(target: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"SET threads = {THREADS}")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"SET temp_directory = '{target / 'spilled'}'")
    connection.execute(
        f"CREATE MACRO decimal4(x) AS (round_even(x * 10000, 0)::DECIMAL(20, 0) * 0.0001)::{sql.DECIMAL}"
    )
    return connection


def days_of(table: Path, ds: date) -> list[date]:
    """Deliveries up to ``ds``."""
    found = (date.fromisoformat(folder.name.partition("=")[2]) for folder in table.glob("arrival_date=*"))
    return sorted(day for day in found if day <= ds)


def files(table: Path, days: list[date], partition: str = "arrival_date") -> str:
    """The relation of the partitions' rows."""
    paths = ", ".join(f"'{table}/{partition}={day}/*.parquet'" for day in days)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def mark_prices(connection: duckdb.DuckDBPyConnection, events: str) -> None:
    """Makes price_marks for the money lines of ``events``, judged by their own history."""
    count_lines(connection, events)
    connection.execute(sql.template("price_bounds").format(log_step=f"{sql.LOG_STEP}::DOUBLE"))
    connection.execute(sql.template("price_marks"))


def count_lines(connection: duckdb.DuckDBPyConnection, events: str) -> None:
    text = sql.template("price_lines")
    connection.execute(text.format(events=events, price_bucket=sql.bucket("price"), amount_bucket=sql.bucket("amount")))


def add_up(connection: duckdb.DuckDBPyConnection, lake: Path, days: list[date], target: Path) -> None:
    """Writes the rows of customer_day of ``days``."""
    query = sql.behaviour(files(lake / "events", days), files(lake / "text_scores", days))
    connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def prepare(connection: duckdb.DuckDBPyConnection, days: str, lake: Path, ds: date) -> None:
    """Makes what features.sql reads from ``days``, rows of customer_day."""
    year = f"event_date > DATE '{ds}' - {WINDOWS_DAYS[-1]}"
    rows = f"(SELECT event_date AS period_start_date, * FROM {days} WHERE {year})"
    orders = f"(SELECT customer_key, event_date, unnest(order_ids) AS order_id FROM {days})"
    make_views(
        connection,
        added_up=sql.aged(rows, f"{ds}"),
        purchase_days=f"SELECT DISTINCT customer_key, event_date FROM {days} WHERE purchase_count > 0",
        order_ages=f"SELECT customer_key, order_id, min({sql.age_of('event_date', f'{ds}')}) AS age FROM {orders} "
        "GROUP BY customer_key, order_id",
        lives="SELECT customer_key, min(event_date) AS first_event_date, "
        "max(event_date) FILTER (event_count > campaign_count) AS last_event_date, "
        f"sum(purchase_amount) AS purchase_amount FROM {days} GROUP BY customer_key",
        demographics=f"SELECT * FROM {files(lake / 'customers', days_of(lake / 'customers', ds))}",
    )


def make_views(connection: duckdb.DuckDBPyConnection, **queries: str) -> None:
    for name, query in queries.items():
        connection.execute(f"CREATE TEMP VIEW {name} AS {query}")


def write_features(connection: duckdb.DuckDBPyConnection, ds: date, target: Path) -> None:
    bought = {f"purchase_days_{days}d": f"count(*) FILTER (event_date > DATE '{ds}' - {days})" for days in WINDOWS_DAYS}
    orders = {f"order_count_{days}d": f"count(*) FILTER (age <= {n})" for n, days in enumerate(WINDOWS_DAYS)}
    text = sql.template("features").format(
        ds=ds,
        target=target,
        ages=sql.ages(),
        window_sums=sql.named(sql.window_sums()),
        purchase_days=sql.named(bought),
        order_counts=sql.named(orders),
        features=sql.named(sql.features()),
    )
    connection.execute(text)


def write_preferences(connection: duckdb.DuckDBPyConnection, products: str, ds: date, target: Path) -> None:
    connection.execute(sql.template("preferences").format(products=products, ds=ds, target=target))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("ds", type=date.fromisoformat)
    main(**vars(parser.parse_args()))
