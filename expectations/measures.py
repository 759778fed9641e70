"""What is counted of a customer's behaviour. Days, months and windows all add up the same measures, declared here once.

Every measure merges exactly and in any order: sums of integers and decimals, maxima, sets, and sketches by bitwise or.
"""

from dataclasses import dataclass
from typing import Literal

from expectations.contract import Column

TOPICS = ("delivery", "quality", "price", "fit", "service", "refund")
"""What customers write about; jobs/text says what each means."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A column of customer_day and customer_month, and how two rows of it become one.

    merge  sum; max; bits: bitwise or of a linear-counting sketch (Whang, Vander-Zanden, Taylor 1990)
    """

    name: str
    type: Literal["int64", "decimal"]
    unit: str
    description: str
    merge: Literal["sum", "max", "bits"] = "sum"

    @property
    def column(self) -> Column:
        minimum = 0 if self.merge != "bits" else None
        return Column(
            name=self.name, type=self.type, unit=self.unit, minimum=minimum, description=f"{self.description}."
        )


def _count(name: str, unit: str, description: str) -> Measure:
    return Measure(name=name, type="int64", unit=unit, description=description)


def _amount(name: str, description: str, unit: str = "currency") -> Measure:
    return Measure(name=name, type="decimal", unit=unit, description=description)


def _bits(name: str, of: str) -> Measure:
    return Measure(name=name, type="int64", unit="", merge="bits",
                   description=f"Linear-counting sketch of the distinct {of}: one bit of 64 for each, by its hash",
    )  # fmt: skip


COUNT_OF_TYPE = {
    "view": _count("view_count", "events", "Products or pages viewed"),
    "search": _count("search_count", "events", "Searches"),
    "add_to_cart": _count("add_to_cart_count", "events", "Products put into the cart"),
    "remove_from_cart": _count("remove_from_cart_count", "events", "Products taken out of the cart"),
    "favourite": _count("favourite_count", "events", "Products marked as favourites"),
    "purchase": _count("purchase_count", "lines", "Purchase lines"),
    "return": _count("return_count", "lines", "Return lines"),
    "review": _count("review_count", "events", "Reviews written"),
    "support": _count("support_count", "events", "Messages to support"),
    "campaign_send": _count("campaign_count", "events", "Campaign contacts received"),
    "campaign_open": _count("campaign_open_count", "events", "Campaign messages opened"),
    "campaign_click": _count("campaign_click_count", "events", "Campaign links followed"),
    "coupon_redeem": _count("coupon_count", "events", "Coupons redeemed"),
}
"""One measure per event type: how many."""

# Hour of day from … to (both included) in the shop's time zone.
DAY_PARTS = {"night": (0, 5), "morning": (6, 11), "afternoon": (12, 17), "evening": (18, 23)}

# The sketch's columns for a hash column of events: two words hold up to some 600 distinct values, one up to 250.
SKETCHES = {
    "product": ("product_hash", ("product_bits_0", "product_bits_1")),
    "category": ("category_hash", ("category_bits",)),
    "brand": ("brand_hash", ("brand_bits",)),
    "device": ("device_hash", ("device_bits",)),
    "payment_method": ("payment_hash", ("payment_bits",)),
}

MEASURES: tuple[Measure, ...] = (
    _count("event_count", "events", "Events of every type"),
    *COUNT_OF_TYPE.values(),
    _count("session_count", "sessions", "Visits begun"),
    _count("bounce_count", "sessions", "Visits of a single event"),
    _count("session_event_count", "events", "Events within visits"),
    _count("session_seconds", "seconds", "Length of the visits, from first to last event"),
    *(
        _count(f"{part}_count", "events", f"Events from {first} to {last} o'clock, campaign contacts left out")
        for part, (first, last) in DAY_PARTS.items()
    ),
    _count("weekend_count", "events", "Events on Saturday or Sunday, campaign contacts left out"),
    _count("discounted_count", "lines", "Purchase lines with a discount"),
    _count("outlier_count", "lines", "Purchase and return lines flagged as outliers"),
    _amount("quantity", "Items bought", unit="items"),
    _amount("purchase_amount", "Money paid, before refunds"),
    _amount("return_amount", "Money refunded"),
    _amount("discount_amount", "Discounts taken"),
    _amount("winsorised_amount", "Money paid, each line held to the bounds of its category"),
    Measure(name="largest_line_amount", type="decimal", unit="currency", merge="max",
            description="Money paid for the dearest purchase line"),
    _amount("price_rank_sum", "Sum over purchase lines of the price's rank in its category, from 0 to 1", "shares"),
    _count("price_rank_count", "lines", "Purchase lines whose price could be ranked within its category"),
    _bits("product_bits_0", "products touched (first word)"),
    _bits("product_bits_1", "products touched (second word)"),
    _bits("category_bits", "categories touched"),
    _bits("brand_bits", "brands touched"),
    _bits("device_bits", "devices used"),
    _bits("payment_bits", "payment methods used"),
    _count("text_count", "texts", "Reviews and messages to support whose sentiment was scored"),
    _count("negative_text_count", "texts", "Reviews and messages to support of negative sentiment"),
    _amount("sentiment_sum", "Sum of the sentiments, each moved from -1 … 1 to 0 … 2", "sentiment + 1"),
    _count("rating_count", "reviews", "Reviews with a rating"),
    _amount("rating_sum", "Sum of the ratings, each from 0 to 1", "shares"),
    *(_count(f"{topic}_text_count", "texts", f"Reviews and messages to support about {topic}") for topic in TOPICS),
)  # fmt: skip
MEASURE = {measure.name: measure for measure in MEASURES}
