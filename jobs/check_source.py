"""Tries a source mapping on a shop's files: what maps to what, what would be refused and why. Writes nothing.

Reads a sample of a file, of daily files or of a whole history. Rows are shown on this terminal alone; customers are
keyed under a key made for this run. A shop without a mapping gets a first one by --draft.
"""

import argparse
import logging
from pathlib import Path

from expectations.errors import DataError, SetupError
from jobs.arguments import job_parser
from jobs.onboarding.advice import refuse_missing_columns
from jobs.onboarding.dimension_trial import dimensions_at, try_dimension
from jobs.onboarding.draft import draft
from jobs.onboarding.inputs import Input, inputs_of, names_in, pieces_of
from jobs.onboarding.streams import files_below, refuse_foreign
from jobs.onboarding.trial import try_feed
from jobs.onboarding.trial_report import report, verdict
from jobs.reading.mapping import Mapping, load_mapping, parse_mapping

log = logging.getLogger(__name__)
SAMPLE_ROWS = 100_000


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("check_source", __doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--source", metavar="S", help="a source, by its file jobs/sources/S.yaml")
    which.add_argument("--mapping", type=Path, metavar="FILE", help="a mapping that does not lie in jobs/sources yet")
    which.add_argument("--draft", metavar="NAME", help="print a first mapping of that name, guessed from the file")
    parser.add_argument("--path", type=Path, required=True, metavar="P", help="a file or a folder of files")
    parser.add_argument("--feed", metavar="F", help="which feed it is, where the files' names do not say so")
    parser.add_argument(
        "--rows", type=int, default=SAMPLE_ROWS, metavar="N", help=f"rows to read (default: {SAMPLE_ROWS:,})"
    )
    parser.add_argument("--all", action="store_true", help="read every row")
    return parser


def main(args: argparse.Namespace) -> None:
    """DataError if a feed would not pass the gate."""
    if args.draft:
        print(draft(args.draft, args.path), end="")
        return
    mapping = load_mapping(args.source) if args.source else read_mapping(args.mapping)
    dimensions = [] if args.feed else dimensions_at(mapping, args.path)
    for dimension, path in dimensions:
        print("\n".join(try_dimension(mapping, dimension, path)) + "\n", flush=True)
    if dimensions and args.path.is_file():
        return
    by_feed: dict[str, list[Input]] = {}
    for each in inputs_of(mapping, args.path, args.feed):
        by_feed.setdefault(each.feed.name, []).append(each)
    read = {each.path for inputs in by_feed.values() for each in inputs} | {path for _, path in dimensions}
    passed = [try_one(mapping, inputs, None if args.all else args.rows) for inputs in by_feed.values()]
    if unread := [file for file in files_below(args.path) if file not in read]:
        print(f"{len(unread):,} file(s) that fit no `files` of the mapping, such as {unread[0]}")
    if not all(passed):
        failed = ", ".join(name for name, ok in zip(by_feed, passed, strict=True) if not ok)
        raise DataError(f"{failed}: not to be ingested like this; mend the mapping by the hints above")


def try_one(mapping: Mapping, inputs: list[Input], rows: int | None) -> bool:
    """Tries the files of one feed and prints what came of it; whether the gate would pass it."""
    check_columns(inputs[0])
    trial = try_feed(mapping, inputs, rows)
    print("\n".join(report(mapping, trial)), flush=True)
    passed, words = verdict(mapping, trial)
    print(f"VERDICT {words}\n", flush=True)
    return passed


def read_mapping(path: Path) -> Mapping:
    """The mapping in a file anywhere; SetupError where it cannot be read."""
    try:
        return parse_mapping(path.read_text("utf-8"), path.name)
    except UnicodeDecodeError as error:
        raise SetupError(f"{path} is not UTF-8: {error}") from error
    except FileNotFoundError as error:
        raise SetupError(f"{path}: there is no such file") from error


def check_columns(first: Input) -> None:
    """SetupError where the feed's first file lacks a column; names the file's own, which other commands must not."""
    refuse_foreign(first.path)
    for data, _ in pieces_of(first.path, first.feed, 1000):
        refuse_missing_columns(names_in(data, first.path, first.feed), first.feed, f"{first.path}")
        return
