"""Features in plain words with the customer's own numbers; and families: features that say nearly the same.

Reasons are told by family, or three of them would be one: "no purchase for 62 days", "no order in the last 30 days" …
"""

import re
from dataclasses import dataclass

import numpy as np

from expectations.behaviour import FEATURE_NAMES, FEATURES

WINDOW = re.compile(r"(?P<base>.+)_(?P<days>\d+)d")
CHURN, PURCHASE = "churn", "purchase"
"""Directions: what a reason speaks for."""


@dataclass(frozen=True)
class Phrase:
    """How a feature is told. ``{n}`` is the number; ``none``: if it is 0; ``null``: if it is missing.

    The window stands at the end, or at ``{window}``.
    """

    family: str
    text: str
    none: str = ""
    null: str = ""


def _count(family: str, things: str) -> Phrase:
    return Phrase(family, f"{{n}} {things}", f"no {things}")


PHRASES = {
    "recency_days": Phrase("silence", "no purchase for {n} days", "bought today", "has never bought"),
    "first_purchase_age_days": Phrase("age as a customer", "first bought {n} days ago", "first bought today"),
    "frequency_days": _count("purchases", "days with a purchase so far"),
    "gap_mean_days": Phrase("rhythm", "buys every {n} days", null="has bought on one day at most"),
    "gap_deviation_days": Phrase(
        "rhythm", "gaps between purchases vary by {n} days", "buys at even gaps", "has bought on two days at most"
    ),
    "gap_trend": Phrase("rhythm", "last gap {n} times the usual one", null="has bought on two days at most"),
    "gap_last_days": Phrase("rhythm", "{n} days between the last two purchases", null="has bought on one day at most"),
    "gap_mean_before_last_days": Phrase(
        "rhythm", "used to buy every {n} days", null="has bought on two days at most"
    ),
    "purchase_days": _count("purchases", "days with a purchase"),
    "order_count": _count("purchases", "orders"),
    "purchase_count": _count("purchases", "purchase lines"),
    "purchase_amount": Phrase("spend", "spent {n}", "spent nothing"),
    "winsorised_amount": Phrase("spend", "spent {n}{window} with outliers capped", "spent nothing"),
    "largest_line_amount": Phrase("spend", "dearest purchase line of {n}", "nothing bought"),
    "average_order_amount": Phrase("basket", "{n} paid an order", null="no order"),
    "items_per_line": Phrase("basket", "{n} units a purchase line", null="nothing bought"),
    "monetary_value": Phrase("basket", "{n} paid on a day with a purchase", null="has never bought"),
    "outlier_count": _count("spend", "purchase lines of unusual size"),
    "amount_velocity": Phrase("spend", "spends {n} times as fast{window} as in the 83 days before", "spent nothing",
                              "no earlier purchase to compare with those"),
    "line_surprise": Phrase("spend", "dearest purchase line {n} times the usual one", "nothing bought",
                            "no earlier purchase to compare with those"),
    "event_recency_days": Phrase("visits", "not seen for {n} days", "seen today", "never seen but for campaigns"),
    "event_count": _count("visits", "events"),
    "session_count": _count("visits", "visits"),
    "view_count": _count("visits", "products viewed"),
    "search_count": _count("visits", "searches"),
    "event_velocity": Phrase("visits", "does {n} times as much{window} as in the 83 days before", "nothing seen",
                             "no earlier event to compare with those"),
    "search_per_session": Phrase("visits", "{n} searches a visit", "no search", "no visit"),
    "session_length_seconds": Phrase("visits", "visits of {n} seconds", "visits without length", "no visit"),
    "session_depth": Phrase("visits", "{n} events a visit", null="no visit"),
    "bounce_rate": Phrase("visits", "{n} of visits hold a single event", "no visit holds a single event", "no visit"),
    "device_diversity": _count("visits", "devices"),
    "add_to_cart_count": _count("cart", "products put into the cart"),
    "remove_from_cart_count": _count("cart", "products taken out of the cart"),
    "favourite_count": _count("cart", "favourites marked"),
    "cart_per_view": Phrase("cart", "{n} products put into the cart per view", "nothing put into the cart", "no view"),
    "purchase_per_cart": Phrase("cart", "{n} purchase lines per product put into the cart", "nothing bought",
                                "nothing put into the cart"),
    "purchase_per_session": Phrase("cart", "{n} purchase lines a visit", "nothing bought", "no visit"),
    "campaign_count": _count("campaigns", "campaign contacts"),
    "campaign_open_count": _count("campaigns", "campaign messages opened"),
    "campaign_click_count": _count("campaigns", "campaign links followed"),
    "open_rate": Phrase("campaigns", "opens {n} messages per campaign contact", "opens no messages", "no contact"),
    "click_rate": Phrase("campaigns", "follows {n} links per campaign contact", "follows no links", "no contact"),
    "return_count": _count("returns", "return lines"),
    "return_amount": Phrase("returns", "{n} refunded", "nothing refunded"),
    "return_rate": Phrase("returns", "{n} refunded of every 1 paid", "nothing refunded", "nothing paid"),
    "discount_amount": Phrase("discounts", "saved {n} by discounts", "no discount"),
    "discount_share": Phrase("discounts", "pays {n} below full prices", "pays full prices", "nothing bought"),
    "discounted_line_share": Phrase("discounts", "{n} of purchase lines discounted", "no purchase line discounted",
                                    "nothing bought"),
    "coupon_count": _count("discounts", "coupons redeemed"),
    "coupon_rate": Phrase("discounts", "{n} coupons a purchase line", "no coupon", "nothing bought"),
    "price_rank_mean": Phrase("assortment", "buys at {n} of the price range", null="nothing bought"),
    "product_diversity": _count("assortment", "different products"),
    "category_diversity": _count("assortment", "different categories"),
    "brand_diversity": _count("assortment", "different brands"),
    "payment_method_diversity": _count("assortment", "ways of payment"),
    "review_count": _count("feedback", "reviews written"),
    "support_count": _count("feedback", "contacts with support"),
    "text_count": _count("feedback", "texts written"),
    "negative_text_count": _count("feedback", "unhappy texts"),
    "sentiment_mean": Phrase("feedback", "mood of texts {n} on a scale of −1 to 1", null="no text"),
    "rating_mean": Phrase("feedback", "rates at {n} of the scale", null="no rating"),
    **{f"{topic}_text_count": _count("feedback", f"texts about {topic}")
       for topic in ("delivery", "quality", "price", "fit", "service", "refund")},
    "night_share": Phrase("times", "{n} of events at night", "nothing at night", "nothing seen"),
    "morning_share": Phrase("times", "{n} of events in the morning", "nothing in the morning", "nothing seen"),
    "evening_share": Phrase("times", "{n} of events in the evening", "nothing in the evening", "nothing seen"),
    "weekend_share": Phrase("times", "{n} of events at weekends", "nothing at weekends", "nothing seen"),
    "age": Phrase("person", "{n} years old", null="age unknown"),
    "income": Phrase("person", "household income of {n}", null="income unknown"),
    "household_size": Phrase("person", "{n} people in the household", null="household unknown"),
}  # fmt: skip
"""Feature, without its window → how it is told."""

EVENTS_FAMILY = "event history"
"""Family of what a model reads of single events rather than of aggregates."""


def parts_of(feature: str) -> tuple[str, int | None]:
    """(base, days of the window): order_count_90d → order_count, 90; recency_days → recency_days, None."""
    if feature in PHRASES or not (found := WINDOW.fullmatch(feature)):
        return feature, None
    return found["base"], int(found["days"])


def family(feature: str) -> str:
    """The family of a feature; event history for what is none."""
    base, _ = parts_of(feature)
    return PHRASES[base].family if base in PHRASES else EVENTS_FAMILY


def in_words(
    feature: str, value: float, direction: str, typical: float | None = None, usual_gap_days: float | None = None
) -> str:
    """The feature as a reason: no purchase for 62 days (usual gap 12); only 1 order in the last 90 days (typical 6).

    value           the customer's own; NaN where missing
    direction       CHURN or PURCHASE: what the feature speaks for
    typical         of the customers it is compared with (their median); None: not told
    usual_gap_days  the customer's own mean gap between purchases, for what is told of silence
    """
    base, days = parts_of(feature)
    if base not in PHRASES:
        return (
            f"order and timing of events ({feature.replace('_', ' ')})" if "event" in feature else "what a network read"
        )
    phrase, unit = PHRASES[base], FEATURES.column(feature).unit if feature in FEATURE_NAMES else ""
    window = f" in the last {days} days" if days else ""
    if np.isnan(value):
        return phrase.null + window if phrase.null else f"{base.replace('_', ' ')} unknown"
    if value == 0 and phrase.none:
        text = phrase.none + window
    else:
        text = phrase.text if "{window}" in phrase.text else phrase.text + "{window}"
        told, _, rest = text.partition("{window}")
        text = _plural(told.format(n=number(value, unit)), number(value, unit)) + window + rest
        if direction == CHURN and typical is not None and 0 < value < typical and text[0].isdigit():
            text = f"only {text}"
    if base == "recency_days" and usual_gap_days is not None and np.isfinite(usual_gap_days):
        return f"{text} (usual gap {number(usual_gap_days, unit)})"
    if typical is not None and np.isfinite(typical) and number(typical, unit) != number(value, unit):
        return f"{text} (typical {number(typical, unit)})"
    return text


def number(value: float, unit: str) -> str:
    """As people write it: shares in per cent, no more digits than anybody needs."""
    if unit == "share":
        return "under 1%" if 0 < value < 0.005 else f"{value:.0%}"
    if abs(value) >= 20:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2g}"


SINGULAR = {
    "days": "day", "orders": "order", "items": "item", "events": "event", "visits": "visit", "products": "product",
    "searches": "search", "devices": "device", "favourites": "favourite", "contacts": "contact", "texts": "text",
    "messages": "message", "links": "link", "coupons": "coupon", "categories": "category", "brands": "brand",
    "reviews": "review", "ways": "way", "years": "year", "seconds": "second", "units": "unit",
    "lines": "line",
}  # fmt: skip


def _plural(text: str, told: str) -> str:
    """One of something is told in the singular: the first noun behind a lone 1."""
    if told != "1":
        return text
    words = text.split(" ")
    for place in range(words.index("1") + 1, len(words)) if "1" in words else ():
        if words[place] in SINGULAR:
            words[place] = SINGULAR[words[place]]
            break
    return " ".join(words)
