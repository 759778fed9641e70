"""Work on the columns of a large file side by side: Arrow and NumPy compute without Python's lock."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
WORTH_ROWS = 100_000
"""Below so many rows threads cost more than they save; small files are read side by side by the day."""


def each(work: Callable[[A], B], items: Iterable[A], rows: int) -> list[B]:
    """``work`` of each item, in order; in threads if ``rows`` make it worth while."""
    items = list(items)
    if rows < WORTH_ROWS or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(len(items), os.cpu_count() or 1)) as pool:
        return list(pool.map(work, items))
