"""Source mappings: one YAML file says how a source's files become events. A mistake is refused with its line."""

import codecs
import hashlib
import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from expectations.errors import SetupError
from expectations.events import EVENT_TYPES
from jobs.reading.feed_checks import check_files, check_text, check_times
from jobs.reading.yaml_lines import Lined, fields_of, is_text, load_lined

FOLDER = Path(__file__).parent.parent / "sources"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# What a feed's `columns` may fill; the rest of the events table follows from these.
FILLABLE = (
    "customer_id", "event_time", "arrival_time", "session_id", "order_id", "product_id", "category", "brand",
    "campaign_id", "quantity", "amount", "unit_price", "price", "discount_amount", "currency", "channel", "device",
    "country", "payment_method", "text", "rating",
)  # fmt: skip
# Targets that take several columns of the file.
SEVERAL = {"discount_amount": "adds up", "category": "joins"}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """On which days the shop delivers. A missing file of an expected day is an error, of another day is none."""

    weekdays: tuple[str, ...] = WEEKDAYS
    closed: tuple[date, ...] = ()
    first: date = date.min
    last: date = date.max

    def is_open(self, day: date) -> bool:
        return self.first <= day <= self.last and WEEKDAYS[day.weekday()] in self.weekdays and day not in self.closed


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


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One kind of file. ``files`` is a path under the source's landing in which {ds} stands for the day."""

    name: str
    files: str
    columns: dict[str, tuple[str, ...]]
    event_type: EventTypeRule
    time_formats: tuple[str, ...]
    optional: bool = False
    delimiter: str = ","
    encoding: str = "utf-8"
    customer_id_suffix: str = ""
    negative_returns: bool = False
    drop_without_customer: bool = False
    drop_duplicates: bool = False

    @property
    def source_columns(self) -> list[str]:
        """Every column the file must have."""
        named = [c for several in self.columns.values() for c in several]
        named += [w.column for w in self.event_type.when] + [self.event_type.column]
        return list(dict.fromkeys(c for c in named if c))


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """A source. ``digest`` changes with the file's text."""

    source: str
    shop: str
    timezone: str
    currency: str
    feeds: tuple[Feed, ...]
    expected: Expected = Expected()
    session_gap_minutes: int = 30
    simulated: bool = False
    digest: str = ""


def available() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_mapping(source: str) -> Mapping:
    """The mapping ``jobs/sources/<source>.yaml``; SetupError with file and line of what is wrong."""
    if source not in available():
        raise SetupError(f"no mapping for source {source!r} in {FOLDER}; there are: {', '.join(available())}")
    path = FOLDER / f"{source}.yaml"
    try:
        return parse_mapping(path.read_text("utf-8"), path.name)
    except UnicodeDecodeError as error:
        raise SetupError(f"{path.name} is not UTF-8: {error}") from error


def parse_mapping(text: str, name: str) -> Mapping:
    """A mapping from YAML text; ``name``, the file's, stands in the messages."""
    raw = load_lined(text, name)
    fields_of(raw, raw, Mapping, "the mapping", without=("digest",))
    if raw["source"] != Path(name).stem or not re.fullmatch("[a-z0-9_]+", raw["source"]):
        raw.fail(f"source {raw['source']!r} must be the file's name, of a-z, 0-9 and _ alone", "source")
    if not isinstance(raw["feeds"], list) or not raw["feeds"]:
        raw.fail(f"feeds must be a list, not empty, found {raw['feeds']!r}", "feeds")
    feeds = tuple(_feed(feed, raw) for feed in raw["feeds"])
    for what, several in (("name", [f.name for f in feeds]), ("files", [f.files.format(ds=date.max) for f in feeds])):
        if len(set(several)) < len(several):
            raw.fail(f"two feeds have the same {what}: {', '.join(several)}", "feeds")
    expected = _expected(raw["expected"], raw) if "expected" in raw else Expected()
    try:
        ZoneInfo(raw["timezone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raw.fail(f"no time zone {raw['timezone']!r}", "timezone")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Mapping(**{**raw, "feeds": feeds, "expected": expected, "digest": digest})


def _expected(raw: Any, owner: Lined) -> Expected:
    raw = fields_of(owner, raw, Expected, "expected")
    if unknown := set(raw.get("weekdays", ())) - set(WEEKDAYS):
        raw.fail(f"no weekday {sorted(unknown)}; known: {', '.join(WEEKDAYS)}", "weekdays")
    made = Expected(**{k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()})
    if made.first > made.last:
        raw.fail(f"first ({made.first}) lies after last ({made.last})", "first")
    return made


def _feed(raw: Any, owner: Lined) -> Feed:
    raw = fields_of(owner, raw, Feed, "a feed", at="feeds")
    columns = _columns(raw)
    event_type = _event_type(raw)
    check_files(raw)
    check_text(raw)
    check_times(raw)
    formats = tuple(raw["time_formats"])
    return Feed(**{**raw, "columns": columns, "event_type": event_type, "time_formats": formats,
                   "encoding": codecs.lookup(raw.get("encoding", "utf-8")).name.removesuffix("-sig")})  # fmt: skip


def _columns(feed: Lined) -> dict[str, tuple[str, ...]]:
    raw = feed["columns"]
    if not isinstance(raw, Lined):
        feed.fail(f"columns must be target: column pairs, found {raw!r}", "columns")
    for target, named in raw.items():
        if target not in FILLABLE:
            raw.fail(f"columns: no such target {target!r}; known: {', '.join(FILLABLE)}", target)
        if isinstance(named, list) and target not in SEVERAL:
            takers = ", ".join(f"{name} {what} several" for name, what in SEVERAL.items())
            raw.fail(f"columns: {target} takes one column; only {takers}", target)
        if not named or not all(is_text(c) for c in (named if isinstance(named, list) else [named])):
            raw.fail(f"columns: {target} must name a column of the file, found {named!r}", target)
    for target in ("customer_id", "event_time"):
        if target not in raw:
            raw.fail(f"columns: {target} is required")
    if "unit_price" in raw and ("amount" in raw or "quantity" not in raw):
        raw.fail(
            "columns: unit_price is multiplied by quantity into amount: it needs quantity, no amount", "unit_price"
        )
    return {target: tuple(named) if isinstance(named, list) else (named,) for target, named in raw.items()}


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
