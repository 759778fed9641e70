"""One thread for the libraries that add up: the same sums whatever the machine, and none that waits for another."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Holds OpenMP and BLAS to one thread. A library that is loaded within the block would know no limit: those whose
    threads matter here are loaded first.
    """
    import sklearn.cluster
    import sklearn.ensemble  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
