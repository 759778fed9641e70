"""Every tag's rule, declared once: a feature, a bound, and the words of its evidence."""

from dataclasses import dataclass

from expectations.behaviour import FEATURES, PREFERENCES


@dataclass(frozen=True)
class TagSettings:
    """The bound of each rule of ``RULES``, under the name of its tag. Section ``tags``.

    gift_words: a product is a gift if its name or category holds one of them, whatever its case.
    """

    price_sensitive: float = 0.5
    premium_buyer: float = 0.7
    budget_buyer: float = 0.3
    coupon_user: int = 3
    night_shopper: float = 0.3
    morning_shopper: float = 0.5
    evening_shopper: float = 0.5
    weekend_shopper: float = 0.6
    category: float = 0.15
    brand_loyal: float = 0.5
    explorer: float = 0.9
    weekly_shopper: float = 8.0
    regular_rhythm: float = 0.4
    bulk_buyer: float = 0.9
    returns_much: float = 0.3
    cart_abandoner: float = 0.2
    window_shopper: int = 50
    reviewer: int = 3
    contacts_support: int = 3
    unhappy: float = -0.3
    happy: float = 0.3
    campaign_responsive: float = 0.1
    many_devices: int = 3
    gifting: float = 0.2
    gift_words: tuple[str, ...] = ("gift", "present box", "礼品", "礼盒")


COMMON = 0.5
"""A favourite of a larger share of those who have one is no trait."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """``tag`` holds where ``column`` is at least the bound of its name in TagSettings, or at most.

    is_rank    the bound is a quantile of the day's customers, for numbers whose usual size differs from shop to shop
    least      (column, n): a number that the evidence rests on must be n or more; a share of two lines says nothing
    subject    column of what the tag speaks of, which then stands after a colon; what is so of most customers (COMMON)
               says nothing of one
    evidence   in words; {} is the column's number, {subject} the subject
    """

    tag: str
    column: str
    evidence: str
    is_upper: bool = False
    is_rank: bool = False
    least: tuple[str, int] = ("frequency_days", 1)
    subject: str = ""


_LINES, _WANTED = ("purchase_count_365d", 5), ("purchase_count_180d", 5)
_EVENTS = ("event_count_365d", 20)

RULES = (
    Rule(tag="price_sensitive", column="discounted_line_share_365d", least=_LINES,
         evidence="{:.0%} of purchase lines of 365 days were discounted"),
    Rule(tag="premium_buyer", column="price_rank_mean_365d", least=_LINES,
         evidence="buys at {:.0%} of the price range"),
    Rule(tag="budget_buyer", column="price_rank_mean_365d", is_upper=True, least=_LINES,
         evidence="buys at {:.0%} of the price range"),
    Rule(tag="coupon_user", column="coupon_count_365d", evidence="{:,.0f} coupons redeemed in 365 days"),
    Rule(tag="night_shopper", column="night_share_365d", least=_EVENTS,
         evidence="{:.0%} of events from 0 to 5 o'clock"),
    Rule(tag="morning_shopper", column="morning_share_365d", least=_EVENTS,
         evidence="{:.0%} of events from 6 to 11 o'clock"),
    Rule(tag="evening_shopper", column="evening_share_365d", least=_EVENTS,
         evidence="{:.0%} of events from 18 to 23 o'clock"),
    Rule(tag="weekend_shopper", column="weekend_share_365d", least=_EVENTS,
         evidence="{:.0%} of events on Saturday or Sunday"),
    Rule(tag="category", column="favourite_category_share", subject="favourite_category", least=_WANTED,
         evidence="{:.0%} of what was wanted in 180 days"),
    Rule(tag="brand_loyal", column="favourite_brand_share", subject="favourite_brand", least=_WANTED,
         evidence="{:.0%} of what was wanted in 180 days and has a brand"),
    Rule(tag="explorer", column="category_diversity_365d", is_rank=True, least=_LINES,
         evidence="some {:,.0f} categories touched in 365 days"),
    Rule(tag="weekly_shopper", column="gap_mean_days", is_upper=True, least=("frequency_days", 4),
         evidence="buys every {:.1f} days"),
    Rule(tag="regular_rhythm", column="gap_variation", is_upper=True, least=("frequency_days", 5),
         evidence="gaps between purchases vary by {:.0%} of their mean"),
    Rule(tag="bulk_buyer", column="items_per_line_365d", is_rank=True, least=_LINES,
         evidence="{:,.1f} units a purchase line"),
    Rule(tag="returns_much", column="return_rate_365d", least=_LINES, evidence="{:.0%} of money paid was refunded"),
    Rule(tag="cart_abandoner", column="purchase_per_cart_90d", is_upper=True, least=("add_to_cart_count_90d", 10),
         evidence="{:.2f} bought per product put into the cart in 90 days"),
    Rule(tag="window_shopper", column="views_without_purchase_90d", least=("view_count_90d", 1),
         evidence="{:,.0f} views in 90 days, nothing bought"),
    Rule(tag="reviewer", column="review_count_365d", least=("review_count_365d", 1),
         evidence="{:,.0f} reviews in 365 days"),
    Rule(tag="contacts_support", column="support_count_365d", least=("support_count_365d", 1),
         evidence="{:,.0f} messages to support in 365 days"),
    Rule(tag="unhappy", column="sentiment_mean_365d", is_upper=True, least=("text_count_365d", 2),
         evidence="mood of texts {:+.2f} on a scale of -1 to 1"),
    Rule(tag="happy", column="sentiment_mean_365d", least=("text_count_365d", 2),
         evidence="mood of texts {:+.2f} on a scale of -1 to 1"),
    Rule(tag="campaign_responsive", column="click_rate_365d", least=("campaign_count_365d", 5),
         evidence="{:.2f} links followed per campaign contact"),
    Rule(tag="many_devices", column="device_diversity_365d", evidence="some {:,.0f} devices in 365 days"),
    Rule(tag="gifting", column="gift_share_180d", least=("purchase_count_180d", 3),
         evidence="{:.0%} of purchase lines of 180 days are gifts"),
)  # fmt: skip

DERIVED = {"gap_variation": "ratio", "views_without_purchase_90d": "events", "gift_share_180d": "share"}
"""What rules ask for and jobs.profiles.tagging makes → unit."""
_UNITS = {column.name: column.unit for table in (PREFERENCES, FEATURES) for column in table.columns} | DERIVED

DESCRIPTIONS = {
    rule.tag: (
        "quantile" if rule.is_rank else _UNITS[rule.column],
        f"tag {rule.tag}: {rule.column} of at {'most' if rule.is_upper else 'least'} this, "
        f"and {rule.least[0]} of {rule.least[1]} or more",
    )
    for rule in RULES
} | {"gift_words": ("word", "words that make a product a gift")}
"""Setting → (unit, meaning), as segment_settings shows them."""
