"""How the shop's own numbers are spread: what outliers and price ranks are judged against."""

from expectations.contract import Column, Table
from expectations.events import ARRIVAL_DATE

EVENT_PROFILE = Table(
    name="event_profile",
    description="How prices and amounts of purchase lines spread within each category, as histograms that add up over "
    "days. Quantiles follow from them with a relative error of at most half a bucket's width.",
    grain="one row per measured quantity, category, bucket and arrival date",
    key=("measured", "category_hash", "bucket"),
    partition="arrival_date",
    columns=(
        ARRIVAL_DATE,
        Column(name="measured", type="string", values=("amount", "price"),
               description="What is spread: amount, of purchase lines; price, of purchase and return lines."),
        Column(name="category_hash", type="int32", minimum=-1,
               description="Category of the events table; -1 where a line has none."),
        Column(name="bucket", type="int32",
               description="floor(ln(value) / ln(1.05) + 1e-9): buckets 5 % wide. -1000: not ranked, which is a value "
               "that is unknown or 0, and the price of a return."),
        Column(name="line_count", type="int64", minimum=1, unit="lines", description="Purchase or return lines."),
    ),
)  # fmt: skip

PRICE_BOUNDS = Table(
    name="price_bounds",
    description="Where a price ranks in its category and within what bounds a line's amount is usual: from the "
    "event_profile of the days before the month's first, by the rules in the settings. What lies beyond the bounds is "
    "flagged, held to them in features, and kept as it is in events.",
    grain="one row per category, bucket of price and month",
    key=("category_hash", "price_bucket"),
    partition="arrival_month",
    columns=(
        Column(name="arrival_month", type="date", description="First day of the month that the bounds hold for."),
        Column(name="category_hash", type="int32", minimum=-1,
               description="Category of the events table; -1: the whole shop, for lines without a category and for "
               "categories of too few lines."),
        Column(name="price_bucket", type="int32",
               description="Bucket of the price, as in event_profile; the row of -1000 is for lines without a rank."),
        Column(name="price_rank", type="decimal", nullable=True, minimum=0, maximum=1, unit="share",
               description="Share of the category's lines in lower buckets plus half of this one's."),
        Column(name="lower_amount", type="decimal", minimum=0, unit="currency",
               description="A line of the category whose amount lies below is an outlier."),
        Column(name="upper_amount", type="decimal", minimum=0, unit="currency",
               description="A line of the category whose amount lies above is an outlier."),
    ),
)  # fmt: skip
