"""The columns of the rivals' SQL for DuckDB: what is counted of customers, windows, and features."""

import math
from pathlib import Path

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

LOG_STEP = repr(math.log(1.05))
DECIMAL = "DECIMAL(18, 4)"
MONEY_TYPES = ("purchase", "return")
DAY_KEYS = "customer_key, event_date, arrival_date"


def template(name: str) -> str:
    return (Path(__file__).parent / f"{name}.sql").read_text()


def bucket(column: str) -> str:
    """5 % wide; the same edge as lake/event_profile has."""
    return f"floor(ln({column}::DOUBLE) / {LOG_STEP}::DOUBLE + 1e-9::DOUBLE)::INTEGER"


def act_measures() -> dict[str, str]:
    """What needs no look at money: measure → expression over a group of events."""
    own = "event_type <> 'campaign_send'"
    return {
        "event_count": "count(*)",
        **{m.name: f"count(*) FILTER (event_type = '{kind}')" for kind, m in COUNT_OF_TYPE.items()},
        "session_count": "count(*) FILTER (is_session_start)",
        "bounce_count": "count(*) FILTER (is_bounce)",
        "session_event_count": "count(session_id)",
        "session_seconds": "sum(session_step_seconds)",
        **{
            f"{part}_count": f"count(*) FILTER ({own} AND event_hour BETWEEN {first} AND {last})"
            for part, (first, last) in DAY_PARTS.items()
        },
        "weekend_count": f"count(*) FILTER ({own} AND isodow(event_date) >= 6)",
        "rating_count": "count(rating)",
        "rating_sum": f"sum(rating::{DECIMAL})",
        **{
            word: f"bit_or(1::UBIGINT << ({column} & 63)) FILTER ({_of_word(column, n, len(words))})"
            for column, words in SKETCHES.values()
            for n, word in enumerate(words)
        },
    }


def _of_word(column: str, word: int, words: int) -> str:
    return f"{column} IS NOT NULL" if words == 1 else f"({column} >> 6) & 1 = {word}"


def money_measures() -> dict[str, str]:
    """Measure → expression over a group of purchase and return lines with their marks."""
    bought = "FILTER (event_type = 'purchase')"
    held = "CASE WHEN amount > 0 THEN greatest(least(amount, coalesce(upper_amount, amount)), lower_amount) ELSE 0 END"
    return {
        "discounted_count": "count(*) FILTER (event_type = 'purchase' AND discount_amount > 0)",
        "outlier_count": "count(*) FILTER (amount > 0 AND (amount < lower_amount OR amount > upper_amount))",
        "quantity": f"sum(quantity) {bought}",
        "purchase_amount": f"sum(amount) {bought}",
        "return_amount": "sum(amount) FILTER (event_type = 'return')",
        "discount_amount": f"sum(discount_amount) {bought}",
        "winsorised_amount": f"sum({held}) {bought}",
        "largest_line_amount": f"max(amount) {bought}",
        "price_rank_sum": f"sum(price_rank) {bought}",
        "price_rank_count": f"count(price_rank) {bought}",
    }


def text_measures() -> dict[str, str]:
    """Measure → expression over a group of rows of text_scores."""
    return {
        "text_count": "count(sentiment)",
        "negative_text_count": f"count(*) FILTER (sentiment < {NEGATIVE})",
        "sentiment_sum": f"sum(sentiment::{DECIMAL} + 1)",
        **{f"{topic}_text_count": f"count(*) FILTER (topic = '{topic}')" for topic in TOPICS},
    }


ORDER_IDS = "list_sort(list(DISTINCT order_id) FILTER (event_type = 'purchase' AND order_id IS NOT NULL))"


def behaviour(events: str, texts: str, age: str | None = None) -> str:
    """Query of measures from ``events``: by customer, event date and arrival date, or by customer and ``age``."""
    keys = "customer_key, age" if age else DAY_KEYS
    from_events = f"customer_key, {age} AS age" if age else DAY_KEYS
    money = money_measures() | ({} if age else {"order_ids": ORDER_IDS})
    dates = (
        {
            "first_event_date": "min(event_date)",
            "last_event_date": "max(event_date) FILTER (event_type <> 'campaign_send')",
        }
        if age
        else {}
    )
    measures = [name for name in (*act_measures(), *money, *text_measures()) if name in MEASURE]
    return template("behaviour").format(
        events=events,
        texts=texts,
        keys=keys,
        event_keys=from_events,
        line_keys=f"{from_events}{', arrival_date' if age else ''}",
        price_bucket=bucket("price"),
        act_measures=named(act_measures() | dates),
        money_measures=named(money),
        text_measures=named(text_measures()),
        columns=named({name: typed(name) for name in measures} | {name: name for name in dates or ("order_ids",)}),
    )


def typed(name: str) -> str:
    """The measure in the type of the contract, 0 for null."""
    kind = DECIMAL if MEASURE[name].type == "decimal" else "BIGINT"
    if MEASURE[name].merge == "bits":  # the same 64 bits, as a signed number
        low = f"(coalesce({name}, 0) & {2**63 - 1})::BIGINT"
        return f"{low} | CASE WHEN {name} >= {2**63} THEN {-(2**63)} ELSE 0 END::BIGINT"
    return f"coalesce({name}, 0)::{kind}"


def named(expressions: dict[str, str]) -> str:
    return ",\n           ".join(f"{expression} AS {name}" for name, expression in expressions.items())


# -- windows ---------------------------------------------------------------------------------------------------------


def age_of(day: str, ds: str) -> str:
    """How many windows lie before ``day``; 5 beyond all of them."""
    cases = " ".join(f"WHEN {day} > DATE '{ds}' - {days} THEN {n}" for n, days in enumerate(WINDOWS_DAYS))
    return f"CASE {cases} ELSE {len(WINDOWS_DAYS)} END"


def aged(rows: str, ds: str) -> str:
    """Query: rows with period_start_date and measures, added up by customer and age."""
    merges = {"sum": "sum", "max": "max", "bits": "bit_or"}
    columns = {name: f"{merges[measure.merge]}({name})" for name, measure in MEASURE.items()}
    return f"SELECT customer_key, {age_of('period_start_date', ds)} AS age, {named(columns)} FROM {rows} GROUP BY ALL"


def window_sums() -> dict[str, str]:
    """<measure>_<days>d → expression over a customer's row of each age, a0 … a4.

    Joined rather than added up by filters, which takes three times as long.
    """
    return {f"{name}_{days}d": _merged(name, WINDOWS_DAYS.index(days) + 1) for name, days in sorted(asked())}


def _merged(name: str, ages: int) -> str:
    values = [f"coalesce(a{age}.{name}, 0)" for age in range(ages)]
    if MEASURE[name].merge == "max":
        return f"greatest({', '.join(values)})"
    return (" | " if MEASURE[name].merge == "bits" else " + ").join(values)


def ages() -> str:
    """The joins that ``window_sums`` is over."""
    return " ".join(
        f"LEFT JOIN (FROM aged WHERE age = {n}) AS a{n} USING (customer_key)" for n in range(len(WINDOWS_DAYS))
    )


def features() -> dict[str, str]:
    """Feature → expression over window sums, days and orders by window."""
    found = {}
    for days in WINDOWS_DAYS:
        found |= {f"{name}_{days}d": _number(name, days) for name in WINDOW_SUMS}
        found |= {f"{name}_{days}d": f"coalesce({name}_{days}d, 0)" for name in ("purchase_days", "order_count")}
    for days in RATIO_WINDOWS_DAYS:
        found |= _long_window(days)
    found |= {f"{name}_{days}d": _number(name, days) for name in TOPIC_SUMS for days in RATIO_WINDOWS_DAYS}
    for days in VELOCITY_WINDOWS_DAYS:
        found |= {f"{what}_diversity_{days}d": _distinct(what, days) for what in ("device", "payment_method")}
    own = {days: f"({_number('event_count', days)} - {_number('campaign_count', days)})" for days in (7, 90)}
    found["amount_velocity_7d"] = _velocity(_number("purchase_amount", 7), _number("purchase_amount", 90))
    found["event_velocity_7d"] = _velocity(own[7], own[90])
    lines, paid = (f"({_number(n, 365)} - {_number(n, 7)})" for n in ("purchase_count", "purchase_amount"))
    found["line_surprise_7d"] = _over(f"{_number('largest_line_amount', 7)} * {lines}", paid)
    found["rating_mean_365d"] = _over(_number("rating_sum", 365), _number("rating_count", 365))
    return found


def _long_window(days: int) -> dict[str, str]:
    own = f"({_number('event_count', days)} - {_number('campaign_count', days)})"
    sentiment = _over(_number("sentiment_sum", days), _number("text_count", days))
    return {
        **{f"{name}_{days}d": _number(name, days) for name in (*LONG_WINDOW_SUMS, "largest_line_amount")},
        f"sentiment_mean_{days}d": f"{sentiment} - 1",
        f"average_order_amount_{days}d": _over(_number("purchase_amount", days), f"order_count_{days}d"),
        **{f"{r.name}_{days}d": _over(_total(r.numerator, days), f"({_total(r.denominator, days)})") for r in RATIOS},
        **{f"{what}_diversity_{days}d": _distinct(what, days) for what in ("product", "category", "brand")},
        f"weekend_share_{days}d": _over(_number("weekend_count", days), own),
    }


def _number(name: str, days: int) -> str:
    kind = "DOUBLE" if MEASURE[name].type == "decimal" else "BIGINT"
    return f"coalesce({name}_{days}d, 0)::{kind}"


def _total(names: tuple[str, ...], days: int) -> str:
    return " + ".join(_number(name, days) for name in names)


def _over(numerator: str, denominator: str) -> str:
    """Null where there is nothing to divide by: DuckDB's x / 0 is null for whole numbers, infinite for others."""
    return f"({numerator}) / nullif({denominator}, 0)"


def _velocity(week: str, quarter: str) -> str:
    return f"({week} / 7) / nullif(({quarter} - {week}) / 83, 0)"


def _distinct(what: str, days: int) -> str:
    """Linear counting, with one bit of zero at the least."""
    words = SKETCHES[what][1]
    bits = 64 * len(words)
    ones = " + ".join(f"bit_count(coalesce({word}_{days}d, 0))::INTEGER" for word in words)
    return f"round({bits} * ln({bits} / greatest({bits} - ({ones}), 1)))"
