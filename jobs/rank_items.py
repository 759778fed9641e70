"""Rankers that `python -m ml rank` kept → lake/next_items: each customer's likeliest next products and categories."""

import argparse
import logging
from datetime import date
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURES
from expectations.errors import DataError
from expectations.next_items import NEXT_ITEMS
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from ml.ranking.ranker import Ranker

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("rank_items", __doc__)
    add_day(parser)
    parser.add_argument(
        "--ranker", required=True, action="append", metavar="RUN_ID", help="a run of `ml rank`; once a kind of item"
    )
    parser.add_argument(
        "--places",
        type=int,
        metavar="N",
        help="items a customer and kind (default: what the ranker is calibrated on)",
    )
    return parser


def main(args: argparse.Namespace) -> None:
    import pyarrow as pa

    from ml.rank import load_ranker

    home, day = Home.from_environment(args.home), args.ds
    keys = LakeTable(home, FEATURES).read_arrow([day], ["customer_key"])["customer_key"].to_numpy()
    rankers = {run_id: load_ranker(run_id, home.path) for run_id in args.ranker}
    if len({ranker.settings.kind for ranker in rankers.values()}) < len(rankers):
        raise DataError(
            "two of the runs ranked the same kind of item: name one --ranker for products, one for categories"
        )
    parts = [
        ranked(ranker, run_id, keys, day, args.places or ranker.settings.written, home)
        for run_id, ranker in rankers.items()
    ]
    LakeTable(home, NEXT_ITEMS).write_arrow(day, pa.concat_tables(parts))
    kinds = ", ".join(ranker.settings.kind for ranker in rankers.values())
    log.info("ranked what %s customers will buy next as of %s: %s", f"{len(keys):,}", day, kinds)


def ranked(ranker: "Ranker", run_id: str, keys: "np.ndarray", day: date, places: int, home: Home) -> "pa.Table":
    """Rows of NEXT_ITEMS of one kind."""
    import numpy as np
    import pyarrow as pa

    from ml.ranking.baskets import day_number, read_baskets

    baskets = read_baskets(ranker.settings.kind, day, home.path)
    items, probabilities = ranker.recommend(baskets, day_number(day), keys, places)
    listed = np.isfinite(probabilities).ravel()
    rank = np.tile(np.arange(1, places + 1, dtype=np.int32), len(keys))[listed]
    columns = {
        "customer_key": pa.array(np.repeat(keys, places)[listed], pa.string()),
        "snapshot_date": pa.repeat(pa.scalar(day), len(rank)),
        "kind": pa.repeat(ranker.settings.kind, len(rank)),
        "rank": rank,
        "item": pa.array(items.ravel()[listed], pa.string()),
        "probability": probabilities.ravel()[listed],
        "ranker_run": pa.repeat(run_id, len(rank)),
    }
    return pa.table({name: columns[name] for name in NEXT_ITEMS.column_names})
