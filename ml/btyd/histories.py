"""What models of repeat buying read of a customer: how often, how recently and since when; equal ones counted once."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Histories:
    """Rows (x, t_x, T) in the notation of Fader, Hardie and Lee (2005); times in one unit, e.g. weeks.

    x        (rows,) repeat purchases: days with a purchase after the first
    t_x      (rows,) from the first purchase to the last
    age      (rows,) T, from the first purchase to the cutoff
    weights  (rows,) customers who share the row
    """

    x: np.ndarray
    t_x: np.ndarray
    age: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, t_x: np.ndarray, age: np.ndarray) -> "Histories":
        """One row a customer."""
        x, t_x, age = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (x, t_x, age))
        if not (np.all(x >= 0) and np.all(t_x >= 0) and np.all(t_x <= age)):
            raise ValueError("histories need x >= 0 and 0 <= t_x <= T")
        return cls(x, t_x, age, np.ones(len(x)))

    def __len__(self) -> int:
        return len(self.x)

    def unique(self) -> tuple["Histories", np.ndarray]:
        """Distinct rows with their weights, and the place of every row among them: a million customers are few rows."""
        values, codes = [], np.zeros(len(self), dtype=np.int64)
        for column in (self.x, self.t_x, self.age):
            distinct, place = np.unique(column, return_inverse=True)
            values.append(distinct)
            codes = codes * len(distinct) + place
        kept, place = np.unique(codes, return_inverse=True)
        columns = []
        for distinct in reversed(values):
            columns.append(distinct[kept % len(distinct)])
            kept = kept // len(distinct)
        age, t_x, x = columns
        return Histories(x, t_x, age, np.bincount(place, self.weights, len(x))), place

    def rows(self, chosen: slice) -> "Histories":
        return Histories(self.x[chosen], self.t_x[chosen], self.age[chosen], self.weights[chosen])
