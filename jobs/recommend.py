"""Purchases and segments → lake/recommendations: products to show each customer; recommendation_quality beside it."""

import argparse
import logging
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING

from expectations.behaviour import CUSTOMER_PRODUCT
from expectations.dimensions import PRODUCTS
from expectations.lifecycle import LIFECYCLE_STAGES
from expectations.offers import RECOMMENDATION_QUALITY, RECOMMENDATIONS
from expectations.segments import CUSTOMER_SEGMENTS, VALUE_TIERS
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.profiles.product_names import product_names
from jobs.recipes import code_of, days_of
from jobs.settings import load_settings

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from ml.ranking.baskets import Baskets
    from ml.recommending.blend import Blend
    from ml.recommending.strategies import Lists

log = logging.getLogger(__name__)

CUSTOMERS_AT_ONCE = 20_000
"""Customers whose candidates are in memory at a time, about a gigabyte."""
STRATEGY_NAMES = ("likeliest", "repeat", "new_arrivals", "premium", "popular")
"""As in ml.recommending.strategies, which a parser of arguments must not import."""


@dataclass(frozen=True)
class RecommendationSettings:
    """Section ``recommendations``. Each lifecycle stage has a strategy; that of a value tier, if there is one, holds.

    places           products a customer
    horizon_days     a next basket counts if it comes within so many days
    learn_customers  customers whose next baskets are learnt from and judged on, at most
    never            product ids that are no products and neither learnt from nor shown, numbers in quotes; of Online
                     Retail: [POST, DOT, M, D, C2, "BANK CHARGES"], postage, carriage, manual entries, discounts, fees
    """

    places: int = 10
    horizon_days: int = 28
    learn_customers: int = 1_000
    never: tuple[str, ...] = ()
    prospect: str = "popular"
    new: str = "likeliest"
    active: str = "likeliest"
    loyal: str = "likeliest"
    dormant: str = "likeliest"
    reactivated: str = "likeliest"
    churned: str = "popular"
    top_tier: str = ""
    high_tier: str = ""
    medium_tier: str = ""
    low_tier: str = ""

    def __post_init__(self) -> None:
        if not (1 <= self.places <= 100 and self.horizon_days >= 1 and self.learn_customers >= 0):
            raise ValueError("places must lie in 1 … 100, horizon_days be 1 or more, learn_customers 0 or more")
        for field in fields(self):
            value = getattr(self, field.name)
            if (
                isinstance(value, str)
                and value not in STRATEGY_NAMES
                and not (field.name.endswith("_tier") and not value)
            ):
                raise ValueError(f"{field.name}: no strategy {value!r}; known: {', '.join(STRATEGY_NAMES)}")


DESCRIPTIONS = {
    "places": ("products", "so many products are recommended to a customer"),
    "horizon_days": ("days", "a next basket counts if it comes within so many days"),
    "learn_customers": ("customers", "customers whose next baskets lists are learnt from and judged on, at most"),
    "never": ("word", "product ids that are no products, neither learnt from nor shown"),
    **{stage: ("word", f"strategy of lists of stage {stage}") for stage in LIFECYCLE_STAGES},
    **{f"{tier}_tier": ("word", f"strategy of lists of tier {tier}, whatever the stage; empty: that of the stage")
       for tier in VALUE_TIERS},
}  # fmt: skip
"""Setting → (unit, meaning), as segment_settings shows them."""


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("recommend", __doc__)
    add_day(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.threads import one_thread

    home, day = Home.from_environment(args.home), args.ds
    settings = load_settings(home, "recommendations", RecommendationSettings)
    columns = ["customer_key", "lifecycle_stage", "value_tier"]
    customers = LakeTable(home, CUSTOMER_SEGMENTS).read_arrow([day], columns)
    with one_thread():
        rows, quality = recommended(home, day, customers, settings)
    made = recipe(home)
    LakeTable(home, RECOMMENDATIONS).write_arrow(day, rows, made)
    LakeTable(home, RECOMMENDATION_QUALITY).write_arrow(day, quality, made)
    shipped = quality.filter(quality["is_shipped"])["ranking"].to_pylist()
    log.info("recommended %s: %s rows by %s", day, f"{len(rows):,}", *shipped or ["personal frequency"])


def recipe(home: Home) -> str:
    """What makes a day's recommendations, beside the tables they are read from."""
    code = code_of(__name__, "jobs.profiles.product_names", "ml.recommending", "ml.ranking")
    return recipe_of(RECOMMENDATIONS, code, load_settings(home, "recommendations", RecommendationSettings))


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day's lists were made by today's code and settings, after all that they were read from."""
    inputs = [(LakeTable(home, CUSTOMER_SEGMENTS), day)]
    inputs += [one for table in (CUSTOMER_PRODUCT, PRODUCTS) for one in days_of(LakeTable(home, table), None, day)]
    tables = (LakeTable(home, table) for table in (RECOMMENDATIONS, RECOMMENDATION_QUALITY))
    return all(table.is_fresh(day, recipe(home), inputs) for table in tables)


def strategies_of(customers: "pa.Table", settings: RecommendationSettings) -> "np.ndarray":
    """(customers,) name of the strategy of each."""
    import numpy as np

    stages, tiers = (customers[name].to_pylist() for name in ("lifecycle_stage", "value_tier"))
    by_stage = {stage: getattr(settings, stage) for stage in LIFECYCLE_STAGES}
    return np.array(
        [getattr(settings, f"{tier}_tier") or by_stage[stage] for stage, tier in zip(stages, tiers, strict=True)],
        dtype=object,
    )


def recommended(
    home: Home, day: date, customers: "pa.Table", settings: RecommendationSettings
) -> "tuple[pa.Table, pa.Table]":
    """Rows of RECOMMENDATIONS and of RECOMMENDATION_QUALITY; none where no event names a product."""
    import numpy as np
    import pyarrow as pa

    from jobs.schemas import arrow_schema
    from ml.ranking.baskets import NamesNothing, day_number, read_baskets
    from ml.recommending.blend import learn
    from ml.recommending.candidates import offered
    from ml.recommending.sources import Scene, SourceSettings
    from ml.recommending.strategies import lists
    from ml.recommending.wares import read_wares

    try:
        baskets = read_baskets("product", day, home.path)
    except NamesNothing as error:
        log.warning("nothing is recommended on %s: %s", day, error)
        return arrow_schema(RECOMMENDATIONS).empty_table(), arrow_schema(RECOMMENDATION_QUALITY).empty_table()
    baskets = baskets.where(~np.isin(baskets.items.astype(str), settings.never)[baskets.item])
    number, of_sources, names = day_number(day), SourceSettings(), product_names(home, day)
    wares = read_wares(baskets.items, names, day, home.path)
    blend = learn(baskets, number, settings.horizon_days, settings.places, settings.learn_customers, of_sources, wares)
    keys = customers["customer_key"].to_numpy()
    baskets, place = baskets.with_customers(keys)
    scene, order = Scene.of(baskets, number, of_sources, wares), np.argsort(place, kind="stable")
    named = np.array([names.get(item) for item in baskets.items], dtype=object)
    strategy, parts = strategies_of(customers, settings), []
    for first in range(0, len(order), CUSTOMERS_AT_ONCE):
        some = order[first : first + CUSTOMERS_AT_ONCE]
        found = offered(scene, place[some], number)
        chosen = lists(scene, blend, found, place[some], strategy[some], settings.places)
        parts.append(_rows(chosen, baskets, named, keys[some], strategy[some], scene.facts.group, day))
    return pa.concat_tables(parts), _quality(blend, day)


def _rows(
    chosen: "Lists",
    baskets: "Baskets",
    named: "np.ndarray",
    keys: "np.ndarray",
    strategy: "np.ndarray",
    group: "np.ndarray",
    day: date,
) -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    groups = np.append(baskets.groups, [None])  # -1: no category
    columns = {
        "snapshot_date": pa.repeat(pa.scalar(day), len(chosen.item)),
        "customer_key": pa.array(keys[chosen.customer], pa.string()),
        "rank": chosen.rank,
        "product_id": pa.array(baskets.items[chosen.item], pa.string()),
        "product_name": pa.array(named[chosen.item], pa.string()),
        "category": pa.array(groups[group[chosen.item]], pa.string()),
        "probability": pa.array(chosen.probability.round(6), from_pandas=True),
        "reason": pa.array(chosen.reason, pa.string()),
        "is_repeat": chosen.owned,
        "strategy": pa.array(strategy[chosen.customer], pa.string()),
    }
    return pa.table({name: columns[name] for name in RECOMMENDATIONS.column_names})


def _quality(blend: "Blend", day: date) -> "pa.Table":
    import math

    import pyarrow as pa

    from jobs.schemas import arrow_schema

    def ends(name: str, values: tuple[float, float, float]) -> dict[str, float | None]:
        told = zip((name, f"{name}_low", f"{name}_high"), values, strict=True)
        return {key: None if math.isnan(value) else round(value, 6) for key, value in told}

    rows = [
        {
            "snapshot_date": day, "ranking": row.ranking, "is_shipped": row.ranking == blend.ships,
            **ends("recall", row.recall), **ends("gain", row.gain), "coverage": round(row.coverage, 6),
            "novelty": round(row.novelty, 6), "repeat_share": round(row.repeat_share, 6),
        }
        for row in blend.rows
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, arrow_schema(RECOMMENDATION_QUALITY))
