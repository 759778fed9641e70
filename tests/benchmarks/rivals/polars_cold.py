"""A year of events → customer-days, features and preferences, by hand for Polars: lazy, streaming, two threads."""

import argparse
import os
from datetime import date, timedelta
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "2")

import polars as pl
from polars import LazyFrame, col, when

from expectations.features import FEATURE_COLUMNS, WINDOWS_DAYS
from tests.benchmarks.rivals import polars_columns as columns
from tests.benchmarks.rivals.polars_prices import CATEGORY, MARK, MONTH, price_bucket, price_marks

GRAIN = ["customer_key", "event_date", "arrival_date"]


def main(lake: Path, target: Path, ds: date) -> None:
    """Writes customer_day/, features.parquet and preferences.parquet into ``target``."""
    (target / "customer_day").mkdir(parents=True)
    days = days_of(lake / "events", ds)
    marks = price_marks(scan(lake / "events", days))
    for month in sorted({day.replace(day=1) for day in days}):
        part = [day for day in days if day.replace(day=1) == month]
        rows = customer_days(scan(lake / "events", part), scan(lake / "text_scores", part), marks)
        write(rows, target / "customer_day" / f"{month:%Y-%m}.parquet")
    told = scan(lake / "customers", days_of(lake / "customers", ds))
    write(features(pl.scan_parquet(target / "customer_day" / "*.parquet"), told, ds), target / "features.parquet")
    recent = [day for day in days if day > ds - timedelta(days=180)]
    write(preferences(scan(lake / "events", recent), ds), target / "preferences.parquet")


def days_of(table: Path, ds: date) -> list[date]:
    """Deliveries up to ``ds``."""
    found = (date.fromisoformat(folder.name.partition("=")[2]) for folder in table.glob("arrival_date=*"))
    return sorted(day for day in found if day <= ds)


def scan(table: Path, days: list[date]) -> LazyFrame:
    files = [file for day in days for file in sorted((table / f"arrival_date={day}").glob("*.parquet"))]
    return pl.scan_parquet(files, hive_partitioning=False)


def write(rows: LazyFrame, path: Path) -> None:
    rows.sink_parquet(path, compression="zstd", maintain_order=False, engine="streaming")


def customer_days(events: LazyFrame, texts: LazyFrame, marks: pl.DataFrame) -> LazyFrame:
    lines = events.filter(col("event_type").is_in(["purchase", "return"]))
    marked = lines.with_columns(MONTH, CATEGORY, price_bucket()).join(marks.lazy(), MARK, "left")
    bought = events.filter((col("event_type") == "purchase") & col("order_id").is_not_null())
    orders = bought.select(*GRAIN, "order_id").unique().group_by(GRAIN).agg(order_ids="order_id")
    parts = {
        "acts": (events, columns.act_measures()),
        "money": (marked, columns.money_measures()),
        "texts": (texts.filter(col("event_type") != "search"), columns.text_measures()),
    }
    acts, money, said = (rows.group_by(GRAIN).agg(**measures) for rows, measures in parts.values())
    days = acts.join(money, GRAIN, "left").join(said, GRAIN, "left").join(orders, GRAIN, "left")
    measures = [columns.typed(name) for _, measures in parts.values() for name in measures]
    return days.select(*GRAIN, *measures, col("order_ids").list.sort())


def features(days: LazyFrame, told: LazyFrame, ds: date) -> LazyFrame:
    recent = days.filter(col("event_date") > ds - timedelta(days=WINDOWS_DAYS[-1]))
    aged = recent.with_columns(age=_age(ds)).group_by("customer_key", "age").agg(**columns.merged())
    sums = aged.group_by("customer_key").agg(**columns.window_sums())
    newest = told.sort("arrival_date", "source").unique("customer_key", keep="last", maintain_order=True)
    joined = _lives(days)
    for part in (_rhythm(days, ds), _orders(days, ds), sums, newest.drop("source", "arrival_date")):
        joined = joined.join(part, "customer_key", "left")
    count = col("purchase_days")
    return joined.with_columns(
        snapshot_date=pl.lit(ds),
        tenure_days=_days_to(ds, "first_event_date"),
        recency_days=_days_to(ds, "last_purchase_date"),
        event_recency_days=_days_to(ds, "last_event_date"),
        frequency_days=count.fill_null(0),
        order_count=col("order_count").fill_null(0),
        monetary_value=col("purchase_amount").cast(pl.Float64) / count,
        **columns.features(),
    ).select("customer_key", "snapshot_date", *(c.name for c in FEATURE_COLUMNS))


def _age(ds: date) -> pl.Expr:
    age = pl.lit(len(WINDOWS_DAYS))
    for n, days in reversed(list(enumerate(WINDOWS_DAYS))):
        age = when(col("event_date") > ds - timedelta(days=days)).then(n).otherwise(age)
    return age.cast(pl.Int8)


def _days_to(ds: date, column: str) -> pl.Expr:
    return (pl.lit(ds) - col(column)).dt.total_days().cast(pl.Int32)


def _lives(days: LazyFrame) -> LazyFrame:
    return days.group_by("customer_key").agg(
        first_event_date=col("event_date").min(),
        last_event_date=when(col("event_count") > col("campaign_count")).then(col("event_date")).max(),
        purchase_amount=col("purchase_amount").sum(),
    )


def _rhythm(days: LazyFrame, ds: date) -> LazyFrame:
    """What the distinct purchase days of a customer tell."""
    bought = days.filter(col("purchase_count") > 0).select("customer_key", "event_date").unique()
    within = {f"purchase_days_{n}d": (col("event_date") > ds - timedelta(days=n)).sum() for n in WINDOWS_DAYS}
    rows = bought.group_by("customer_key").agg(bought="event_date", **within)
    rows = rows.with_columns(col("bought").list.sort()).with_columns(gaps=col("bought").list.diff(null_behavior="drop"))
    rows = rows.with_columns(gaps=col("gaps").list.eval(pl.element().dt.total_days()))
    gaps, count = col("gaps"), col("gaps").list.len().cast(pl.Int64)
    last, total = gaps.list.last(), gaps.list.sum().cast(pl.Float64)
    squares = gaps.list.eval(pl.element() * pl.element()).list.sum().cast(pl.Float64)
    mean, before = total / count, (total - last) / (count - 1)
    variance = pl.max_horizontal(squares / count - mean * mean, 0.0)
    return rows.select(
        "customer_key",
        *within,
        purchase_days=count + 1,
        first_purchase_date=col("bought").list.first(),
        last_purchase_date=col("bought").list.last(),
        gap_mean_days=when(count >= 1).then(mean),
        gap_deviation_days=when(count >= 2).then(variance.sqrt()),
        gap_trend=when(count >= 2).then(last / before),
        gap_last_days=last.cast(pl.Int32),
        gap_mean_before_last_days=when(count >= 2).then(before),
    )


def _orders(days: LazyFrame, ds: date) -> LazyFrame:
    lines = days.select("customer_key", "order_ids", age=_age(ds)).drop_nulls("order_ids").explode("order_ids")
    latest = lines.group_by("customer_key", "order_ids").agg(col("age").min())
    counts = {f"order_count_{days}d": (col("age") <= n).sum() for n, days in enumerate(WINDOWS_DAYS)}
    return latest.group_by("customer_key").agg(order_count=pl.len(), **counts)


def preferences(events: LazyFrame, ds: date) -> LazyFrame:
    wanted = events.filter(
        col("event_type").is_in(["purchase", "add_to_cart", "favourite"]) & col("product_id").is_not_null()
    )
    weight = when(col("event_type") == "purchase").then(3).otherwise(1)
    products = wanted.group_by("customer_key", "arrival_date", "product_id").agg(
        col("category").max(), col("brand").max(), col("event_date").max(), weight=weight.cast(pl.Int64).sum()
    )
    recent = products.filter(col("event_date") > ds - timedelta(days=180))
    both = (_favourite(recent, name) for name in ("category", "brand"))
    joined = next(both).join(next(both), "customer_key", "full", coalesce=True)
    return joined.with_columns(snapshot_date=pl.lit(ds))


def _favourite(products: LazyFrame, of: str) -> LazyFrame:
    """The ``of`` wanted most, of equals the first by name, and its share."""
    totals = products.drop_nulls(of).group_by("customer_key", of).agg(col("weight").sum())
    best = totals.group_by("customer_key").agg(most=col("weight").max(), total=col("weight").sum())
    named = totals.join(best, "customer_key").filter(col("weight") == col("most"))
    return named.group_by("customer_key").agg(
        col(of).min().alias(f"favourite_{of}"), (col("most") / col("total")).max().alias(f"favourite_{of}_share")
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("ds", type=date.fromisoformat)
    main(**vars(parser.parse_args()))
