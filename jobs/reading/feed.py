"""A feed of a source mapping: one kind of file whose rows are events."""

from dataclasses import dataclass, field
from typing import Any

from expectations.events import EVENT_TYPES
from jobs.reading.clean_ids import IdRule, check_ids
from jobs.reading.feed_checks import check_columns, check_files, check_layout, check_named, check_times
from jobs.reading.layout import Layout
from jobs.reading.yaml_lines import Lined, fields_of, is_text

NUMBERS = ("quantity", "unit_price", "amount", "price", "discount_amount", "rating")
TEXTS = (
    "session_id", "order_id", "product_id", "category", "brand", "campaign_id", "currency", "channel", "device",
    "country", "payment_method", "text",
)  # fmt: skip
FILLABLE = ("customer_id", "event_time", "arrival_time", *TEXTS, *NUMBERS)
"""What a feed's `columns` may fill; the rest of the events table follows from these."""
CONSTANT = tuple(name for name in (*TEXTS, *NUMBERS) if not name.endswith("_id") and name != "text")
IDS = ("customer_id", "session_id", "order_id", "product_id", "campaign_id")
SEVERAL = {"discount_amount": "adds up", "category": "joins"}


@dataclass(frozen=True, kw_only=True)
class When:
    """A row whose ``column`` starts with ``prefix`` is of event type ``becomes``, or dropped by policy ``drop``."""

    column: str
    prefix: str
    becomes: str = ""
    drop: str = ""


@dataclass(frozen=True, kw_only=True)
class EventTypeRule:
    """The event type of a row: by the value of a column, or a default that prefixes change."""

    default: str = ""
    when: tuple[When, ...] = ()
    column: str = ""
    values: dict[str, str] = field(default_factory=dict)

    @property
    def possible(self) -> set[str]:
        return {self.default, *self.values.values(), *(when.becomes for when in self.when)} - {""}


@dataclass(frozen=True, kw_only=True)
class Feed(Layout):
    """One kind of file. ``files`` is a path under the source's landing in which {ds} stands for the day.

    ``assumed_year``: of times that name none; 0 for times that do. ``rating_scale``: the lowest and highest rating.
    """

    name: str
    files: str
    columns: dict[str, tuple[str, ...]]
    event_type: EventTypeRule
    time_formats: tuple[str, ...] = ()
    optional: bool = False
    assumed_year: int = 0
    constants: dict[str, str | float] = field(default_factory=dict)
    ids: dict[str, IdRule] = field(default_factory=dict)
    rating_scale: tuple[float, float] = (0.0, 1.0)
    negative_returns: bool = False
    drop_without_customer: bool = False
    drop_duplicates: bool = False

    @property
    def source_columns(self) -> list[str]:
        """Every column the file must have."""
        named = [c for several in self.columns.values() for c in several]
        return list(dict.fromkeys([*named, *self.type_columns]))

    @property
    def always(self) -> list[str]:
        """Columns without which no row means anything."""
        whose = [self.columns["customer_id"][0], self.columns["event_time"][0]]
        return list(dict.fromkeys([*whose, *self.type_columns]))

    @property
    def drop_policies(self) -> list[str]:
        """What leaves rows out, by name: a row that two of them drop counts for the first."""
        named = [when.drop for when in self.event_type.when if when.drop]
        named += ["no_customer"] * self.drop_without_customer + ["duplicate"] * self.drop_duplicates
        return list(dict.fromkeys(named))

    @property
    def type_columns(self) -> list[str]:
        """Columns that say what happened."""
        return [c for c in (*(w.column for w in self.event_type.when), self.event_type.column) if c]


def parse_feed(raw: Any, owner: Lined) -> Feed:
    """A feed from its YAML; SetupError with the line of what is wrong."""
    raw = fields_of(owner, raw, Feed, "a feed", at="feeds")
    columns = check_columns(raw, FILLABLE, ("customer_id", "event_time"), SEVERAL)
    event_type = _event_type(raw)
    check_files(raw)
    layout = check_layout(raw)
    if raw.get("format") != "parquet" and not raw.get("time_formats"):
        raw.fail("a feed lacks 'time_formats'")
    formats = check_times(raw, raw.get("assumed_year", 0))
    made = Feed(**{**raw, **layout, "columns": columns, "event_type": event_type, "time_formats": formats,
                   "constants": _constants(raw, columns), "ids": check_ids(raw, columns, IDS),
                   "rating_scale": _rating_scale(raw, columns)})  # fmt: skip
    check_named(raw, made.column_names, made.source_columns)
    _check_money(raw, made)
    return made


def _check_money(raw: Lined, feed: Feed) -> None:
    filled, columns = {*feed.columns, *feed.constants}, raw["columns"]
    if "unit_price" in filled and ("amount" in filled or "quantity" not in filled):
        at = columns if "unit_price" in columns else raw
        at.fail("columns: unit_price is multiplied by quantity into amount: it needs quantity, no amount", "unit_price")
    if "unit_price" in filled and "price" in filled:
        columns.fail("columns: unit_price fills price too: name one of them", "price")
    if not {"amount", "unit_price"} & filled and (of := feed.event_type.possible & {"purchase", "return"}):
        columns.fail(
            f"columns: a {min(of)} needs an amount: name amount, or unit_price with quantity, or, where the shop tells "
            "no money, constants: {amount: 0}"
        )


def _constants(feed: Lined, columns: dict[str, tuple[str, ...]]) -> dict[str, str | float]:
    raw = feed.get("constants", {})
    if "constants" in feed and not isinstance(raw, Lined):
        feed.fail(f"constants must be target: value pairs, found {raw!r}", "constants")
    for target, value in raw.items():
        if target not in CONSTANT:
            raw.fail(f"constants: no such target {target!r}; known: {', '.join(CONSTANT)}", target)
        if target in columns:
            raw.fail(f"constants: {target} is filled by a column already", target)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and abs(value) < 1e12 if target in NUMBERS else is_text(value)):
            wanted = "a number" if target in NUMBERS else "a text (in quotes where YAML takes it for something else)"
            raw.fail(f"constants: {target} must be {wanted}, found {value!r}", target)
    return {target: float(value) if target in NUMBERS else value for target, value in raw.items()}


def _rating_scale(feed: Lined, columns: dict[str, tuple[str, ...]]) -> tuple[float, float]:
    raw = feed.get("rating_scale", [0, 1])
    numbers = isinstance(raw, list) and all(isinstance(n, int | float) and not isinstance(n, bool) for n in raw)
    if not numbers or len(raw) != 2 or not raw[0] < raw[1]:
        feed.fail(f"rating_scale must be the lowest and the highest rating, [1, 5], found {raw!r}", "rating_scale")
    if "rating_scale" in feed and "rating" not in columns:
        feed.fail("rating_scale: columns name no rating", "rating_scale")
    return float(raw[0]), float(raw[1])


def _event_type(feed: Lined) -> EventTypeRule:
    if isinstance(feed["event_type"], str):
        if feed["event_type"] not in EVENT_TYPES:
            feed.fail(f"no event type {feed['event_type']!r}; known: {', '.join(EVENT_TYPES)}", "event_type")
        return EventTypeRule(default=feed["event_type"])
    raw = fields_of(feed, feed["event_type"], EventTypeRule, "event_type")
    values, when = raw.get("values", {}), raw.get("when", [])
    if not isinstance(values, dict) or not isinstance(when, list):
        raw.fail("event_type: values must be value: event type pairs, when a list", "when" if values else "values")
    if ("column" in raw) != bool(values) or not (values or "default" in raw):
        raw.fail("event_type needs a default, or a column with values", "column")
    for key, value in values.items():
        if not is_text(key):
            values.fail(f"values: {key!r} must be a text: write it in quotes", key)
        if value not in EVENT_TYPES:
            values.fail(f"no event type {value!r}; known: {', '.join(EVENT_TYPES)}", key)
    if raw.get("default", EVENT_TYPES[0]) not in EVENT_TYPES:
        raw.fail(f"no event type {raw['default']!r}; known: {', '.join(EVENT_TYPES)}", "default")
    return EventTypeRule(**{**raw, "values": dict(values), "when": tuple(_when(item, raw) for item in when)})


def _when(raw: Any, owner: Lined) -> When:
    if isinstance(raw, Lined) and "is" in raw:
        raw["becomes"] = raw.pop("is")
    raw = fields_of(owner, raw, When, "a when", at="when")
    if ("becomes" in raw) == ("drop" in raw):
        raw.fail("a when needs one of is and drop")
    if "becomes" in raw and raw["becomes"] not in EVENT_TYPES:
        raw.fail(f"no event type {raw['becomes']!r}; known: {', '.join(EVENT_TYPES)}", "is")
    return When(**raw)
