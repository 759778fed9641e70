"""Splits a shop's whole history into the daily files that its mapping expects, each line byte for byte as it stood.

One file, or a folder of them, of any size. The same history makes the same files; a file that holds something else is
left as it is, and so are all others, unless --replace is given.
"""

import argparse
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from expectations.errors import DataError, SetupError
from jobs.arguments import job_parser
from jobs.home import Home
from jobs.onboarding.day_files import ParquetDays, TextDays
from jobs.onboarding.odd_days import odd_days
from jobs.onboarding.split import split_lines_of, split_rows_of
from jobs.onboarding.streams import files_below, refuse_foreign
from jobs.reading.feed import Feed
from jobs.reading.mapping import Mapping, load_mapping
from jobs.work_folder import work_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Landed:
    """What became of a history: data lines, the day files written anew, replaced and left as they were."""

    rows: int
    undated: int
    days: list[date]
    written: int
    replaced: int
    unchanged: int


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("land", __doc__)
    parser.add_argument("--source", required=True, metavar="S", help="a source, by its file jobs/sources/S.yaml")
    parser.add_argument("--path", type=Path, required=True, metavar="P", help="the history: a file or a folder")
    parser.add_argument("--feed", metavar="F", help="which feed of the mapping it is, where there are several")
    parser.add_argument("--replace", action="store_true", help="replace day files that hold something else")
    return parser


def main(args: argparse.Namespace) -> None:
    home = Home.from_environment(args.home)
    mapping = load_mapping(args.source)
    feed = feed_of(mapping, args.feed)
    files = files_below(args.path)
    home.adopt(mapping.shop, mapping.source, simulated=mapping.simulated)
    landing = home.landing_of(mapping.source)
    log.info("splitting %d file(s) into days below %s", len(files), landing)
    landed = land_files(landing, feed, mapping.timezone, files, args.replace)
    print("\n".join(report(mapping, feed, landing, len(files), landed)))


def feed_of(mapping: Mapping, name: str | None) -> Feed:
    """The feed of that name, the only one without a name; SetupError with the names there are."""
    names = ", ".join(feed.name for feed in mapping.feeds)
    found = [feed for feed in mapping.feeds if name in (None, feed.name)]
    if len(found) != 1:
        wrong = f"no feed {name!r}" if name else "several feeds"
        raise SetupError(f"{mapping.source} has {wrong}: choose one by --feed: {names}")
    return found[0]


def land_files(landing: Path, feed: Feed, timezone: str, files: list[Path], replace: bool = False) -> Landed:
    """Splits ``files`` into the feed's day files below ``landing``: all of them or, where anything is wrong, none."""
    with work_folder(landing, "_landing-") as work:
        is_parquet = feed.format == "parquet"
        days, split = (ParquetDays(work), split_rows_of) if is_parquet else (TextDays(work), split_lines_of)
        for file in files:
            refuse_foreign(file)
            split(file, feed, timezone, days)
        if not days.rows:
            raise DataError(f"{files[0]}{' and the others' * (len(files) > 1)}: no line below the header")
        targets = {day: landing / feed.files.format(ds=day) for day in sorted(days.rows)}
        there = [day for day, target in targets.items() if target.exists()]
        different = [day for day in there if not days.equals(day, targets[day])]
        if different and not replace:
            raise DataError(
                f"{len(different)} of {len(targets)} day files are there already with other content, such as "
                f"{targets[different[0]]}. Nothing was written: land all files of a history together, in one "
                "folder, or give --replace to write them anew"
            )
        fresh = [day for day in targets if day not in there or day in different]
        for day in fresh:
            _put_in_place(days, day, work / "whole", targets[day])
    return Landed(
        rows=sum(days.rows.values()), undated=days.undated, days=list(targets), written=len(fresh) - len(different),
        replaced=len(different), unchanged=len(there) - len(different),
    )  # fmt: skip


def _put_in_place(days: TextDays | ParquetDays, day: date, aside: Path, target: Path) -> None:
    """Writes the day ``aside`` and renames it: a reader finds the whole file or none."""
    days.write(day, aside, target.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(aside, target)


def report(mapping: Mapping, feed: Feed, landing: Path, files: int, landed: Landed) -> Iterator[str]:
    """What was done, what looks odd, and what to do next, line by line."""
    first, last = landed.days[0], landed.days[-1]
    yield (
        f"{landed.rows:,} rows of {files} file(s) lie in {len(landed.days):,} daily files "
        f"({first} … {last}) below {landing}: {landed.written:,} new, {landed.replaced:,} replaced, "
        f"{landed.unchanged:,} as they were"
    )
    if landed.undated:
        yield (
            f"{landed.undated:,} rows have no day that can be read: they lie with the row before them, "
            "and ingestion will quarantine them with their reason"
        )
    yield from odd_days(mapping.expected, landed.days, optional=feed.optional)
    yield (
        f"next: python -m jobs setup --source {mapping.source}, then python -m jobs ingest --source {mapping.source} "
        f"--from {first} --to {last}"
    )
