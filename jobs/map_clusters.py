"""lake/customer_clusters → reports/maps/ds=D/umap.png, tsne.png: a sample of customers, coloured by cluster."""

import argparse
import logging
from datetime import date
from pathlib import Path

from expectations.clusters import CLUSTERS, CUSTOMER_CLUSTERS
from jobs import cluster
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.settings import load_settings

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("map_clusters", __doc__)
    add_day(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    import numpy as np

    from ml.clustering.settings import ClusterSettings
    from ml.home import shop_name
    from ml.plots.cluster_map import FLATTEN, MAP_CUSTOMERS, NAMES, distinct, draw

    home, day = Home.from_environment(args.home), args.ds
    settings = load_settings(home, "cluster", ClusterSettings)
    known = LakeTable(home, CUSTOMER_CLUSTERS).read_arrow([day], ["cluster_id"])
    behaviour, _ = cluster.read_day(home, day)
    fit = cluster.fit_of(home, LakeTable(home, CLUSTERS).read_arrow([day], ["fitted_on"])["fitted_on"][0].as_py())
    some = behaviour.sample(MAP_CUSTOMERS, settings.seed)
    ids, counts = np.unique(known["cluster_id"].to_numpy(), return_counts=True)
    shares = {int(one): count / len(known) for one, count in zip(ids, counts, strict=True)}
    drawn = distinct(fit.space.place(some))
    some, folder = some.rows(drawn), map_folder(home, day)
    places, mine = fit.space.place(some), fit.assigned(some).ids
    folder.mkdir(parents=True, exist_ok=True)
    for kind, flatten in FLATTEN.items():
        title = f"{shop_name(home.path)}, {day}: {NAMES[kind]} of {len(some):,} customers by cluster"
        draw(kind, flatten(places, settings.seed), mine, shares, title, folder / f"{kind}.png")
    log.info("maps of %s customers in %s", f"{len(some):,}", folder)


def map_folder(home: Home, day: date) -> Path:
    """Where the maps of a day lie."""
    return home.path / "reports" / "maps" / f"ds={day}"
