"""Folders to write in before something is put in place: gone afterwards, and what a killed writer left with them.

Whether a writer lives is asked of the kernel, by the lock it holds: another container that shares the home, or another
namespace of processes, knows it by no number.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "lock"


@contextmanager
def work_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder ``parent/PREFIX…`` that holds nothing but its writer's lock, after dead writers' have gone."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{prefix}*"):
        if _is_dead(left):
            shutil.rmtree(left, ignore_errors=True)
    name = f"{prefix}{uuid.uuid4().hex}"
    unseen, folder = parent / f".{name}", parent / name
    unseen.mkdir()
    with open(unseen / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(unseen, folder)  # it is seen from here on, locked: no other takes it for a dead one's
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _is_dead(folder: Path) -> bool:
    try:
        with open(folder / LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True
