"""Names of products, as the shop's latest delivery has them."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from expectations.dimensions import PRODUCTS
from jobs.home import Home
from jobs.lake import LakeTable


def product_names(home: Home, day: date) -> dict[str, str]:
    """product_id → name, of each source its latest delivery up to ``day``; empty where the shop names none."""
    table, seen, names = LakeTable(home, PRODUCTS), set(), {}
    for delivered in reversed([one for one in table.days() if one <= day]):
        rows = table.read_arrow([delivered], ["source", "product_id", "product_name"])
        known = pa.array(sorted(seen), pa.string())
        rows = rows.filter(pc.and_(pc.invert(pc.is_in(rows["source"], known)), pc.is_valid(rows["product_name"])))
        names = dict(zip(rows["product_id"].to_pylist(), rows["product_name"].to_pylist(), strict=True)) | names
        seen |= set(pc.unique(rows["source"]).to_pylist())
        if seen >= set(home.sources):
            break
    return names
