"""What a feed says of its files must be able to work: their paths, text and times. SetupError with the line if not."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from jobs.reading.yaml_lines import Lined


def check_files(feed: Lined) -> None:
    """Each day must have a file of its own, within the landing folder."""
    days, files = [date(2023, 1, 1) + timedelta(n) for n in range(800)], feed["files"]
    try:
        named = {files.format(ds=day) for day in days}
    except (LookupError, ValueError, AttributeError, TypeError):
        feed.fail(f"files: {files!r} holds a placeholder that is not {{ds}}, the day", "files")
    if len(named) < len(days):
        feed.fail(f"files: {files!r} must hold {{ds}}, so that each day has a file of its own", "files")
    if Path(files).is_absolute() or ".." in Path(files).parts:
        feed.fail(f"files: {files!r} must be a path below the landing folder", "files")


def check_text(feed: Lined) -> None:
    """A delimiter that CSV parsers take, and an encoding whose lines can be split before they are decoded."""
    delimiter, encoding = feed.get("delimiter", ","), feed.get("encoding", "utf-8")
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        feed.fail(f"delimiter must be one ASCII character, no quote or line break, found {delimiter!r}", "delimiter")
    ascii_bytes = bytes(range(128))
    try:
        fits = ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
    except (LookupError, ValueError):
        fits = False
    if not fits:
        feed.fail(f"encoding {encoding!r} is unknown or does not write a line break as the byte 10", "encoding")


def check_times(feed: Lined) -> None:
    """Each format must say which day it is."""
    for form in feed["time_formats"]:
        if not _says_a_day(form):
            feed.fail(
                f"time_formats: {form!r} must say a day by %Y %y %m %d %b %B (%-m, %-d) and may say a time of it by "
                "%H %M %S, or %I with %p",
                "time_formats",
            )


def _says_a_day(form: str) -> bool:
    """Whether a time comes back, as far as it is written, when the format writes and reads it."""
    sample, plain = datetime(2001, 2, 3, 16, 5, 6, tzinfo=UTC), re.sub("%-([md])", r"%\1", form)
    if not set(re.findall("%(.?)", plain)) <= set("YymdbBHMSIp"):
        return False
    try:
        again = datetime.strptime(sample.strftime(plain), plain).replace(tzinfo=UTC)
    except ValueError:
        return False
    return again in {sample, sample.replace(second=0), sample.replace(minute=0, second=0),
                     sample.replace(hour=0, minute=0, second=0)}  # fmt: skip
