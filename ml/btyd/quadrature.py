"""Means over a Beta distribution, by Gauss-Jacobi nodes (Golub and Welsch 1969): no series that overflow or cancel."""

from collections.abc import Callable

import numpy as np

NODES = 32
CHUNK = 1 << 15
"""Rows at once: with NODES, a few arrays of 8 MB."""


def beta_nodes(a: float, b: np.ndarray, nodes: int = NODES) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights, each (len(b), nodes), so that sum(weights * f(points)) is the mean of f under Beta(a, b).

    Eigenvalues of the Jacobi matrix and squares of the first elements of its eigenvectors; exact for polynomials of
    degree 2 * nodes - 1.
    """
    left, right = a - 1.0, np.asarray(b, dtype=np.float64)[:, None] - 1.0
    n = np.arange(nodes)[None, :]
    total = 2 * n + left + right
    # At n = 0 the general form is 0 / 0 where left + right = 0.
    middle = np.where(
        n == 0,
        (left - right) / (left + right + 2),
        (left**2 - right**2) / np.where(n == 0, 1.0, total * (total + 2)),
    )
    n, total = n[:, 1:], total[:, 1:]
    # At n = 1 a factor of both parts is 0 where left + right = -1.
    shared = np.where(n == 1, 1.0, (n + left + right) / np.where(n == 1, 1.0, total - 1))
    beside = np.sqrt(4 * n * (n + left) * (n + right) * shared / (total**2 * (total + 1)))
    matrix = np.zeros((len(right), nodes, nodes))
    at = np.arange(nodes)
    matrix[:, at, at] = middle
    matrix[:, at[1:], at[:-1]] = beside
    points, vectors = np.linalg.eigh(matrix)
    return np.clip((points + 1) / 2, 1e-300, 1.0), vectors[:, 0, :] ** 2


def beta_mean(a: float, b: np.ndarray, values: Callable[[np.ndarray, slice], np.ndarray]) -> np.ndarray:
    """(rows,): the mean of ``values(p, rows)`` under Beta(a, b of the row); p is (rows, nodes)."""
    distinct, place = np.unique(b, return_inverse=True)
    points, weights = beta_nodes(a, distinct)
    means = np.empty(len(b))
    for start in range(0, len(b), CHUNK):
        chosen = slice(start, start + CHUNK)
        at = place[chosen]
        means[chosen] = (weights[at] * values(points[at], chosen)).sum(axis=1)
    return means
