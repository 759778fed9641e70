"""Source mappings: one YAML file says how a source's files become events. A mistake is refused with its line."""

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from expectations.errors import SetupError
from jobs.reading.dimension import Dimension, parse_dimension
from jobs.reading.feed import Feed, parse_feed
from jobs.reading.yaml_lines import Lined, fields_of
from ml.yaml_lines import load_lined

FOLDER = Path(__file__).parent.parent / "sources"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


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
class Mapping:
    """A source. ``digest`` changes with the file's text.

    ``session_gap_minutes``: the silence after which a customer's next event begins a session, where the source has none
    of its own; 0 makes none.
    """

    source: str
    shop: str
    timezone: str
    currency: str
    feeds: tuple[Feed, ...]
    dimensions: tuple[Dimension, ...] = ()
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
    feeds = tuple(parse_feed(feed, raw) for feed in raw["feeds"])
    _refuse_doubles(raw, "feeds", "name", [feed.name for feed in feeds])
    _refuse_doubles(raw, "feeds", "files", [feed.files.format(ds=date.max) for feed in feeds])
    expected = _expected(raw["expected"], raw) if "expected" in raw else Expected()
    dimensions = _dimensions(raw, expected)
    try:
        ZoneInfo(raw["timezone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raw.fail(f"no time zone {raw['timezone']!r}", "timezone")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Mapping(**{**raw, "feeds": feeds, "dimensions": dimensions, "expected": expected, "digest": digest})


def _refuse_doubles(raw: Lined, key: str, what: str, several: list[str]) -> None:
    if len(set(several)) < len(several):
        raw.fail(f"two {key} have the same {what}: {', '.join(several)}", key)


def _dimensions(raw: Lined, expected: Expected) -> tuple[Dimension, ...]:
    listed = raw.get("dimensions", [])
    if not isinstance(listed, list):
        raw.fail(f"dimensions must be a list, found {listed!r}", "dimensions")
    made = tuple(parse_dimension(item, raw) for item in listed)
    _refuse_doubles(raw, "dimensions", "table", [dimension.table for dimension in made])
    if expected.first == date.min and (timeless := [d.table for d in made if not d.is_daily]):
        raw.fail(
            f"dimensions: files of {', '.join(timeless)} hold no {{ds}}: they are known from expected.first, which is "
            "missing",
            "dimensions",
        )
    return made


def _expected(raw: Any, owner: Lined) -> Expected:
    raw = fields_of(owner, raw, Expected, "expected")
    if unknown := set(raw.get("weekdays", ())) - set(WEEKDAYS):
        raw.fail(f"no weekday {sorted(unknown)}; known: {', '.join(WEEKDAYS)}", "weekdays")
    made = Expected(**{k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()})
    if made.first > made.last:
        raw.fail(f"first ({made.first}) lies after last ({made.last})", "first")
    return made
