"""What a shop delivers on a day: the files of its feeds, there or expected."""

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from expectations.errors import DataError
from expectations.events import EVENTS, INGEST_REPORT
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.reading.feed import Feed
from jobs.reading.mapping import Mapping
from jobs.reading.product_lookup import products_digest
from jobs.reading.vault_file import vault_file


@dataclass(frozen=True)
class Delivery:
    """One file of one day, there or expected. ``file`` is its path within the source's landing."""

    mapping: Mapping
    feed: Feed
    path: Path
    file: str

    def read(self, day: date) -> bytes:
        """The file's bytes; DataError if it is missing."""
        return read_delivered(self.path, self.mapping, day)


def read_delivered(path: Path, mapping: Mapping, day: date) -> bytes:
    """The file's bytes; DataError if it is missing."""
    if not path.is_file():
        raise DataError(
            f"{path}: missing, though {day} is an open day of {mapping.source}. "
            "Deliver it, or list the day under expected.closed of the mapping"
        )
    return path.read_bytes()


def deliveries(home: Home, mapping: Mapping, day: date) -> list[Delivery]:
    """The day's files, and those that should be there. DataError for a day beyond those the mapping expects."""
    landing, found = home.landing_of(mapping.source), []
    for feed in mapping.feeds:
        file = feed.files.format(ds=day)
        item = Delivery(mapping, feed, landing / file, file)
        if item.path.is_file() or (mapping.expected.is_open(day) and not feed.optional):
            found.append(item)
    if not found and not mapping.expected.first <= day <= mapping.expected.last:
        raise DataError(
            f"{day} lies outside the days on which {mapping.source} is expected to deliver "
            f"({mapping.expected.first} … {mapping.expected.last}), and nothing lies in {landing} for it"
        )
    return found


def is_unchanged(home: Home, day: date, files: list[Delivery]) -> bool:
    """Whether lake and vault hold the day as these files, their mappings and the products known by then make it."""
    report = LakeTable(home, INGEST_REPORT)
    if not (report.has(day) and LakeTable(home, EVENTS).has(day) and vault_file(home, day).exists()):
        return False
    try:
        known = report.read_arrow([day]).to_pylist()
    except DataError:  # written under another contract
        return False
    was = {
        (row["source"], row["source_file"], row["file_digest"], row["mapping_digest"], row["products_digest"])
        for row in known
    }
    now = {
        (f.mapping.source, f.file, digest_of(f.path), f.mapping.digest, products_digest(home, f.mapping, day))
        for f in files
        if f.path.is_file()
    }
    return was == now and all(row["is_complete"] for row in known)


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
