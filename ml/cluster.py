"""Compares ways to cluster a day's customers: every method and number of clusters, judged side by side.

Printed: silhouette (higher is better), Calinski–Harabasz (higher), Davies–Bouldin (lower), stability, the mean adjusted
Rand index between bootstrap fits, and the smallest cluster's share. Everybody is put into the nearest centre, as the
daily clusters are. What the rule chooses for each method is marked. Nothing is kept.
"""

import argparse
from datetime import date
from typing import TYPE_CHECKING

from expectations.commands import command_parser
from ml.home import HomePath

if TYPE_CHECKING:
    from ml.clustering.behaviour import Behaviour
    from ml.clustering.settings import ClusterSettings

HEAD = f"{'method':<17} {'k':>3} {'silhouette':>16} {'calinski':>9} {'davies':>7} {'stability':>9} {'smallest':>8}"


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "cluster", __doc__)
    parser.add_argument("--ds", type=date.fromisoformat, required=True, metavar="D", help="business date, YYYY-MM-DD")
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.clustering.settings import ClusterSettings
    from ml.settings import load_settings

    settings = load_settings("cluster", ClusterSettings, args.home)
    print("\n".join(table(read_behaviour(args.ds, args.home), settings)))


def read_behaviour(day: date, home: HomePath = None) -> "Behaviour":
    """Everybody's behaviour as of ``day``; DataError if the lake does not hold it."""
    import pyarrow.parquet as pq

    from expectations.behaviour import FEATURES
    from expectations.errors import DataError
    from expectations.segments import EMBEDDINGS
    from ml.clustering.behaviour import COLUMNS, behaviour_of
    from ml.home import partition_days, partition_folder

    if day not in partition_days(FEATURES, home):
        raise DataError(f"features has no partition for {day}: run `python -m jobs build_features --ds {day}` first")
    rows = pq.read_table(partition_folder(FEATURES, day, home), columns=["customer_key", *COLUMNS], partitioning=None)
    if day not in partition_days(EMBEDDINGS, home):
        return behaviour_of(rows)
    return behaviour_of(rows, pq.read_table(partition_folder(EMBEDDINGS, day, home), partitioning=None) or None)


def table(everybody: "Behaviour", settings: "ClusterSettings") -> list[str]:
    """One line a method and number of clusters."""
    from ml.clustering.judging import Judge, chosen, judged
    from ml.clustering.methods import FIND, FINDS_ITS_NUMBER
    from ml.clustering.refit import tried_numbers
    from ml.clustering.space import fit_space
    from ml.threads import one_thread

    customers = everybody.sample(settings.judged_customers, settings.seed)
    places = fit_space(customers, settings).place(customers)
    lines = [f"{len(customers):,} of {len(everybody):,} customers; silhouette ± its standard error", HEAD]
    with one_thread():
        judge = Judge(places)
        for name, find in FIND.items():
            numbers = tried_numbers(settings) if name not in FINDS_ITS_NUMBER else [settings.fewest_clusters]
            found = [judged(judge, find, k, settings) for k in numbers]
            best = chosen(found, settings.least_stability)
            lines += [_line(judge, name, one, settings, "  <" if one is best else "") for one in found]
    return lines


def _line(judge: object, name: str, one: object, settings: "ClusterSettings", mark: str) -> str:
    import numpy as np

    from ml.clustering.methods import FIND, nearest

    labels = nearest(judge.places, FIND[name](judge.places, one.k, settings.seed))
    counts = np.bincount(labels)
    shape = f"{judge.calinski_harabasz(labels):>9.1f} {judge.davies_bouldin(labels):>7.2f}"
    return (
        f"{name:<17} {len(counts):>3} {one.silhouette:>8.3f} ± {one.standard_error:.3f} {shape} {one.stability:>9.2f} "
        f"{counts.min() / counts.sum():>8.1%}{mark}"
    )
