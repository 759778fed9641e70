"""One more day by hand for DuckDB: from the raw events of all days, or from the roll-ups that the jobs keep."""

import argparse
from datetime import date, timedelta
from pathlib import Path

import duckdb

from jobs.behaviour.months import month_of
from jobs.behaviour.plan import Plan, plan_of
from tests.benchmarks.rivals import duckdb_sql as sql
from tests.benchmarks.rivals.duckdb_cold import (
    add_up,
    connect,
    count_lines,
    days_of,
    files,
    make_views,
    mark_prices,
    write_features,
    write_preferences,
)


def from_events(lake: Path, target: Path, ds: date) -> None:
    """Writes features.parquet and preferences.parquet into ``target``; reads events alone."""
    target.mkdir(parents=True)
    connection, days = connect(target), days_of(lake / "events", ds)
    events = files(lake / "events", days)
    mark_prices(connection, events)
    age = sql.age_of("event_date", f"{ds}")
    bought = f"FROM {events} WHERE event_type = 'purchase'"
    rows = sql.behaviour(events, files(lake / "text_scores", days), age)
    connection.execute(f"CREATE TEMP TABLE added_up AS {rows}")
    make_views(
        connection,
        purchase_days=f"SELECT DISTINCT customer_key, event_date {bought}",
        order_ages=f"SELECT customer_key, order_id, min({age}) AS age {bought} AND order_id IS NOT NULL GROUP BY ALL",
        lives=lives("added_up"),
        demographics=f"SELECT * FROM {files(lake / 'customers', days_of(lake / 'customers', ds))}",
    )
    write_features(connection, ds, target / "features.parquet")
    wanted = sql.template("customer_product").format(events=files(lake / "events", recent(days, ds)))
    write_preferences(connection, f"({wanted})", ds, target / "preferences.parquet")


def from_rollups(lake: Path, target: Path, ds: date) -> None:
    """Writes the day's customer_day and customer_product, then features and preferences, into ``target``.

    Reads the day's events and what the jobs keep of the days before: as much of it as they read themselves.
    """
    target.mkdir(parents=True)
    connection = connect(target)
    count_lines(connection, files(lake / "events", [ds]))
    known_bounds(connection, files(lake / "price_bounds", [month_of(ds)], "arrival_month"))
    add_up(connection, lake, [ds], target / "customer_day.parquet")
    products = sql.template("customer_product").format(events=files(lake / "events", [ds]))
    connection.execute(f"COPY ({products}) TO '{target}/customer_product.parquet' (FORMAT parquet, COMPRESSION zstd)")
    days = days_of(lake / "events", ds)
    read_rollups(connection, lake, target, ds, plan_of(ds, days[0]))
    write_features(connection, ds, target / "features.parquet")
    before = files(lake / "customer_product", [day for day in recent(days, ds) if day < ds])
    both = f"(FROM {before} UNION ALL BY NAME FROM '{target}/customer_product.parquet')"
    write_preferences(connection, both, ds, target / "preferences.parquet")


def lives(rows: str) -> str:
    """Query: a customer's first and last event and the money paid, from rows that tell each a part of it."""
    ends = "min(first_event_date) AS first_event_date, max(last_event_date) AS last_event_date"
    return f"SELECT customer_key, {ends}, sum(purchase_amount) AS purchase_amount FROM {rows} GROUP BY customer_key"


def recent(days: list[date], ds: date) -> list[date]:
    """The days whose deliveries tell preferences."""
    return [day for day in days if day > ds - timedelta(days=180)]


def known_bounds(connection: duckdb.DuckDBPyConnection, bounds: str) -> None:
    """What price_bounds.sql makes, from the rows of lake/price_bounds."""
    named = "arrival_month AS month, category_hash AS category"
    connection.execute(
        f"CREATE TEMP TABLE usual_amounts AS SELECT DISTINCT {named}, lower_amount, upper_amount FROM {bounds}"
    )
    connection.execute(
        f"CREATE TEMP TABLE usual_prices AS SELECT {named}, price_bucket AS bucket, price_rank::DOUBLE AS rank "
        f"FROM {bounds} WHERE price_bucket <> -1000"
    )
    connection.execute(sql.template("price_marks"))


def read_rollups(connection: duckdb.DuckDBPyConnection, lake: Path, target: Path, ds: date, plan: Plan) -> None:
    """Makes what features.sql reads from the partitions of ``plan`` and the day's own rows in ``target``."""
    today, dated = f"'{target}/customer_day.parquet'", "SELECT event_date AS period_start_date, *"
    rows = f"{dated} FROM {files(lake / 'customer_day', [day for day in plan.days if day < ds])}"
    rows += f" UNION ALL BY NAME {dated} FROM {today}"
    if plan.months:
        rows += f" UNION ALL BY NAME FROM {files(lake / 'customer_month', list(plan.months), 'arrival_month')}"
    month = [day for day in plan.days if month_of(ds) <= day < ds]
    days = " UNION ALL BY NAME ".join(
        [f"SELECT * FROM {today}", *([f"SELECT * FROM {files(lake / 'customer_day', month)}"] if month else [])]
    )
    histories = "SELECT customer_key, event_date AS first_event_date, CASE WHEN event_count > campaign_count "
    histories += "THEN event_date END AS last_event_date, purchase_amount, "
    histories += f"order_ids, CASE WHEN purchase_count > 0 THEN [event_date] END AS purchase_dates FROM ({days})"
    if plan.closed:
        histories += f" UNION ALL BY NAME FROM {files(lake / 'customer_history', [plan.closed], 'arrival_month')}"
    age = sql.age_of("period_start_date", f"{ds}")
    make_views(
        connection,
        rows=rows,
        histories=histories,
        added_up=sql.aged("rows", f"{ds}"),
        purchase_days="SELECT DISTINCT customer_key, unnest(purchase_dates) AS event_date FROM histories",
        order_ages="SELECT customer_key, order_id, min(age) AS age FROM ("
        f"SELECT customer_key, unnest(order_ids) AS order_id, {age} AS age FROM rows UNION ALL "
        "SELECT customer_key, unnest(order_ids), 5 FROM histories) GROUP BY customer_key, order_id",
        lives=lives("histories"),
        demographics=f"SELECT * FROM {files(lake / 'customers', days_of(lake / 'customers', ds))}",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", choices=("events", "rollups"))
    parser.add_argument("lake", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("ds", type=date.fromisoformat)
    told = parser.parse_args()
    {"events": from_events, "rollups": from_rollups}[told.base](told.lake, told.target, told.ds)
