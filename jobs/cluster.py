"""lake/features, embeddings → lake/customer_clusters, clusters: who is alike in what they do.

The fit in force is the newest of an earlier day. It is made again, from what it found, when it is refit_days old or
when features, settings or the embeddings' model have changed; a fit is kept beside the clusters of its day. Fits of the
day itself and of later days are never looked at, so that a day run again comes out the same.
"""

import argparse
import logging
from datetime import date
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURES
from expectations.clusters import CLUSTERS, CUSTOMER_CLUSTERS
from expectations.segments import EMBEDDINGS
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import RECIPE_FILE, LakeTable, recipe_of
from jobs.settings import load_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from ml.clustering.behaviour import Behaviour
    from ml.clustering.fit import Assigned, Fit

log = logging.getLogger(__name__)

FIT_FILE = "_fit.json"
"""Beside the rows of lake/clusters on the day of a fit."""


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("cluster", __doc__)
    add_day(parser)
    return parser


def fit_recipe(home: Home, day: date) -> str:
    """What calls for a refit where it changes: what is measured and how, the settings, what makes the features."""
    from ml.clustering import behaviour, space
    from ml.clustering.settings import ClusterSettings

    features = LakeTable(home, FEATURES).folder(day) / RECIPE_FILE
    made_by = features.read_text() if features.is_file() else ""
    return recipe_of(CLUSTERS, behaviour, space, load_settings(home, "cluster", ClusterSettings), made_by)


def recipe(home: Home, day: date) -> str:
    """What makes a day's clusters: the code too, and the fit so far."""
    from ml.clustering import fit, judging, matching, methods, naming, refit

    return recipe_of(CUSTOMER_CLUSTERS, fit, judging, matching, methods, naming, refit, fit_recipe(home, day),
                     last_fit_day(home, day))  # fmt: skip


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day was clustered by today's code and settings, after its features, embeddings and the fit so far."""
    before = last_fit_day(home, day)
    inputs = [(LakeTable(home, FEATURES), day), (LakeTable(home, EMBEDDINGS), day)]
    inputs += [(LakeTable(home, CLUSTERS), before)] if before else []
    tables = (LakeTable(home, CUSTOMER_CLUSTERS), LakeTable(home, CLUSTERS))
    return all(table.is_fresh(day, recipe(home, day), inputs) for table in tables)


def last_fit_day(home: Home, day: date) -> date | None:
    """The newest day before ``day`` on which clusters were fitted; None if there is none."""
    clusters = LakeTable(home, CLUSTERS)
    fits = (one for one in reversed(clusters.days()) if one < day and (clusters.folder(one) / FIT_FILE).is_file())
    return next(fits, None)


def fit_of(home: Home, day: date) -> "Fit":
    """The fit that was made on ``day``."""
    from ml.clustering.fit import Fit

    return Fit.load(LakeTable(home, CLUSTERS).folder(day) / FIT_FILE)


def read_day(home: Home, day: date) -> "tuple[Behaviour, tuple[str, int] | None]":
    """Everybody's behaviour, and the model whose embeddings are in it; None if the day has none."""
    from ml.clustering.behaviour import COLUMNS, behaviour_of

    features = LakeTable(home, FEATURES).read_arrow([day], ["customer_key", *COLUMNS])
    made = LakeTable(home, EMBEDDINGS)
    embeddings = made.read_arrow([day]) if made.has(day) else None
    if not embeddings:
        return behaviour_of(features), None
    model = embeddings["model_name"][0].as_py(), embeddings["model_version"][0].as_py()
    return behaviour_of(features, embeddings), model


def fit_in_force(home: Home, day: date, behaviour: "Behaviour", model: tuple[str, int] | None) -> "Fit":
    """The fit so far where it still holds, else a refit from it."""
    from ml.clustering.refit import fitted
    from ml.clustering.settings import ClusterSettings

    settings, made_by, last = (
        load_settings(home, "cluster", ClusterSettings),
        fit_recipe(home, day),
        last_fit_day(home, day),
    )
    before = fit_of(home, last) if last else None
    model = model if settings.embedding_weight else None
    if before and (before.recipe, before.model) == (made_by, model) and (day - last).days < settings.refit_days:
        return before
    return fitted(day, behaviour, settings, before, model, made_by)


def customer_rows(behaviour: "Behaviour", assigned: "Assigned", fit: "Fit", day: date) -> "pa.Table":
    """Rows of CUSTOMER_CLUSTERS."""
    import pyarrow as pa

    columns = {
        "customer_key": pa.array(behaviour.keys, pa.string()),
        "snapshot_date": pa.repeat(pa.scalar(day), len(behaviour)),
        "cluster_id": assigned.ids,
        "membership": assigned.membership,
        "runner_up_id": pa.array(assigned.runner_up, pa.int32(), mask=assigned.runner_up == 0),
        "fitted_on": pa.repeat(pa.scalar(fit.fitted_on), len(behaviour)),
    }
    return pa.table({name: columns[name] for name in CUSTOMER_CLUSTERS.column_names})


def cluster_rows(assigned: "Assigned", fit: "Fit", day: date) -> "pa.Table":
    """Rows of CLUSTERS."""
    import pyarrow as pa

    about = {"snapshot_date": day, "fitted_on": fit.fitted_on, "method": fit.method, "silhouette": fit.silhouette}
    about |= {"stability": fit.stability, "refit_agreement": fit.refit_agreement}
    rows = [
        about
        | {"cluster_id": one, "cluster_name": name, "customers": int((assigned.ids == one).sum()), "change": change}
        for one, name, change in zip(fit.ids, fit.names, fit.changes, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=_schema())


def _schema() -> "pa.Schema":
    from jobs.schemas import arrow_schema

    return arrow_schema(CLUSTERS)


def main(args: argparse.Namespace) -> None:
    import pyarrow.parquet as pq

    home, day = Home.from_environment(args.home), args.ds
    behaviour, model = read_day(home, day)
    fit = fit_in_force(home, day, behaviour, model)
    assigned, made_by = fit.assigned(behaviour), recipe(home, day)
    LakeTable(home, CUSTOMER_CLUSTERS).write_arrow(day, customer_rows(behaviour, assigned, fit, day), made_by)
    with LakeTable(home, CLUSTERS).replaced(day, made_by) as (_, part):
        pq.write_table(cluster_rows(assigned, fit, day), part / "part-0.parquet", compression="zstd")
        if fit.fitted_on == day:
            fit.save(part / FIT_FILE)
    log.info("%s", told(fit, day, len(behaviour)))


def told(fit: "Fit", day: date, customers: int) -> str:
    """One line on what came out."""
    from ml.clustering.fit import ONE_CLUSTER

    if fit.method == ONE_CLUSTER:
        return f"{customers:,} customers on {day} are one cluster: too few, or no behaviour tells them apart"
    changed = ", ".join(
        f"{one} {how}" for one, how in zip(fit.ids, fit.changes, strict=True) if how in ("moved", "new")
    )
    agreement = "" if fit.refit_agreement is None else f", agreement with the fit before {fit.refit_agreement:.2f}"
    return (
        f"clustered {customers:,} customers on {day}: {len(fit.ids)} clusters fitted on {fit.fitted_on} "
        f"({fit.method}), silhouette {fit.silhouette:.2f}, stability {fit.stability:.2f}{agreement}"
        + (f"; changed: {changed}" if changed else "")
    )
