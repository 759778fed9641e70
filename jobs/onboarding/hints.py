"""What may be meant: time formats that fit, event types and columns by their usual names."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import product

DATE_FORMS = (
    "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d",
    "%-d.%-m.%Y", "%-d/%-m/%Y", "%-m/%-d/%Y", "%Y-%-m-%-d", "%Y/%-m/%-d", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y",
    "%y-%m-%d", "%-m/%-d/%y", "%-d/%-m/%y", "%-d.%-m.%y", "%d %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%d-%b-%y", "%b %d, %Y",
    "%B %d, %Y", "%d %B %Y", "%-m-%-d", "%-d.%-m.", "%m-%d",
)  # fmt: skip
TIME_FORMS = (
    "", " %H:%M:%S", "T%H:%M:%S", " %H:%M", "T%H:%M:%S%z", "T%H:%M", " %H:%M:%S UTC", " %I:%M:%S %p", " %I:%M %p",
    " %H.%M", "T%H:%M:%S.%f%z", " %H:%M:%S%z", " %H:%M:%S.%f%z", " %H:%M:%S %z", " %H:%M:%S.%f", "T%H:%M:%S.%f",
    " %H:%M:%S.%f UTC", " %H:%M:%S,%f", " %H:%M:%S.%f %z", "T%H:%M%z", ":%H:%M:%S %z",
)  # fmt: skip
FORMS = (*(d + t for d, t in product(DATE_FORMS, TIME_FORMS)), "%Y%m%d%H%M%S", "%Y%m%d%H%M")

USUAL_WORDS = {
    "view": ("view", "pv", "page_view", "pageview", "view_item", "product_view", "click", "look", "detail", "browse",
             "impression", "visit", "open"),
    "search": ("search", "query", "find"),
    "add_to_cart": ("cart", "add_to_cart", "addtocart", "add_cart", "add", "atc", "basket", "add_to_basket", "in_cart"),
    "remove_from_cart": ("remove_from_cart", "removefromcart", "remove_cart", "remove", "uncart"),
    "favourite": ("fav", "favorite", "favourite", "like", "wishlist", "add_to_wishlist", "collect", "save"),
    "purchase": ("purchase", "buy", "bought", "order", "order_placed", "sale", "sold", "transaction", "checkout",
                 "paid", "payment"),
    "return": ("return", "refund", "returned", "cancel", "cancelled", "chargeback"),
    "review": ("review", "rating", "comment", "feedback"),
    "support": ("support", "ticket", "chat", "contact", "complaint"),
    "campaign_send": ("campaign_send", "send", "sent", "email_sent", "delivered", "mail_sent"),
    "campaign_open": ("campaign_open", "email_open", "opened", "mail_open"),
    "campaign_click": ("campaign_click", "email_click", "clicked", "mail_click"),
    "coupon_redeem": ("coupon_redeem", "coupon", "redeem", "redemption", "voucher", "coupon_used"),
}  # fmt: skip
USUAL_COLUMNS = {
    "customer_id": ("customer_id", "customer", "customerid", "user_id", "userid", "user", "client", "client_id",
                    "cust", "cust_id", "member_id", "member", "visitor_id", "buyer", "buyer_id", "household_id", "uid",
                    "shopper", "shopper_id", "account_id"),
    "event_time": ("event_time", "timestamp", "time", "datetime", "date", "at", "ts", "created_at", "event_timestamp",
                   "occurred_at", "order_date", "invoicedate", "invoice_date", "purchase_date", "when", "event_date"),
    "arrival_time": ("arrival_time", "loaded_at", "ingested_at", "received_at"),
    "session_id": ("session_id", "session", "user_session", "sessionid", "visit_id", "sid"),
    "order_id": ("order_id", "order", "orderid", "invoice", "invoiceno", "invoice_no", "basket_id", "transaction_id",
                 "receipt", "order_no", "order_number"),
    "product_id": ("product_id", "product", "productid", "item_id", "item", "itemid", "sku", "stockcode", "article",
                   "article_id", "goods_id", "asin"),
    "category": ("category", "category_code", "category_name", "category_id", "cat", "department", "product_category"),
    "brand": ("brand", "brand_id", "brand_name", "manufacturer", "vendor"),
    "campaign_id": ("campaign_id", "campaign"),
    "quantity": ("quantity", "qty", "pieces", "count", "units", "amount_of_items", "pcs", "items"),
    "amount": ("amount", "total", "paid", "revenue", "sales_value", "line_total", "sales", "value", "turnover",
               "spend"),
    "unit_price": ("unit_price", "unitprice", "price", "price_per_unit", "item_price"),
    "discount_amount": ("discount_amount", "discount", "rebate", "coupon_amount"),
    "currency": ("currency", "currency_code"),
    "channel": ("channel", "source_channel"),
    "device": ("device", "device_type", "browser", "platform", "user_agent"),
    "country": ("country", "country_code"),
    "payment_method": ("payment_method", "payment", "payment_type", "pay_method"),
    "text": ("text", "review", "comment", "message", "review_text", "search_term", "query"),
    "rating": ("rating", "stars", "score"),
}  # fmt: skip
EPOCH_FORMS = {"seconds": "unix", "milliseconds": "unix_ms"}
YEAR_1990, YEAR_2100 = 631_152_000, 4_102_444_800  # in seconds since 1970
EVENT_TYPE_COLUMNS = ("event_type", "event", "type", "action", "behavior", "behaviour", "behavior_type", "kind",
                      "event_name", "activity")  # fmt: skip


def time_formats_for(texts: Sequence[str], fits: Callable[[Sequence[str], str], int], most: int = 3) -> list[str]:
    """Formats that read the most of ``texts``, best first; none where none reads half of them.

    ``fits(texts, format)``: how many the project's own reader takes. Several are equally good where a day could be a
    month: who knows the shop decides.
    """
    texts = [text for text in texts if text]
    if unit := epoch_unit(texts):
        return [EPOCH_FORMS[unit]]
    shape = _shape(texts[0]) if texts else ""
    plausible = [form for form in FORMS if texts and _could_write(form, shape)]
    scored = [(fits(texts, form), -n, form) for n, form in enumerate(plausible)]
    best = sorted((s for s in scored if s[0] * 2 >= len(texts) and s[0]), reverse=True)
    forms = [form for score, _, form in best if score == best[0][0]]
    # One that takes a digit too few says nothing more where all digits are there.
    return [form for form in forms if form == (padded := form.replace("%-", "%")) or padded not in forms][:most]


def _shape(text: str) -> str:
    """Letters of words and runs of digits put in one form: what two times of one format have in common."""
    return re.sub("[A-Za-zÀ-ž]+", "a", re.sub(r"\d+", "9", text.strip()))


def _could_write(form: str, shape: str) -> bool:
    """A cheap look before the reader is asked: same punctuation in the same order."""
    written = re.sub("%[bBp]", "a", re.sub("%-?[YmdyHMSIf]", "9", form))
    zones = ("Z", "+9", "+9:9", "-9", "-9:9") if "%z" in written else ("",)
    return shape in {_shape(written.replace("%z", zone)) for zone in zones}


def epoch_unit(texts: Iterable[str]) -> str:
    """A key of EPOCH_FORMS where every text counts them since 1970, to between 1990 and 2100; else empty."""
    texts = [text for text in texts if text]
    for unit, digits, scale in (("seconds", r"\d{9,10}(\.\d+)?", 1), ("milliseconds", r"\d{12,13}(\.\d+)?", 1000)):
        if not texts or not all(re.fullmatch(digits, text) for text in texts):
            continue
        if all(YEAR_1990 <= float(text) / scale < YEAR_2100 for text in texts):
            return unit
    return ""


def event_type_for(word: str) -> str:
    """The event type that a shop's word usually means; empty for one that no list knows."""
    plain = re.sub(r"[\s-]+", "_", word.strip().lower())
    return next((kind for kind, words in USUAL_WORDS.items() if plain == kind or plain in words), "")


def column_for(target: str, names: Sequence[str], taken: Iterable[str] = ()) -> str:
    """The column of a file that usually fills ``target``; empty where none is called so."""
    free = {_plain(name): name for name in names if name not in set(taken)}
    usual = USUAL_COLUMNS.get(target, EVENT_TYPE_COLUMNS if target == "event_type" else ())
    return next((free[_plain(word)] for word in usual if _plain(word) in free), "")


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name.lower())


def close_names(name: str, names: Sequence[str]) -> list[str]:
    """Columns that look like ``name``, whatever their case, blanks and underlines."""
    by_plain = {_plain(each): each for each in names}
    return [by_plain[each] for each in difflib.get_close_matches(_plain(name), list(by_plain), n=3, cutoff=0.6)]


def looks_like_data(names: Sequence[str]) -> bool:
    """Whether a first line is a row rather than names: names are no numbers, no dates and not empty."""
    return any(re.fullmatch(r"[\d.,:/ -]*\d[\d.,:/ -]*", name.strip()) for name in names)


def delimiter_for(line: str) -> str:
    """The delimiter that parts a header best: ``,`` ``;`` a tab, ``|``, else ``whitespace``."""
    best = max((",", ";", "\t", "|"), key=line.count)
    if line.count(best):
        return best
    return "whitespace" if len(line.split()) > 1 else ","
