"""Python, its packages, the disk and the clock of this machine."""

import os
import re
import shutil
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from expectations.errors import SetupError
from expectations.version import REPOSITORY
from jobs.health.finding import Doubt
from jobs.home import Home

PYTHON = (3, 11)
LOCK = REPOSITORY / "requirements-jobs.lock"
AIRFLOW_LOCK = REPOSITORY / "requirements-airflow.lock"
COPIES = 3
"""What a day takes for each byte of its partitions: the lake's, the warehouse's with its indexes, and logs."""
LEAST_DAYS, SAFE_DAYS = 2, 14
SLACK_S = 2.0


def python(home: Home) -> str:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] != PYTHON:
        raise SetupError(f"{sys.executable} is Python {found}, 3.11 is needed: `make env`, then LIFESTAGE_PYTHON")
    return f"{found}, {sys.executable}"


def packages(home: Home) -> str:
    return _compared(LOCK, [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")])


def airflow_packages(home: Home) -> str:
    folders = [*(REPOSITORY / ".venv-airflow").glob("lib/python*/site-packages")]
    if not folders:
        return "no .venv-airflow beside the code: Airflow runs elsewhere"
    return _compared(AIRFLOW_LOCK, folders)


def _compared(lock: Path, folders: list[Path]) -> str:
    """Every package of the lock as installed; SetupError with the first that are not.

    By the names of their metadata's folders, which takes no time, whosever environment it is.
    """
    if not lock.is_file():
        raise Doubt(f"{lock} is missing: nothing says which versions belong here")
    wanted = dict(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)", lock.read_text(), re.MULTILINE))
    # A build's mark, such as +cpu, says for which machine it was made, not another version.
    pairs = (path.name.removesuffix(".dist-info").rsplit("-", 1) for f in folders for path in f.glob("*.dist-info"))
    installed = {_plain(name): number.partition("+")[0] for name, number in pairs}
    found = {name: installed.get(_plain(name)) for name in wanted}
    other = {name: found[name] for name, number in wanted.items() if found[name] != number.partition("+")[0]}
    if other:
        shown = [f"{name} {found or 'is missing'}, not {wanted[name]}" for name, found in sorted(other.items())]
        more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
        raise SetupError(f"{'; '.join(shown[:5])}{more}: `make env` installs what {lock.name} says")
    return f"{len(wanted)} as {lock.name} says"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def disk(home: Home) -> str:
    """Free bytes against what the newest day of every table takes."""
    free, day = shutil.disk_usage(_existing(home.path)).free, COPIES * newest_day_bytes(home.lake)
    shown = f"{_size(free)} free"
    if not day:
        if free < 2**30:
            raise Doubt(f"{shown}, and no day is in the lake yet to reckon by: give it some GB")
        return f"{shown}; no day is in the lake yet"
    says = f"{shown}, a day takes about {_size(day)}: {min(free // day, 9999):,} days"
    mend = "make room: older task logs, `publish: {keep_days: N}` in settings.yaml, a larger disk"
    if free < LEAST_DAYS * day:
        raise SetupError(f"{says}; {mend}")
    if free < SAFE_DAYS * day:
        raise Doubt(f"{says}; {mend}")
    return says


def newest_day_bytes(lake: Path) -> int:
    """Bytes of the newest partition of every table."""
    newest = [max(found) for table in lake.glob("[!_]*") if (found := [d for d in table.glob("*=*") if d.is_dir()])]
    return sum(file.stat().st_size for folder in newest for file in folder.rglob("*") if file.is_file())


def _size(count: int) -> str:
    power = max(0, min(4, (count.bit_length() - 1) // 10))
    return f"{count / 1024**power:.{min(power, 1)}f} {('B', 'KB', 'MB', 'GB', 'TB')[power]}"


def file_clock(home: Home) -> str:
    """What is up to date is told by the times of files: another machine's disk has a clock of its own."""
    before = time.time()
    with tempfile.NamedTemporaryFile(dir=_existing(home.path)) as file:
        file.write(b"now")
        file.flush()
        ahead = os.stat(file.name).st_mtime - before
    if abs(ahead) > SLACK_S:
        raise Doubt(f"the home's disk is {ahead:+.1f} s off this machine: let both follow one time server (chrony)")
    return "the home's disk and this machine agree"


def time_zone(home: Home) -> str:
    name, at = os.environ.get("LIFESTAGE_TIMEZONE") or "UTC", os.environ.get("LIFESTAGE_DAILY_AT") or "00:00"
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SetupError(f"LIFESTAGE_TIMEZONE={name!r} names no time zone: give one such as Europe/Berlin") from error
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", at):
        raise SetupError(f"LIFESTAGE_DAILY_AT={at!r} is no time of day: give HH:MM, such as 03:00")
    return f"days end at midnight in {name}; the daily run starts at {at}"


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
