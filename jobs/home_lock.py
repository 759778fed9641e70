"""Having a home alone: for the few commands that no other may run beside."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from expectations.errors import UnavailableError
from jobs.home import Home
from ml.home import lock_file


@contextmanager
def home_alone(home: Home, wait_s: float) -> Iterator[None]:
    """No job begins within; UnavailableError if those that run have not ended within ``wait_s`` seconds."""
    deadline = time.monotonic() + wait_s
    with open(lock_file(home.path), "a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        f"jobs have worked on {home.path} for {wait_s:.0f} s: pause the DAGs, then run it again"
                    ) from error
                time.sleep(0.5)
        yield
