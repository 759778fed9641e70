"""Made-up baskets: rows written by hand, and shoppers whose staples come due."""

import numpy as np

from ml.ranking.baskets import Baskets
from ml.ranking.ranker import RankerSettings

SMALL = RankerSettings(own=20, popular=5, horizon_days=14, judged_at=3, written=3, trees=8, leaf_rows=20, negatives=0.5)
TRAIN, VALID, TEST = [60, 82], 100, 116


def made(rows: list[tuple], customers=None, items=None) -> Baskets:
    """rows: (customer, item, day) and, where they differ, (…, arrival, bought, intents); groups: first letters."""
    rows = [(*row, *(row[2], True, 0.0)[len(row) - 3 :]) for row in rows]
    who, what, day, arrival, bought, intents = (np.array(part) for part in zip(*rows, strict=True))
    customers = np.array(customers or sorted(set(who)), dtype=object)
    items = np.array(items or sorted(set(what)), dtype=object)
    groups = np.array(sorted({item[0] for item in items}), dtype=object)
    customer, item = (np.searchsorted(k.astype(str), v).astype(np.int32) for k, v in ((customers, who), (items, what)))
    group = np.searchsorted(groups.astype(str), [text[0] for text in what]).astype(np.int32)
    price = np.ones(len(day), np.float32)
    numbers = day.astype(np.int32), arrival.astype(np.int32), bought.astype(bool), intents.astype(np.float32), price
    order = np.lexsort((arrival, day, item, customer))
    return Baskets(customers, items, groups, customer, item, group, *numbers).where(order)


def shoppers(customers=100, days=135, seed=0) -> list[tuple]:
    """Everybody has three staples with rhythms of their own, which frequency cannot tell: due again after some days."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(customers):
        staples = rng.choice(40, 6, replace=False)
        gaps = rng.choice([3, 6, 12, 24], 6)
        begin = rng.integers(0, gaps)
        rows += [
            (f"c{n:03}", f"{'ab'[item % 2]}{item:02}", int(day))
            for item, gap, first in zip(staples, gaps, begin, strict=True)
            for day in range(first, days, gap)
        ]
    return rows
