"""What a mapping says of files must be able to work: paths, text, times, columns. SetupError with the line if not."""

import codecs
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.reading.layout import FORMATS, WHITESPACE
from jobs.reading.times import SINCE_1970
from jobs.reading.yaml_lines import Lined, is_text

MOST_YEARS = (1990, 2100)


def check_files(raw: Lined, must_hold_day: bool = True) -> None:
    """Each day must have a file of its own, within the landing folder."""
    days, files = [date(2023, 1, 1) + timedelta(n) for n in range(800)], raw["files"]
    try:
        named = {files.format(ds=day) for day in days}
    except (LookupError, ValueError, AttributeError, TypeError):
        raw.fail(f"files: {files!r} holds a placeholder that is not {{ds}}, the day", "files")
    if len(named) < len(days) and (must_hold_day or len(named) > 1):
        raw.fail(f"files: {files!r} must hold {{ds}}, so that each day has a file of its own", "files")
    if Path(files).is_absolute() or ".." in Path(files).parts:
        raw.fail(f"files: {files!r} must be a path below the landing folder", "files")


def check_layout(raw: Lined) -> dict[str, Any]:
    """The fields of a Layout that ``raw`` gives, fit to work.

    That is a delimiter that CSV parsers take, an encoding whose lines can be split before they are decoded, and names
    where there is no header.
    """
    form, delimiter, encoding = raw.get("format", "csv"), raw.get("delimiter", ","), raw.get("encoding", "utf-8")
    if form not in FORMATS:
        raw.fail(f"no format {form!r}; known: {', '.join(FORMATS)}", "format")
    for key in ("delimiter", "header", "column_names"):
        if key in raw and form != "csv":
            raw.fail(f"{key} is for format csv, this one is {form}", key)
    if "encoding" in raw and form == "parquet":
        raw.fail("encoding is for texts: parquet says itself how it is written", "encoding")
    if delimiter != WHITESPACE and (len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0'):
        raw.fail(
            f"delimiter must be one ASCII character, no quote or line break, or {WHITESPACE}, found {delimiter!r}",
            "delimiter",
        )
    _check_encoding(raw, encoding)
    names = tuple(raw.get("column_names", ()))
    if raw.get("header", True) == bool(names):
        raw.fail("column_names are for a csv with header: false, which needs them", "column_names")
    if len(set(names)) < len(names):
        raw.fail(f"column_names: a name stands there twice: {', '.join(names)}", "column_names")
    return {"encoding": codecs.lookup(encoding).name.removesuffix("-sig"), "column_names": names}


def _check_encoding(raw: Lined, encoding: str) -> None:
    ascii_bytes = bytes(range(128))
    try:
        fits = ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
    except (LookupError, ValueError):
        fits = False
    if not fits:
        raw.fail(f"encoding {encoding!r} is unknown or does not write a line break as the byte 10", "encoding")


def check_times(raw: Lined, assumed_year: int = 0) -> tuple[str, ...]:
    """The time formats; each must say which day it is, with the ``assumed_year`` (0: none) where it names no year."""
    formats = raw.get("time_formats", ())
    for form in formats:
        if assumed_year and (re.search("%[Yy]", form) or form in SINCE_1970):
            raw.fail(f"assumed_year is for formats without a year, {form!r} has one", "assumed_year")
        if form not in SINCE_1970 and not _says_a_day(f"%Y {form}" if assumed_year else form):
            raw.fail(
                f"time_formats: {form!r} must say a day by %Y %y %m %d %b %B (%-m, %-d) and may say a time of it by "
                "%H %M %S (with %f, %z), or %I with %p; where it names no year, assumed_year does. What counts from "
                f"1970 is {' or '.join(SINCE_1970)}",
                "time_formats",
            )
    if assumed_year and not MOST_YEARS[0] <= assumed_year <= MOST_YEARS[1]:
        raw.fail(f"assumed_year must lie within {MOST_YEARS[0]} and {MOST_YEARS[1]}", "assumed_year")
    return tuple(formats)


def _says_a_day(form: str) -> bool:
    """Whether a time comes back, as far as it is written, when the format writes and reads it."""
    sample, plain = datetime(2001, 2, 3, 16, 5, 6, tzinfo=UTC), re.sub("%-([md])", r"%\1", form)
    codes = set(re.findall("%(.?)", plain))
    if (
        not codes <= set("YymdbBHMSIpfz")
        or ("f" in codes and "S" not in codes)
        or ("z" in codes and not codes & {*"HI"})
    ):
        return False
    try:
        again = datetime.strptime(sample.strftime(plain), plain).replace(tzinfo=UTC)
    except (ValueError, re.error):
        return False
    return again in {sample, sample.replace(second=0), sample.replace(minute=0, second=0),
                     sample.replace(hour=0, minute=0, second=0)}  # fmt: skip


def check_columns(
    owner: Lined, fillable: tuple[str, ...], required: tuple[str, ...], several: dict[str, str]
) -> dict[str, tuple[str, ...]]:
    """``columns`` as target → columns of the file.

    ``several``: the targets that take more than one, and what becomes of those.
    """
    raw = owner["columns"]
    if not isinstance(raw, Lined):
        owner.fail(f"columns must be target: column pairs, found {raw!r}", "columns")
    for target, named in raw.items():
        if target not in fillable:
            raw.fail(f"columns: no such target {target!r}; known: {', '.join(fillable)}", target)
        if isinstance(named, list) and target not in several:
            takers = ", ".join(f"{name} {what} several" for name, what in several.items()) or "none takes several"
            raw.fail(f"columns: {target} takes one column; {takers}", target)
        if not named or not all(is_text(c) for c in (named if isinstance(named, list) else [named])):
            raw.fail(f"columns: {target} must name a column of the file, found {named!r}", target)
    for target in required:
        if target not in raw:
            raw.fail(f"columns: {target} is required")
    return {target: tuple(named) if isinstance(named, list) else (named,) for target, named in raw.items()}


def check_named(raw: Lined, names: tuple[str, ...], used: list[str]) -> None:
    """Where a file has no header, the columns that are used must be among ``column_names``."""
    if names and (unknown := [column for column in used if column not in names]):
        raw.fail(f"no column {', '.join(unknown)} among column_names: {', '.join(names)}", "column_names")
