"""A small shop to feed the jobs with, and one engine for all tests that need it."""

import gzip
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from jobs.engine import open_engine
from jobs.home import Home
from jobs.ingest import ingest_days
from jobs.reading.keys import ensure_key
from jobs.reading.mapping import Mapping, parse_mapping
from tests.jobs.corner_shop import CORNER_SHOP, HEADER


@pytest.fixture(scope="session")
def spark() -> Iterator:
    """The embedded engine."""
    with open_engine("sail") as session:
        yield session


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home of the corner shop, in a folder with a space."""
    home = Home(tmp_path / "a home")
    home.adopt("corner_shop", "corner_shop")
    ensure_key(home)
    return home


@pytest.fixture
def corner_shop() -> Mapping:
    return parse_mapping(CORNER_SHOP, "corner_shop.yaml")


@pytest.fixture
def land(home: Home) -> Callable[..., Path]:
    """``land(day, *lines)`` delivers the header and lines as the day's file; ``raw`` replaces the file's bytes."""

    def deliver(day: date, *lines: str, header: str = HEADER, raw: bytes | None = None) -> Path:
        path = home.landing / "corner_shop" / f"ds={day}" / "sales.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{line}\n" for line in (header, *lines))
        path.write_bytes(gzip.compress(text.encode(), mtime=1) if raw is None else raw)
        return path

    return deliver


@pytest.fixture
def ingest(home: Home, corner_shop: Mapping) -> Callable[..., list[str]]:
    """``ingest(*days)`` ingests them and returns what was wrong with files."""
    return lambda *days, **options: ingest_days(home, [corner_shop], list(days), **options)
