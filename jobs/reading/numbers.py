"""Texts of a source → numbers, and numbers → the exact decimals of the contract."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.reading.coded import Coded, bools, tidy

DECIMAL = pa.decimal128(18, 4)
LARGEST = 1e13
"""What a decimal(18,4) can hold."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_PLACES = 10_000


def read_numbers(column: Coded) -> tuple[np.ndarray, np.ndarray]:
    """(number of each row, NaN where there is none; rows where something stands that is no number)."""
    texts = tidy(column.values)
    is_number = pc.match_substring_regex(texts, _NUMBER)
    numbers = pc.if_else(is_number, texts, pa.scalar(None, pa.string())).cast(pa.float64())
    of_values = pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False)
    return column.of_rows(of_values, np.nan), column.where(bools(pc.invert(is_number)))


def to_decimal(numbers: np.ndarray | None, size: int) -> tuple[pa.Array, np.ndarray]:
    """(decimals rounded to four places, null for NaN; rows whose number is more than one can hold, null too)."""
    if numbers is None:
        return pa.nulls(size, DECIMAL), np.zeros(size, bool)
    fits = np.abs(numbers) < LARGEST
    too_large = ~fits & ~np.isnan(numbers)
    if not fits.all():
        numbers = np.where(fits, numbers, 0)
    # A decimal of 128 bits is its number of ten-thousandths in two's complement, the low half first.
    halves = np.empty((size, 2), np.int64)
    halves[:, 0] = np.rint(numbers * _PLACES)
    halves[:, 1] = halves[:, 0] >> 63
    valid = None if fits.all() else pa.py_buffer(np.packbits(fits, bitorder="little"))
    return pa.Array.from_buffers(DECIMAL, size, [valid, pa.py_buffer(halves)]), too_large


def price_of(amount: np.ndarray, quantity: np.ndarray) -> np.ndarray:
    """amount / quantity to four places; NaN for no items, or where it is more than a price can hold."""
    price = np.full(len(amount), np.nan)
    np.divide(amount, quantity, out=price, where=quantity >= 0.5 / _PLACES)
    price = np.rint(price * _PLACES) / _PLACES
    return np.where(np.abs(price) < LARGEST, price, np.nan)
