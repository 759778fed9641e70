"""Where a shop's home keeps what models read and write."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from expectations.contract import Table
from expectations.errors import SetupError, UnavailableError
from expectations.version import REPOSITORY

HomePath = str | os.PathLike | None


def home_folder(home: HomePath = None) -> Path:
    """``home``, else LIFESTAGE_HOME, else ``.lifestage`` beside the code."""
    return Path(home or os.environ.get("LIFESTAGE_HOME") or REPOSITORY / ".lifestage").expanduser().resolve()


def partition_folder(table: Table, day: date, home: HomePath = None) -> Path:
    """The lake's folder of the table's partition of ``day``; it need not exist."""
    return home_folder(home) / "lake" / table.folder(day)


def partition_days(table: Table, home: HomePath = None) -> list[date]:
    """The days whose partitions hold a file, in order."""
    prefix = f"{table.partition}="
    files = (home_folder(home) / "lake" / table.name).glob(f"{prefix}*/*.parquet")
    return sorted({date.fromisoformat(file.parent.name.removeprefix(prefix)) for file in files})


def written_at(table: Table, day: date, home: HomePath = None) -> int:
    """When the partition of ``day``, which must exist, was put in place, in nanoseconds since 1970."""
    return partition_folder(table, day, home).stat().st_mtime_ns


def switching_file(home: HomePath = None) -> Path:
    """Is there while the customer key of everything in the home is being changed."""
    return home_folder(home) / "rekey" / "switching"


def restoring_file(home: HomePath = None) -> Path:
    """Is there while a backup is being put into the home."""
    return home_folder(home) / "restoring"


def refuse_half_restored(home: HomePath = None) -> None:
    """SetupError where a restore was cut short: what is there is of two homes."""
    if restoring_file(home).exists():
        raise SetupError(f"a restore of {home_folder(home)} was cut short: run it again")


@contextmanager
def shared_home(home: HomePath = None) -> Iterator[None]:
    """Holds the home together with other commands, against the one that needs it alone.

    UnavailableError while that one has it, SetupError where it was cut short. The lock is the kernel's: it goes with
    the process. A home that is not there, or that we may not write, is nobody's.
    """
    try:
        lock = open(lock_file(home), "a")  # noqa: SIM115 - a failure to open is no failure
    except OSError:
        yield
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnavailableError(
                f"rekey or restore has the home {home_folder(home)} to itself: try again later"
            ) from error
        refuse_half_restored(home)
        if switching_file(home).exists():
            raise SetupError(
                f"a change of the customer key of {home_folder(home)} was cut short: run `python -m jobs rekey` again"
            )
        yield


def lock_file(home: HomePath = None) -> Path:
    """What commands that work on the home hold together, and `rekey` (while it switches) and `restore` alone."""
    return home_folder(home) / "run" / "home.lock"


def shop_name(home: HomePath = None) -> str:
    """The shop whose home this is, marked if its data are simulated; SetupError if the home was never set up."""
    file = home_folder(home) / "shop.json"
    if not file.exists():
        raise SetupError(f"{file.parent} holds no shop yet: run `python -m jobs setup --source NAME` first")
    shop = json.loads(file.read_text())
    return f"{shop['shop']} (simulated)" if shop["simulated"] else shop["shop"]


def tracking_uri(home: HomePath = None) -> str:
    """MLflow's address: MLFLOW_TRACKING_URI, else what setup wrote into the home; SetupError if there is neither."""
    file = home_folder(home) / "mlflow" / "tracking_uri"
    uri = os.environ.get("MLFLOW_TRACKING_URI") or (file.read_text().strip() if file.exists() else "")
    if not uri:
        raise SetupError(
            f"no MLflow address: neither MLFLOW_TRACKING_URI nor {file} says one. "
            "Run `python -m jobs setup --source NAME` first"
        )
    return uri


def artifact_root(home: HomePath = None) -> str:
    """Where models and plots lie, as a URI: a home's path may hold spaces."""
    return (home_folder(home) / "mlflow" / "artifacts").as_uri()
