"""The rival's expressions for Polars: what is counted of customers, windows, and features."""

import polars as pl
from polars import Expr, col, when

from expectations.features import (
    LONG_WINDOW_SUMS,
    RATIO_WINDOWS_DAYS,
    RATIOS,
    TOPIC_SUMS,
    VELOCITY_WINDOWS_DAYS,
    WINDOW_SUMS,
    WINDOWS_DAYS,
)
from expectations.measures import COUNT_OF_TYPE, DAY_PARTS, MEASURE, SKETCHES, TOPICS
from tests.benchmarks.rivals.asked import NEGATIVE, asked

DECIMAL = pl.Decimal(18, 4)
YEAR = WINDOWS_DAYS[-1]


def is_a(kind: str) -> Expr:
    return col("event_type") == kind


def act_measures() -> dict[str, Expr]:
    """What needs no look at money: measure → expression over a group of events."""
    own = ~is_a("campaign_send")
    return {
        "event_count": pl.len(),
        **{measure.name: is_a(kind).sum() for kind, measure in COUNT_OF_TYPE.items()},
        "session_count": col("is_session_start").sum(),
        "bounce_count": col("is_bounce").sum(),
        "session_event_count": col("session_id").count(),
        "session_seconds": col("session_step_seconds").cast(pl.Int64).sum(),
        **{f"{part}_count": (own & col("event_hour").is_between(*hours)).sum() for part, hours in DAY_PARTS.items()},
        "weekend_count": (own & (col("event_date").dt.weekday() >= 6)).sum(),
        "rating_count": col("rating").count(),
        "rating_sum": col("rating").cast(DECIMAL).sum(),
        **{
            word: _bits(column, n, len(words))
            for column, words in SKETCHES.values()
            for n, word in enumerate(words)
        },
    }  # fmt: skip


def _bits(column: str, word: int, words: int) -> Expr:
    bit = pl.lit(2, pl.UInt64).pow(col(column) & 63).cast(pl.UInt64)
    inside = col(column).is_not_null() if words == 1 else ((col(column) // 64) & 1) == word
    return when(inside).then(bit).bitwise_or()


def money_measures() -> dict[str, Expr]:
    """Measure → expression over a group of purchase and return lines with their marks."""
    amount, bought = col("amount"), is_a("purchase")

    def total(column: Expr) -> Expr:
        return when(bought).then(column).sum()

    held = when(amount > 0).then(pl.max_horizontal(pl.min_horizontal(amount, "upper_amount"), "lower_amount"))
    beyond = (amount > 0) & ((amount < col("lower_amount")) | (amount > col("upper_amount")))
    return {
        "discounted_count": (bought & (col("discount_amount") > 0)).sum(),
        "outlier_count": beyond.sum(),
        "quantity": total(col("quantity")),
        "purchase_amount": total(amount),
        "return_amount": when(is_a("return")).then(amount).sum(),
        "discount_amount": total(col("discount_amount")),
        "winsorised_amount": total(held),
        "largest_line_amount": when(bought).then(amount).max(),
        "price_rank_sum": total(col("price_rank")),
        "price_rank_count": when(bought).then(col("price_rank")).count(),
    }


def text_measures() -> dict[str, Expr]:
    """Measure → expression over a group of rows of text_scores."""
    return {
        "text_count": col("sentiment").count(),
        "negative_text_count": (col("sentiment") < NEGATIVE).sum(),
        "sentiment_sum": (col("sentiment").cast(DECIMAL) + pl.lit(1).cast(DECIMAL)).sum(),
        **{f"{topic}_text_count": (col("topic") == topic).sum() for topic in TOPICS},
    }


def typed(name: str) -> Expr:
    """The measure in the type of the contract, 0 for null."""
    if MEASURE[name].merge == "bits":
        return col(name).fill_null(0).reinterpret(signed=True).alias(name)
    return col(name).cast(DECIMAL if MEASURE[name].type == "decimal" else pl.Int64).fill_null(0)


# -- windows ---------------------------------------------------------------------------------------------------------

MERGES = {"sum": Expr.sum, "max": Expr.max, "bits": Expr.bitwise_or}


def merged() -> dict[str, Expr]:
    return {name: MERGES[measure.merge](col(name)) for name, measure in MEASURE.items()}


def window_sums() -> dict[str, Expr]:
    """<measure>_<days>d → expression over a customer's ages, for every measure and window that a feature asks for."""
    return {
        f"{name}_{days}d": MERGES[MEASURE[name].merge](when(col("age") <= WINDOWS_DAYS.index(days)).then(col(name)))
        for name, days in sorted(asked())
    }


def features() -> dict[str, Expr]:
    """Feature → expression over window sums, and days and orders by window."""
    found = {}
    for days in WINDOWS_DAYS:
        found |= {f"{name}_{days}d": _number(name, days) for name in WINDOW_SUMS}
        found |= {f"{n}_{days}d": col(f"{n}_{days}d").fill_null(0) for n in ("purchase_days", "order_count")}
    for days in RATIO_WINDOWS_DAYS:
        found |= _long_window(days)
    found |= {f"{name}_{days}d": _number(name, days) for name in TOPIC_SUMS for days in RATIO_WINDOWS_DAYS}
    for days in VELOCITY_WINDOWS_DAYS:
        found |= {f"{what}_diversity_{days}d": _distinct(what, days) for what in ("device", "payment_method")}
    own = [_number("event_count", days) - _number("campaign_count", days) for days in (7, 90)]
    paid = [_number("purchase_amount", days) for days in (7, 90)]
    for what, (week, quarter) in (("amount_velocity_7d", paid), ("event_velocity_7d", own)):
        found[what] = _over(week / 7, (quarter - week) / 83)
    lines, before = (_number(n, YEAR) - _number(n, 7) for n in ("purchase_count", "purchase_amount"))
    found["line_surprise_7d"] = _over(_number("largest_line_amount", 7) * lines, before)
    found["rating_mean_365d"] = _over(_number("rating_sum", YEAR), _number("rating_count", YEAR))
    return found


def _long_window(days: int) -> dict[str, Expr]:
    own = _number("event_count", days) - _number("campaign_count", days)
    sentiment = _over(_number("sentiment_sum", days), _number("text_count", days))
    return {
        **{f"{name}_{days}d": _number(name, days) for name in (*LONG_WINDOW_SUMS, "largest_line_amount")},
        f"sentiment_mean_{days}d": sentiment - 1,
        f"average_order_amount_{days}d": _over(_number("purchase_amount", days), col(f"order_count_{days}d")),
        **{f"{r.name}_{days}d": _over(_total(r.numerator, days), _total(r.denominator, days)) for r in RATIOS},
        **{f"{what}_diversity_{days}d": _distinct(what, days) for what in ("product", "category", "brand")},
        f"weekend_share_{days}d": _over(_number("weekend_count", days), own),
    }


def _number(name: str, days: int) -> Expr:
    value = col(f"{name}_{days}d")
    return (value.cast(pl.Float64) if MEASURE[name].type == "decimal" else value).fill_null(0)


def _total(names: tuple[str, ...], days: int) -> Expr:
    return sum((_number(name, days) for name in names[1:]), start=_number(names[0], days))


def _over(numerator: Expr, denominator: Expr) -> Expr:
    """Null where there is nothing to divide by."""
    return when(denominator > 0).then(numerator / denominator)


def _distinct(what: str, days: int) -> Expr:
    """Linear counting, with one bit of zero at the least."""
    words = SKETCHES[what][1]
    bits = 64 * len(words)
    ones = pl.sum_horizontal(col(f"{word}_{days}d").fill_null(0).bitwise_count_ones().cast(pl.Int64) for word in words)
    return (bits * (bits / pl.max_horizontal(bits - ones, 1)).log()).round()
