"""Each customer's last order, foretold from what they bought on the days before it: the protocol of published numbers.

Li, Jullien, Ariannezhad, de Rijke 2023 and most of the literature on next baskets hold out the last order. Stricter
here: popularity is as of the week before, and earlier orders of the same day are not seen.
"""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.errors import DataError
from expectations.events import EVENTS
from ml.home import HomePath, partition_days
from ml.interactions import place_of
from ml.partitions import files_of
from ml.ranking.baskets import HISTORY_DAYS, Baskets, Targets
from ml.ranking.candidates import Candidates, candidates
from ml.ranking.evaluation import Tested, rankings, tested
from ml.ranking.facts import item_facts
from ml.ranking.ranker import Ranker

EARLIER_ORDERS = 3
"""Orders before the last that a customer must have."""
FACTS_EVERY_DAYS = 7


def on_last_orders(ranker: Ranker, baskets: Baskets, until: date, n: int, home: HomePath = None) -> Tested:
    """How rankings do on every customer's last order that arrived by ``until``."""
    targets, as_of = last_orders(baskets, until, home)
    history = baskets.where(
        (baskets.day <= as_of[baskets.customer])
        & (baskets.arrival <= as_of[baskets.customer])
        & (baskets.day > as_of[baskets.customer] - HISTORY_DAYS)
    )
    parts = []
    weeks = as_of // FACTS_EVERY_DAYS
    for week in np.unique(weeks[targets.customers]):
        day = int(week) * FACTS_EVERY_DAYS
        places = targets.customers[weeks[targets.customers] == week]
        facts = item_facts(baskets.as_of(day), day)
        found = candidates(
            history.of_customers(places), facts, as_of[places], ranker.settings.own, ranker.settings.popular
        )
        parts.append(Candidates(places[found.customer], found.item, found.features))
    found = _joined(parts)
    targets = targets.of_customers(np.unique(found.customer))
    owned = np.unique(history.purchases().pair)
    return tested(ranker, found, rankings(ranker, found), targets, owned, len(baskets.items), n)


def last_orders(baskets: Baskets, until: date, home: HomePath = None) -> tuple[Targets, np.ndarray]:
    """(the last orders, (customers,) the day before each; 0 for who has none) of those with EARLIER_ORDERS before."""
    rows = _purchases(until, home)
    place = place_of(baskets.customer_keys, rows["customer_key"].combine_chunks())
    order = np.unique(rows["order_id"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1]
    time = pc.cast(rows["event_time"], pa.int64()).to_numpy()
    day = pc.cast(rows["event_date"], pa.int32()).to_numpy()
    item = place_of(baskets.items, rows["product_id"].combine_chunks())
    known = (place >= 0) & (item >= 0)
    place, order, time, day, item = (values[known] for values in (place, order, time, day, item))
    by_time = np.lexsort((order, time, place))
    last = np.full(len(baskets.customer_keys), -1)
    last[place[by_time]] = order[by_time]
    orders = np.unique(place.astype(np.int64) << 32 | order) >> 32
    enough = np.bincount(orders, minlength=len(last)) > EARLIER_ORDERS
    chosen = (order == last[place]) & enough[place]
    pairs = np.unique(place[chosen] * len(baskets.items) + item[chosen])
    as_of = np.zeros(len(last), np.int64)
    as_of[place[chosen]] = day[chosen] - 1
    sizes = np.bincount(pairs // len(baskets.items), minlength=len(last))
    return Targets(pairs, sizes, len(baskets.items)), as_of


def _purchases(until: date, home: HomePath) -> pa.Table:
    columns = ["customer_key", "order_id", "product_id", "event_time", "event_date"]
    days, parts = [day for day in partition_days(EVENTS, home) if day <= until], []
    for part in files_of(EVENTS, days, [*columns, "event_type"], home):
        bought = pc.and_(pc.equal(part["event_type"], "purchase"), pc.is_valid(part["order_id"]))
        parts.append(part.filter(pc.and_(bought, pc.is_valid(part["product_id"]))).select(columns))
    rows = pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({name: [] for name in columns})
    if not len(rows):
        raise DataError("lake/events names no order of a product: there is no last order to foretell")
    return rows


def _joined(parts: list[Candidates]) -> Candidates:
    whole = [np.concatenate([getattr(part, name) for part in parts]) for name in ("customer", "item", "features")]
    order = np.lexsort((whole[1], whole[0]))
    return Candidates(*(values[order] for values in whole))
