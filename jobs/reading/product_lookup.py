"""The products of a source as of a day: its latest delivery up to then."""

from datetime import date

import pyarrow.compute as pc

from expectations.dimensions import PRODUCTS
from jobs.home import Home
from jobs.lake import RECIPE_FILE, LakeTable
from jobs.reading.mapping import Mapping
from jobs.reading.products import NO_PRODUCTS, Products


class ProductLookup:
    """Products by source and day; a delivery is read once for all days that use it. Not for threads to share."""

    def __init__(self, home: Home):
        self._home = home
        self._read: dict[tuple[str, date], Products] = {}

    def of(self, mapping: Mapping, day: date) -> Products:
        delivered = _latest(self._home, mapping, day)
        if delivered is None:
            return NO_PRODUCTS
        key = (mapping.source, delivered)
        if key not in self._read:
            self._read = {k: v for k, v in self._read.items() if k[0] != mapping.source}  # one delivery a source
            self._read[key] = self._load(*key)
        return self._read[key]

    def _load(self, source: str, delivered: date) -> Products:
        table = LakeTable(self._home, PRODUCTS)
        rows = table.read_arrow([delivered], ["source", "product_id", "category", "brand"])
        rows = rows.filter(pc.equal(rows["source"], source)).combine_chunks()
        columns = (rows[name].combine_chunks() for name in ("product_id", "category", "brand"))
        return Products(*columns, digest=recipe_of_day(table, delivered))


def products_digest(home: Home, mapping: Mapping, day: date) -> str:
    """What made the products that events of the day are looked up in; empty if there are none."""
    delivered = _latest(home, mapping, day)
    return recipe_of_day(LakeTable(home, PRODUCTS), delivered) if delivered else ""


def recipe_of_day(table: LakeTable, day: date) -> str:
    """What made the partition; its day where nothing says more."""
    recipe = table.folder(day) / RECIPE_FILE
    return recipe.read_text() if recipe.is_file() else str(day)


def _latest(home: Home, mapping: Mapping, day: date) -> date | None:
    """The day of the source's latest delivery of products up to ``day``."""
    dimension = next((d for d in mapping.dimensions if d.table == PRODUCTS.name), None)
    if dimension is None:
        return None
    table = LakeTable(home, PRODUCTS)
    if not dimension.is_daily:
        first = mapping.expected.first
        return first if day >= first and table.has(first) else None
    return next((d for d in reversed(table.days()) if d <= day and _speaks_of(table, d, mapping.source)), None)


def _speaks_of(table: LakeTable, day: date, source: str) -> bool:
    return source in pc.unique(table.read_arrow([day], ["source"])["source"]).to_pylist()
