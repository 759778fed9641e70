"""Of sparse tables of scores, what counts of each row."""

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix, issparse


def strongest(scores: csr_matrix, n: int) -> csr_matrix:
    """Each row's ``n`` largest values above 0; of equals those of the earlier columns."""
    # Sums run in an order of their own on other machines; what that changes lies below these digits.
    strength, start = scores.data.round(12), scores.indptr
    kept = scores.data > 0
    for first, end in pairwise(start):
        if end - first > n:  # sorting all that is there would take most of the time
            kept[first:end] &= strength[first:end] >= np.partition(strength[first:end], -n)[-n]
    row = np.repeat(np.arange(scores.shape[0]), np.diff(start))[kept]
    col, data, strength = scores.indices[kept], scores.data[kept], strength[kept]
    order = np.lexsort((col, -strength, row))
    row, col, data = row[order], col[order], data[order]
    first_of_row = np.searchsorted(row, np.arange(scores.shape[0]))
    best = np.arange(len(row)) - first_of_row[row] < n
    return csr_matrix((data[best], (row[best], col[best])), shape=scores.shape)


def dense(scores: csr_matrix | np.ndarray) -> np.ndarray:
    return scores.toarray() if issparse(scores) else np.asarray(scores)


def without_diagonal(square: csr_matrix) -> csr_matrix:
    found = square.tocoo()
    other = found.row != found.col
    return csr_matrix((found.data[other], (found.row[other], found.col[other])), shape=square.shape)
