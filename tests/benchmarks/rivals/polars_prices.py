"""Price ranks and outliers by hand for Polars: what lake/price_bounds holds, from the 90 days before each month."""

import math

import polars as pl
from polars import Expr, LazyFrame, col, when

STEP = math.log(1.05)
UNRANKED, WHOLE_SHOP = -1000, -1
CATEGORY = col("category_hash").fill_null(WHOLE_SHOP).alias("category")
MONTH = col("arrival_date").dt.truncate("1mo").alias("month")
MARK = ["month", "category", "bucket"]


def bucket(column: str) -> Expr:
    """5 % wide; the same edge as lake/event_profile has."""
    value = col(column).cast(pl.Float64)
    return when(value > 0).then((value.log() / STEP + 1e-9).floor().cast(pl.Int32)).otherwise(UNRANKED)


def price_bucket() -> Expr:
    return when(col("event_type") == "purchase").then(bucket("price")).otherwise(UNRANKED).alias("bucket")


def price_marks(events: LazyFrame) -> pl.DataFrame:
    """month, category, bucket → price_rank, lower_amount, upper_amount, for all that occur in ``events``."""
    amount = when(col("event_type") == "purchase").then(bucket("amount")).alias("amount_bucket")
    lines = (
        events.filter(col("event_type").is_in(["purchase", "return"]))
        .group_by("arrival_date", CATEGORY, price_bucket(), amount)
        .agg(pl.len().alias("n"))
        .collect(engine="streaming")
    )
    history = _history(lines)
    amounts, prices = _usual_amounts(history), _usual_prices(history)
    return _marks(lines.select(MONTH, "category", "bucket").unique(), amounts, prices)


def _history(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines that each month is judged by, under their own category and that of the whole shop."""
    months = lines.select(MONTH).unique()
    day, month = col("arrival_date"), col("month")
    known = months.join(lines, how="cross").filter((day >= month.dt.offset_by("-90d")) & (day < month))
    shop = known.with_columns(pl.lit(WHOLE_SHOP, known["category"].dtype).alias("category"))
    return pl.concat([known.filter(col("category") != WHOLE_SHOP), shop])


def _cumulated(history: pl.DataFrame, of: str) -> pl.DataFrame:
    spread = history.filter(col(of) != UNRANKED).group_by("month", "category", bucket=of).agg(col("n").sum())
    group = ["month", "category"]
    return spread.sort(MARK).with_columns(
        col("n").cast(pl.Float64),
        below=col("n").cast(pl.Float64).cum_sum().over(group),
        total=col("n").cast(pl.Float64).sum().over(group),
    )


def _usual_amounts(history: pl.DataFrame) -> pl.DataFrame:
    """Bounds of each month and category of at least 100 lines."""

    def quantile(share: float) -> Expr:
        wanted = share * col("total")
        return ((col("bucket") + (wanted - col("below") + col("n")) / col("n")) * STEP).filter(col("below") >= wanted)

    cumulated = _cumulated(history, "amount_bucket").filter(col("total") >= 100)
    quartiles = cumulated.group_by("month", "category", maintain_order=True).agg(
        low=quantile(0.25).first(), high=quantile(0.75).first()
    )
    reach = pl.max_horizontal(3 * (col("high") - col("low")), math.log(5))
    return quartiles.select(
        "month",
        "category",
        lower_amount=_decimal((col("low") - reach).exp()),
        upper_amount=_decimal(pl.min_horizontal((col("high") + reach).exp(), 99999999999999.98)),
    )


def _usual_prices(history: pl.DataFrame) -> pl.DataFrame:
    ranked = _cumulated(history, "bucket").with_columns(rank=(col("below") - col("n") / 2) / col("total"))
    return ranked.select(*MARK, at=col("bucket"), rank=_decimal(col("rank")).cast(pl.Float64))


def _marks(keys: pl.DataFrame, amounts: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    own = amounts.select("month", "category", judge="category")
    judged = keys.join(own, ["month", "category"], "left").with_columns(col("judge").fill_null(WHOLE_SHOP))
    judged = judged.join(amounts.rename({"category": "judge"}), ["month", "judge"]).sort("bucket")
    prices = prices.rename({"category": "judge"}).sort("bucket")
    beside = judged
    for side in ("backward", "forward"):
        known = prices.rename({"at": f"{side}_at", "rank": f"{side}_rank"})
        beside = beside.join_asof(known, on="bucket", by=["month", "judge"], strategy=side, check_sortedness=False)
    low, high = col("backward_rank"), col("forward_rank")
    at, to = col("backward_at"), col("forward_at")
    between = (high - low) / (to - at) * (col("bucket") - at) + low
    rank = when(low.is_null()).then(high).when(high.is_null() | (at == col("bucket"))).then(low).otherwise(between)
    rank = when(col("bucket") != UNRANKED).then(_decimal(rank))
    return beside.select(*MARK, rank.alias("price_rank"), "lower_amount", "upper_amount")


def _decimal(value: Expr) -> Expr:
    """Rounded to four decimals, halves to even."""
    whole = (value * 10_000).round(0, mode="half_to_even").cast(pl.Int64)
    return (whole.cast(pl.Decimal(20, 0)) * pl.lit("0.0001").cast(pl.Decimal(18, 4))).cast(pl.Decimal(18, 4))
