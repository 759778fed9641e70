"""Texts that are nearly equal, found without comparing all with all: MinHash (Broder 1997) in bands."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

LETTERS = 5
"""Length of the groups of letters that a text is told by."""
BANDS, ROWS = 8, 4
"""Texts are compared if a band of hashes is equal: of those that share .8 of their groups, 98 % are."""
CHUNK_TEXTS = 50_000

_NOISE = re.compile(r"[\W_]+")


def normalised(text: str) -> str:
    """Letters and digits alone, small, with one space between words."""
    return _NOISE.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def near_groups(texts: Sequence[str], similarity: float) -> np.ndarray:
    """(texts,) numbers of groups: two texts that share ``similarity`` of their groups of letters are of one.

    ``texts``: normalised, none twice. The share is estimated by BANDS × ROWS hashes; groups are chained.
    """
    if not len(texts):
        return np.empty(0, np.int64)
    hashes = np.concatenate([_min_hashes(texts[n : n + CHUNK_TEXTS]) for n in range(0, len(texts), CHUNK_TEXTS)])
    pairs = [_pairs(hashes, slice(band * ROWS, (band + 1) * ROWS), similarity) for band in range(BANDS)]
    one, other = np.concatenate(pairs, axis=1)
    edges = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(texts), len(texts)))
    return connected_components(edges, directed=False)[1]


def _pairs(hashes: np.ndarray, band: slice, similarity: float) -> np.ndarray:
    """(2, pairs): texts equal in the band, each with the first of them, that are as similar."""
    _, first, bucket = np.unique(hashes[:, band], axis=0, return_index=True, return_inverse=True)
    leader = first[bucket.ravel()]
    others = np.flatnonzero(leader != np.arange(len(hashes)))
    alike = (hashes[others] == hashes[leader[others]]).mean(axis=1) >= similarity
    return np.stack([leader[others][alike], others[alike]])


def _min_hashes(texts: Sequence[str]) -> np.ndarray:
    """(texts, BANDS × ROWS) uint32: the smallest of each hash function over the text's groups of letters."""
    padded = [text.ljust(LETTERS) for text in texts]
    letters = np.frombuffer("".join(padded).encode("utf-32-le"), np.uint32).astype(np.uint64)
    length = np.array([len(text) for text in padded])
    start = np.cumsum(length) - length
    groups = np.zeros(len(letters) - LETTERS + 1, np.uint64)
    for n in range(LETTERS):
        groups = groups * np.uint64(1_000_003) + letters[n : n + len(groups)]
    inside = np.ones(len(letters), bool)  # a group that would reach into the next text is none
    for n in range(1, LETTERS):
        inside[start + length - n] = False
    groups, places = groups[inside[: len(groups)]], np.cumsum(length - LETTERS + 1) - (length - LETTERS + 1)
    odd = np.random.default_rng(0).integers(1, 1 << 62, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    mixed = groups ^ (groups >> np.uint64(29))
    return np.column_stack([
        np.minimum.reduceat(((mixed * factor) >> np.uint64(32)).astype(np.uint32), places) for factor in odd
    ])  # fmt: skip
