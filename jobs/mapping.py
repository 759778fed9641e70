"""Source mappings: one YAML file says how a source's files become events. A mistake is refused with its line."""

import hashlib
from dataclasses import MISSING, dataclass, field, fields
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from expectations.errors import SetupError
from expectations.events import EVENT_TYPES

FOLDER = Path(__file__).parent / "sources"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# What a feed's `columns` may fill; the rest of the events table follows from these.
FILLABLE = (
    "customer_id", "event_time", "order_id", "product_id", "campaign_id", "quantity", "amount", "unit_price",
    "discount_amount", "currency", "country",
)  # fmt: skip


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
    simulated: bool = False
    digest: str = ""


def available() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_mapping(source: str) -> Mapping:
    """The mapping ``jobs/sources/<source>.yaml``; SetupError with file and line of what is wrong."""
    path = FOLDER / f"{source}.yaml"
    if not path.exists():
        raise SetupError(f"no mapping for source {source!r} in {FOLDER}; there are: {', '.join(available())}")
    return parse_mapping(path.read_text(), path.name)


def parse_mapping(text: str, name: str) -> Mapping:
    """A mapping from YAML text; ``name`` stands in the messages."""
    try:
        raw = yaml.load(text, _LineLoader)
    except yaml.YAMLError as error:
        raise SetupError(f"{name} is not YAML: {error}") from error
    where = SimpleNamespace(file=name)
    raw = _keys(raw, Mapping, where, "the mapping", without=("digest",))
    raw["feeds"] = tuple(_feed(feed, where) for feed in raw["feeds"])
    if "expected" in raw:
        raw["expected"] = _expected(raw["expected"], where)
    try:
        ZoneInfo(raw["timezone"])
    except (ZoneInfoNotFoundError, ValueError, TypeError) as error:
        raise SetupError(f"{name}: no time zone {raw['timezone']!r}") from error
    return Mapping(**raw, digest=hashlib.sha256(text.encode()).hexdigest())


class _LineLoader(yaml.SafeLoader):
    """Keeps where every mapping and each of its keys stands, under ``__line__`` and ``__lines__``."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
        made = super().construct_mapping(node, deep=True)
        return {**made, "__line__": node.start_mark.line + 1, "__lines__": lines}


def _plain(raw: dict) -> dict:
    """``raw`` without where it stands."""
    return {key: value for key, value in raw.items() if key not in ("__line__", "__lines__")}


_LineLoader.add_constructor("tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node, deep=True))


def _fail(where: SimpleNamespace, line: int, message: str) -> None:
    raise SetupError(f"{where.file}, line {line}: {message}")


def _keys(raw: Any, kind: type, where: SimpleNamespace, what: str, without: tuple[str, ...] = ()) -> dict:
    """``raw`` without its line, if its keys are exactly fields of ``kind``."""
    if not isinstance(raw, dict):
        raise SetupError(f"{where.file}: {what} must be key: value pairs, found {raw!r}")
    line, lines, raw = raw["__line__"], raw.get("__lines__", {}), _plain(raw)
    known = {f.name: f for f in fields(kind) if f.name not in without}
    for key in raw:
        if key not in known:
            _fail(where, lines.get(key, line), f"{what} has no key {key!r}; known: {', '.join(known)}")
    for key, spec in known.items():
        if key not in raw and spec.default is MISSING and spec.default_factory is MISSING:
            _fail(where, line, f"{what} lacks {key!r}")
    return raw


def _expected(raw: Any, where: SimpleNamespace) -> Expected:
    line = raw.get("__line__", 0) if isinstance(raw, dict) else 0
    raw = _keys(raw, Expected, where, "expected")
    if unknown := set(raw.get("weekdays", ())) - set(WEEKDAYS):
        _fail(where, line, f"no weekday {sorted(unknown)}; known: {', '.join(WEEKDAYS)}")
    dates = [*raw.get("closed", ()), *(raw[k] for k in ("first", "last") if k in raw)]
    for value in dates:
        if not isinstance(value, date):
            _fail(where, line, f"{value!r} is not a date (YYYY-MM-DD)")
    return Expected(**{k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()})


def _feed(raw: Any, where: SimpleNamespace) -> Feed:
    line = raw.get("__line__", 0) if isinstance(raw, dict) else 0
    raw = _keys(raw, Feed, where, "a feed")
    columns = _plain(raw["columns"])
    for target in columns:
        if target not in FILLABLE:
            line = raw["columns"]["__lines__"][target]
            _fail(where, line, f"columns: no such target {target!r}; known: {', '.join(FILLABLE)}")
    for target in ("customer_id", "event_time"):
        if target not in columns:
            _fail(where, line, f"columns: {target} is required")
    raw["columns"] = {k: tuple(v) if isinstance(v, list) else (v,) for k, v in columns.items()}
    raw["time_formats"] = tuple(raw["time_formats"])
    raw["event_type"] = _event_type(raw["event_type"], where, line)
    return Feed(**raw)


def _event_type(raw: Any, where: SimpleNamespace, line: int) -> EventTypeRule:
    if isinstance(raw, str):
        raw = {"default": raw, "__line__": line}
    line = raw.get("__line__", line) if isinstance(raw, dict) else line
    raw = _keys(raw, EventTypeRule, where, "event_type")
    raw["values"] = {str(key): value for key, value in _plain(raw.get("values", {})).items()}
    raw["when"] = tuple(_when(item, where) for item in raw.get("when", ()))
    named = [raw.get("default", ""), *raw["values"].values(), *(w.becomes for w in raw["when"])]
    for event_type in named:
        if event_type and event_type not in EVENT_TYPES:
            _fail(where, line, f"no event type {event_type!r}; known: {', '.join(EVENT_TYPES)}")
    if not raw.get("default") and not raw["values"]:
        _fail(where, line, "event_type needs a default, or a column with values")
    return EventTypeRule(**raw)


def _when(raw: Any, where: SimpleNamespace) -> When:
    if isinstance(raw, dict) and "is" in raw:
        raw = {"becomes" if k == "is" else k: v for k, v in raw.items()}
    return When(**_keys(raw, When, where, "a when"))
