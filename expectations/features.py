"""The features of a customer as of a date: name, unit, meaning, and what stands in for a missing value."""

from dataclasses import dataclass

from expectations.contract import Column
from expectations.measures import MEASURE, SKETCHES, TOPICS

WINDOWS_DAYS = (7, 30, 90, 180, 365)
"""Look-back windows. A window of w days as of D holds the event dates D-w+1 … D."""
RATIO_WINDOWS_DAYS = (90, 365)
"""Windows of ratios and diversity: long enough to divide by."""
VELOCITY_WINDOWS_DAYS = (30, 365)
"""Windows in which devices and payment methods are counted: what is new against what is usual."""

WINDOW_SUMS = (
    "event_count", "view_count", "search_count", "add_to_cart_count", "purchase_count", "campaign_count",
    "session_count", "purchase_amount", "return_amount", "discount_amount",
)  # fmt: skip
"""Measures that every window adds up."""
LONG_WINDOW_SUMS = (
    "remove_from_cart_count", "favourite_count", "return_count", "review_count", "support_count", "coupon_count",
    "campaign_open_count", "campaign_click_count", "outlier_count", "winsorised_amount", "text_count",
    "negative_text_count",
)  # fmt: skip
"""Measures that the ratio windows alone add up: too rare for shorter ones."""
TOPIC_SUMS = tuple(f"{topic}_text_count" for topic in TOPICS)
"""Measures that the ratio windows add up, of texts."""


@dataclass(frozen=True)
class Ratio:
    """numerator / denominator, each a sum of measures over the window; null where the denominator is 0."""

    name: str
    unit: str
    description: str
    numerator: tuple[str, ...]
    denominator: tuple[str, ...]
    maximum: float | None = None


_HOURS = ("night_count", "morning_count", "afternoon_count", "evening_count")
RATIOS = (
    Ratio("cart_per_view", "events per view", "Products put into the cart per view",
          ("add_to_cart_count",), ("view_count",)),
    Ratio("purchase_per_cart", "lines per event", "Purchase lines per product put into the cart",
          ("purchase_count",), ("add_to_cart_count",)),
    Ratio("purchase_per_session", "lines per session", "Purchase lines per visit",
          ("purchase_count",), ("session_count",)),
    Ratio("search_per_session", "events per session", "Searches per visit", ("search_count",), ("session_count",)),
    Ratio("session_length_seconds", "seconds", "Mean length of a visit", ("session_seconds",), ("session_count",)),
    Ratio("session_depth", "events", "Mean events of a visit", ("session_event_count",), ("session_count",)),
    Ratio("bounce_rate", "share", "Share of visits with a single event", ("bounce_count",), ("session_count",), 1),
    Ratio("return_rate", "ratio", "Money refunded per money paid", ("return_amount",), ("purchase_amount",)),
    Ratio("discount_share", "share", "Discounts per full price of what was bought",
          ("discount_amount",), ("purchase_amount", "discount_amount"), 1),
    Ratio("discounted_line_share", "share", "Share of purchase lines with a discount",
          ("discounted_count",), ("purchase_count",), 1),
    Ratio("coupon_rate", "events per line", "Coupons redeemed per purchase line",
          ("coupon_count",), ("purchase_count",)),
    Ratio("price_rank_mean", "share", "Mean rank of an item's price, as the source tells it, in its category, 0 to 1",
          ("price_rank_sum",), ("price_rank_count",), 1),
    Ratio("open_rate", "events per contact", "Campaign messages opened per contact",
          ("campaign_open_count",), ("campaign_count",)),
    Ratio("click_rate", "events per contact", "Campaign links followed per contact",
          ("campaign_click_count",), ("campaign_count",)),
    Ratio("night_share", "share", "Share of events at night (0 to 5)", ("night_count",), _HOURS, 1),
    Ratio("morning_share", "share", "Share of events in the morning (6 to 11)", ("morning_count",), _HOURS, 1),
    Ratio("evening_share", "share", "Share of events in the evening (18 to 23)", ("evening_count",), _HOURS, 1),
    Ratio("items_per_line", "items", "Mean items of a purchase line", ("quantity",), ("purchase_count",)),
)  # fmt: skip


def _over(days: int) -> str:
    return f"in the {days} days up to and including snapshot_date"


def _sum(name: str, days: int) -> Column:
    measure = MEASURE[name]
    kind = "double" if measure.type == "decimal" else "int64"
    return Column(name=f"{name}_{days}d", type=kind, minimum=0, unit=measure.unit,
                  description=f"{measure.description}, {_over(days)}.")  # fmt: skip


def _window(days: int) -> tuple[Column, ...]:
    return (
        *(_sum(name, days) for name in WINDOW_SUMS),
        Column(name=f"purchase_days_{days}d", type="int64", minimum=0, unit="days",
               description=f"Days with a purchase, {_over(days)}."),
        Column(name=f"order_count_{days}d", type="int64", minimum=0, unit="orders",
               description=f"Distinct orders, {_over(days)}."),
    )  # fmt: skip


def _ratio(ratio: Ratio, days: int) -> Column:
    return Column(name=f"{ratio.name}_{days}d", type="double", nullable=True, minimum=0, maximum=ratio.maximum,
                  unit=ratio.unit, impute="median",
                  description=f"{ratio.description}, {_over(days)}; null where there is nothing to divide by.",
    )  # fmt: skip


def _distinct(what: str, days: int) -> Column:
    return Column(name=f"{what}_diversity_{days}d", type="double", minimum=0, unit="distinct values",
                  description=f"Distinct values of {what.replace('_', ' ')}, {_over(days)}; {_error(what)}.",
    )  # fmt: skip


def _error(what: str) -> str:
    """What linear counting promises, by simulation: see tests/jobs/test_behaviour.py."""
    words = len(SKETCHES[what][1])
    few, most = ((40, 266), (250, 621))[words - 1]
    return (
        f"estimated in whole numbers by linear counting over {64 * words} bits, standard error below 10 % up to {few}; "
        f"at most {most}, which means that many or more"
    )


def _long_window(days: int) -> tuple[Column, ...]:
    return (
        *(_sum(name, days) for name in LONG_WINDOW_SUMS),
        Column(name=f"largest_line_amount_{days}d", type="double", minimum=0, unit="currency",
               description=f"Money paid for the dearest purchase line, {_over(days)}; 0 without one."),
        Column(name=f"sentiment_mean_{days}d", type="double", nullable=True, minimum=-1, maximum=1, unit="sentiment",
               impute="median",
               description=f"Mean sentiment of texts from -1 to 1, {_over(days)}; null without one."),
        Column(name=f"average_order_amount_{days}d", type="double", nullable=True, minimum=0, unit="currency",
               impute="median",
               description=f"Money paid per order, {_over(days)}; null without one."),
        *(_ratio(ratio, days) for ratio in RATIOS),
        *(_distinct(what, days) for what in ("product", "category", "brand")),
    )  # fmt: skip


_LIFE = (
    Column(name="tenure_days", type="int32", minimum=0, unit="days",
           description="Days since the customer's first event of any type."),
    Column(name="recency_days", type="int32", minimum=0, nullable=True, unit="days", impute="worst",
           description="Days since the last purchase; null if there was none."),
    Column(name="event_recency_days", type="int32", minimum=0, nullable=True, unit="days", impute="worst",
           description="Days since the last event that was not a campaign contact; null if there was none."),
    Column(name="first_purchase_date", type="date", nullable=True,
           description="Date of the first purchase; null if there was none."),
    Column(name="last_purchase_date", type="date", nullable=True,
           description="Date of the last purchase; null if there was none."),
    Column(name="frequency_days", type="int64", minimum=0, unit="days",
           description="Frequency: days with a purchase, ever."),
    Column(name="order_count", type="int64", minimum=0, unit="orders", description="Distinct orders, ever."),
    Column(name="monetary_value", type="double", minimum=0, nullable=True, unit="currency", impute="zero",
           description="Mean money paid per day with a purchase, before refunds; null without purchases."),
    Column(name="gap_mean_days", type="double", minimum=0, nullable=True, unit="days", impute="worst",
           description="Mean days between consecutive purchase days; null with fewer than two."),
    Column(name="gap_deviation_days", type="double", minimum=0, nullable=True, unit="days", impute="worst",
           description="Standard deviation (population) of the days between consecutive purchase days; null with fewer "
           "than three."),
    Column(name="gap_trend", type="double", minimum=0, nullable=True, unit="ratio", impute="median",
           description="Last gap between purchase days / mean of the gaps before it; above 1: slowing down. "
           "Null with fewer than three purchase days."),
    Column(name="gap_last_days", type="int32", minimum=1, nullable=True, unit="days", impute="worst",
           description="Days between the last two purchase days; null with fewer than two."),
    Column(name="gap_mean_before_last_days", type="double", minimum=0, nullable=True, unit="days", impute="worst",
           description="gap_mean_days as it stood before the last purchase day; null with fewer than three."),
)  # fmt: skip

_VELOCITY = (
    *(Column(name=f"{what}_diversity_{days}d", type="double", minimum=0, unit="distinct values",
             description=f"Distinct values of {what.replace('_', ' ')}, {_over(days)}; {_error(what)}.")
      for days in VELOCITY_WINDOWS_DAYS for what in ("device", "payment_method")),
    Column(name="amount_velocity_7d", type="double", nullable=True, minimum=0, unit="ratio", impute="zero",
           description="Money paid a day in the last 7 days / that of the 83 days before; null without a purchase in "
           "those."),
    Column(name="event_velocity_7d", type="double", nullable=True, minimum=0, unit="ratio", impute="zero",
           description="Events a day, campaign contacts left out, in the last 7 days / that of the 83 before; null "
           "without one in those."),
    Column(name="line_surprise_7d", type="double", nullable=True, minimum=0, unit="ratio", impute="zero",
           description="Money paid for the dearest purchase line of the last 7 days, 0 without one, / the mean line of "
           "the 358 days before; null without a line in those."),
    Column(name="rating_mean_365d", type="double", nullable=True, minimum=0, maximum=1, unit="share", impute="median",
           description=f"Mean rating given, from 0 to 1, {_over(365)}; null without one."),
    Column(name="weekend_share_365d", type="double", nullable=True, minimum=0, maximum=1, unit="share",
           impute="median",
           description=f"Share of events, campaign contacts left out, on Saturday or Sunday, {_over(365)}."),
    Column(name="weekend_share_90d", type="double", nullable=True, minimum=0, maximum=1, unit="share",
           impute="median",
           description=f"Share of events, campaign contacts left out, on Saturday or Sunday, {_over(90)}."),
)  # fmt: skip

_DEMOGRAPHICS = (
    Column(name="age", type="double", nullable=True, minimum=0, maximum=120, unit="years", impute="median",
           description="Age as the shop last knew it; null where unknown or demographics are switched off."),
    Column(name="gender", type="string", nullable=True,
           description="Gender as the shop says; null where unknown or demographics are switched off."),
    Column(name="income", type="double", nullable=True, minimum=0, unit="currency", impute="median",
           description="Yearly household income as the shop last knew it; null where unknown or switched off."),
    Column(name="household_size", type="double", nullable=True, minimum=0, unit="people", impute="median",
           description="People in the household as the shop last knew it; null where unknown or switched off."),
)  # fmt: skip

FEATURE_COLUMNS: tuple[Column, ...] = (
    *_LIFE,
    *(column for days in WINDOWS_DAYS for column in _window(days)),
    *(column for days in RATIO_WINDOWS_DAYS for column in _long_window(days)),
    *(_sum(name, days) for days in RATIO_WINDOWS_DAYS for name in TOPIC_SUMS),
    *_VELOCITY,
    *_DEMOGRAPHICS,
)
