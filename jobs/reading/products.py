"""What the delivered products say of an event's product: its category and brand where the event does not."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from jobs.reading.coded import Coded


@dataclass(frozen=True)
class Products:
    """Products of one source as of a day. ``digest`` names the delivery; it is empty where the shop delivers none."""

    product_id: pa.Array
    category: pa.Array
    brand: pa.Array
    digest: str = ""

    @cached_property
    def _place(self) -> dict[str, int]:
        return {one: place for place, one in enumerate(self.product_id.to_pylist())}

    @cached_property
    def _filling(self) -> dict[str, Coded]:
        return {"category": Coded.of(self.category), "brand": Coded.of(self.brand)}

    def fill(self, texts: dict[str, Coded]) -> np.ndarray:
        """Fills category and brand in ``texts``; returns the rows whose product is not one of these."""
        ids = texts["product_id"]
        if not self.digest:
            return np.zeros(len(ids), bool)
        place = np.fromiter((self._place.get(one, -1) for one in ids.values.to_pylist()), np.int64, len(ids.values))
        for name, known in self._filling.items():
            # Codes of the distinct products first, then of the rows: no text is touched row by row.
            of_products = np.where(place < 0, -1, np.append(known.codes, -1)[place]).astype(np.int32)
            texts[name] = texts[name].or_else(Coded(ids.of_rows(of_products, -1), known.values).compact())
        return ids.where(place < 0)


_NONE = pa.array([], pa.string())
NO_PRODUCTS = Products(_NONE, _NONE, _NONE)
