"""Events of some deliveries → what each customer did on each day, and which products they wanted."""

from typing import TYPE_CHECKING

from expectations.measures import COUNT_OF_TYPE, DAY_PARTS, MEASURE, SKETCHES
from jobs.behaviour.merging import DECIMAL, sorted_set, typed
from jobs.text.scores import TEXT_MEASURES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

GRAIN = ("customer_key", "event_date", "arrival_date")


def customer_days(events: "DataFrame", texts: "DataFrame | None" = None) -> "DataFrame":
    """Rows of customer_day.

    ``events``: rows of events with price_rank, is_outlier and winsorised_amount (jobs/behaviour/prices.py).
    ``texts``: text measures by customer, event_date and arrival_date (jobs/text/scores.py); None where there are none.
    """
    from pyspark.sql import functions as F

    measures = {**_counts(), **_visits(), **_amounts(), **_sketches()}
    days = events.groupBy(*GRAIN).agg(*(typed(MEASURE[name], column) for name, column in measures.items()))
    days = days.join(_orders(events), list(GRAIN), "left")
    if texts is not None:
        days = days.join(texts, list(GRAIN), "left")
    from_texts = [typed(MEASURE[name], F.lit(None) if texts is None else F.col(name)) for name in TEXT_MEASURES]
    return days.select(*GRAIN, *measures, *from_texts, "order_ids")


def _is(event_type: str) -> "Column":
    from pyspark.sql import functions as F

    return F.col("event_type") == event_type


def _count_if(condition: "Column") -> "Column":
    from pyspark.sql import functions as F

    # Measured on Sail: a sum of ones and zeros takes two thirds of the time of a count of what is not null.
    return F.sum(F.when(condition, F.lit(1)).otherwise(F.lit(0)))


def _counts() -> dict[str, "Column"]:
    from pyspark.sql import functions as F

    own = ~_is("campaign_send")
    hours = {
        f"{part}_count": _count_if(own & F.col("event_hour").between(first, last))
        for part, (first, last) in DAY_PARTS.items()
    }
    return {
        "event_count": F.count("*"),
        **{measure.name: _count_if(_is(event_type)) for event_type, measure in COUNT_OF_TYPE.items()},
        **hours,
        "weekend_count": _count_if(own & F.dayofweek("event_date").isin(1, 7)),
        "discounted_count": _count_if(_is("purchase") & (F.col("discount_amount") > 0)),
        "outlier_count": _count_if(F.col("is_outlier")),
        "price_rank_count": F.count("price_rank"),
        "rating_count": F.count("rating"),
    }


def _visits() -> dict[str, "Column"]:
    from pyspark.sql import functions as F

    return {
        "session_count": _count_if(F.col("is_session_start")),
        "bounce_count": _count_if(F.col("is_bounce")),
        "session_event_count": F.count("session_id"),
        "session_seconds": F.sum(F.col("session_step_seconds").cast("bigint")),
    }


def _amounts() -> dict[str, "Column"]:
    from pyspark.sql import functions as F

    def total(column: str, event_type: str) -> "Column":
        return F.sum(F.when(_is(event_type), F.col(column)))

    return {
        "quantity": total("quantity", "purchase"),
        "purchase_amount": total("amount", "purchase"),
        "return_amount": total("amount", "return"),
        "discount_amount": total("discount_amount", "purchase"),
        "winsorised_amount": F.sum("winsorised_amount"),
        "largest_line_amount": F.max(F.when(_is("purchase"), F.col("amount"))),
        "price_rank_sum": F.sum("price_rank"),
        # A double added up in another order is another double; four decimals of it add up exactly.
        "rating_sum": F.sum(F.col("rating").cast(DECIMAL)),
    }


def _sketches() -> dict[str, "Column"]:
    """One bit for each distinct hash: the low 6 bits choose the bit, the next one the word where there are two."""
    from pyspark.sql import functions as F

    words = {}
    for column, names in SKETCHES.values():
        value = F.col(column)
        bit = F.expr(f"shiftleft(1L, {column} & 63)")
        for n, name in enumerate(names):
            inside = value.isNotNull() if len(names) == 1 else F.expr(f"(({column} >> 6) & 1) = {n}")
            words[name] = F.bit_or(F.when(inside, bit))
    return words


def _orders(events: "DataFrame") -> "DataFrame":
    """The orders of each customer-day that has any; apart, since few rows are purchases and sets are dear."""
    from pyspark.sql import functions as F

    bought = events.where(_is("purchase") & F.col("order_id").isNotNull())
    # Not collect_set, which takes four times as long on Sail.
    return bought.groupBy(*GRAIN).agg(sorted_set(F.collect_list("order_id")).alias("order_ids"))


def customer_products(events: "DataFrame") -> "DataFrame":
    """Rows of customer_product: what was bought, put into the cart or marked as a favourite."""
    from pyspark.sql import functions as F

    wanted = events.where(
        F.col("event_type").isin("purchase", "add_to_cart", "favourite") & F.col("product_id").isNotNull()
    )
    return wanted.groupBy("customer_key", "arrival_date", "product_id").agg(
        F.max("category").alias("category"),
        F.max("brand").alias("brand"),
        _count_if(_is("purchase")).cast("bigint").alias("purchase_count"),
        _count_if(~_is("purchase")).cast("bigint").alias("intent_count"),
        F.coalesce(F.sum(F.when(_is("purchase"), F.col("amount"))), F.lit(0)).cast(DECIMAL).alias("purchase_amount"),
        F.max("event_date").alias("last_event_date"),
    )
