"""Which purchases are gifts, by the words of their product's name or category."""

import re
from datetime import date, timedelta

import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as ds

from expectations.behaviour import CUSTOMER_PRODUCT
from expectations.dimensions import PRODUCTS
from jobs.home import Home
from jobs.lake import LakeTable

WINDOW_DAYS = 180


def gift_lines(home: Home, day: date, words: tuple[str, ...]) -> pd.Series:
    """customer_key → purchase lines of gifts that arrived within WINDOW_DAYS up to and including ``day``."""
    table = LakeTable(home, CUSTOMER_PRODUCT)
    first = day - timedelta(days=WINDOW_DAYS - 1)
    files = [str(file) for one in table.days() if first <= one <= day for file in _files(table, one)]
    if not files or not words:
        return pd.Series(dtype="int64")
    pattern = _pattern(words)
    is_gift = pc.match_substring_regex(ds.field("category"), pattern, ignore_case=True)
    named = named_gifts(home, day, pattern)
    wanted = (is_gift | ds.field("product_id").isin(named)) if named else is_gift
    found = ds.dataset(files).to_table(columns=["customer_key", "purchase_count"], filter=wanted)
    lines = found.group_by("customer_key").aggregate([("purchase_count", "sum")])
    return lines.to_pandas().set_index("customer_key")["purchase_count_sum"]


def named_gifts(home: Home, day: date, pattern: str) -> list[str]:
    """Products whose name, as delivered by ``day``, is that of a gift."""
    table, found = LakeTable(home, PRODUCTS), set()
    for one in table.days():
        if one <= day:
            rows = table.read_arrow([one], ["product_id", "product_name"])
            match = pc.match_substring_regex(rows["product_name"], pattern, ignore_case=True)
            found |= set(rows["product_id"].filter(pc.fill_null(match, False)).to_pylist())
    return sorted(found)


def _pattern(words: tuple[str, ...]) -> str:
    return "|".join(map(re.escape, words))


def _files(table: LakeTable, day: date) -> list:
    return sorted(table.folder(day).glob("*.parquet"))
