"""Texts as 31-bit numbers, which sketches and models count and embed."""

import hashlib
from functools import lru_cache

import numpy as np
import pyarrow as pa

from jobs.reading.coded import Coded


@lru_cache(1 << 17)
def hash31(text: str) -> int:
    """The first 4 bytes of SHA-256 of the text in UTF-8, big-endian, with the top bit cleared."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


def hashes(texts: Coded) -> pa.Array:
    """The hash of each row's text, every distinct text hashed once. Null stays null."""
    of_values = np.fromiter(map(hash31, texts.values.to_pylist()), np.int32, len(texts.values))
    return pa.array(texts.of_rows(of_values, 0), mask=texts.is_null)
