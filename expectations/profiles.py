"""How the shop's own numbers are spread: what outliers, price ranks and drift are judged against."""

from expectations.contract import Column, Table
from expectations.events import ARRIVAL_DATE, EVENTS

EVENT_PROFILE = Table(
    name="event_profile",
    description="How the prices of purchase lines spread within each category, as a histogram that adds up over days. "
    "Quantiles follow from it with a relative error of at most half a bucket's width.",
    grain="one row per category, bucket of price and arrival date",
    key=("category_hash", "price_bucket"),
    partition="arrival_date",
    columns=(
        ARRIVAL_DATE,
        Column(name="category_hash", type="int32", minimum=-1,
               description="Category of the events table; -1 where a purchase has none."),
        EVENTS.column("category"),
        Column(name="price_bucket", type="int32",
               description="floor(ln(price) / ln(1.05)) for a price above 0, else -1000: buckets 5 % wide."),
        Column(name="line_count", type="int64", minimum=1, unit="lines", description="Purchase lines."),
    ),
)  # fmt: skip

PRICE_BOUNDS = Table(
    name="price_bounds",
    description="Within what bounds a line's price is usual, by category: from the event_profile of the 90 days before "
    "the month's first day, by the rules in the settings. What lies beyond is flagged, held to the bounds in features, "
    "and kept as it is in events.",
    grain="one row per category, bucket of price and month",
    key=("category_hash", "price_bucket"),
    partition="arrival_month",
    columns=(
        Column(name="arrival_month", type="date", description="First day of the month that the bounds hold for."),
        Column(name="category_hash", type="int32", minimum=-1, description="As in event_profile."),
        Column(name="price_bucket", type="int32", description="As in event_profile."),
        Column(name="price_rank", type="double", minimum=0, maximum=1, unit="share",
               description="Share of the category's lines in lower buckets plus half of this one's."),
        Column(name="lower_price", type="double", minimum=0, unit="currency per item",
               description="Prices below it are outliers."),
        Column(name="upper_price", type="double", minimum=0, unit="currency per item",
               description="Prices above it are outliers."),
    ),
)  # fmt: skip
