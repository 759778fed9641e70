"""A column of texts as codes into its distinct values: whatever is asked of a text is asked once per distinct text."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Coded:
    """``codes[row]`` is the place of the row's text in ``values``, -1 for null. Values are distinct and not null."""

    codes: np.ndarray
    values: pa.Array

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array) -> "Coded":
        """From texts, or from a dictionary of them."""
        if isinstance(column, pa.ChunkedArray):
            column = column.unify_dictionaries().combine_chunks()
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        return cls(codes.astype(np.int32, copy=False), encoded.dictionary)

    @classmethod
    def constant(cls, value: str | None, size: int) -> "Coded":
        """``size`` rows of one text; of null for an empty one."""
        return cls(np.full(size, 0 if value else -1, np.int32), pa.array([value] if value else [], pa.string()))

    def mapped(self, change: Callable[[pa.Array], pa.Array]) -> "Coded":
        """Each value changed; two may become one, and one null."""
        encoded = change(self.values).dictionary_encode()
        new = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        if len(encoded.dictionary) == len(self.values):
            return Coded(self.codes, encoded.dictionary)
        return Coded(self.of_rows(new, -1), encoded.dictionary)

    def of_rows(self, of_values: np.ndarray, of_null: object) -> np.ndarray:
        """What is known of each value, handed to its rows."""
        return np.append(of_values, np.array([of_null]).astype(of_values.dtype))[self.codes]

    def where(self, of_values: np.ndarray) -> np.ndarray:
        """The rows whose value is one of those in the mask."""
        return self.of_rows(of_values, False) if of_values.any() else np.zeros(len(self), bool)

    @property
    def is_null(self) -> np.ndarray:
        return self.codes < 0

    def or_else(self, other: "Coded") -> "Coded":
        """``other`` where this one is null."""
        if not len(self.values):
            return other
        if not len(other.values):
            return self
        both = pa.concat_arrays([self.values, other.values]).dictionary_encode()
        place = both.indices.to_numpy().astype(np.int32)
        theirs = other.of_rows(place[len(self.values) :], -1)
        return Coded(np.where(self.is_null, theirs, self.codes), both.dictionary)

    def compact(self) -> "Coded":
        """Without the values that no row has."""
        used = np.zeros(len(self.values) + 1, bool)
        used[self.codes] = True  # -1 marks the last, which stands for null
        if used[:-1].all():
            return self
        new = np.where(used, np.cumsum(used) - 1, -1).astype(np.int32)
        new[-1] = -1
        return Coded(new[self.codes], self.values.filter(pa.array(used[:-1])))

    def arrow(self) -> pa.DictionaryArray:
        indices = pa.array(self.codes, mask=self.is_null)
        return pa.DictionaryArray.from_arrays(indices, self.values, safe=False)


def joined(parts: list[Coded]) -> Coded:
    """A path of the parts that are there, parted by dots; a dot within a part becomes a blank."""
    if len(parts) == 1:
        return parts[0]
    texts = [pc.replace_substring(part.values, ".", " ") for part in parts]
    texts = [each.take(pa.array(part.codes, mask=part.is_null)) for each, part in zip(texts, parts, strict=True)]
    # Arrow leaves out rows of which every part is skipped: an empty part of all keeps them.
    path = pc.binary_join_element_wise("", *texts, ".", null_handling="skip")
    return Coded.of(path).mapped(lambda values: tidy(pc.utf8_slice_codeunits(values, 1)))


def tidy(texts: pa.Array) -> pa.Array:
    """Blanks around a text taken off, and null characters, which no database takes; nothing but blanks is null."""
    if pc.any(pc.match_substring(texts, "\0")).as_py():
        texts = pc.replace_substring(texts, "\0", "")
    return blank_to_null(pc.utf8_trim_whitespace(texts))


def blank_to_null(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def bools(mask: pa.Array) -> np.ndarray:
    """A mask as NumPy booleans, null counting as False."""
    return pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
