"""A day's customers: features and scores side by side, their cluster, where each stood before, and their segments."""

import logging
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from expectations.behaviour import FEATURES
from expectations.clusters import CUSTOMER_CLUSTERS
from expectations.errors import DataError
from expectations.lifecycle import LIFECYCLE_PHASES
from expectations.segments import CUSTOMER_SEGMENTS, SCORES
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.segments.settings import DayCuts, SegmentSettings
from jobs.segments.snapshots import line_before
from jobs.segments.stages import entered, lifecycle_stages
from jobs.segments.tiers import churn_bands, day_cuts, value_tiers

log = logging.getLogger(__name__)

BEFORE = {"lifecycle_stage": "stage_before", "stage_since": "since_before", "previous_stage": "previous_before"}
"""Column of the snapshot before → its name beside the day's own."""

RULES_READ = (
    *("snapshot_date", "recency_days", "frequency_days", "tenure_days", "first_purchase_date", "gap_mean_days"),
    *("gap_last_days", "gap_mean_before_last_days", "purchase_days_365d", "purchase_amount_365d", "is_eligible"),
    *("purchase_probability_30d", "expected_spend_30d", "churn_probability", *BEFORE.values()),
)
"""What tiers, stages and bands follow from."""


def scored(home: Home, day: date) -> pa.Table:
    """Features and scores, as far as segments hold them, one row a customer; DataError if either has one of its own."""
    features, scores = (
        LakeTable(home, table).read_arrow([day], [n for n in table.column_names if n in CUSTOMER_SEGMENTS.column_names])
        for table in (FEATURES, SCORES)
    )
    place = _places(features, scores)
    both = len(features) - place.null_count
    if not len(features) == len(scores) == both == pc.count_distinct(place).as_py():
        raise DataError(
            f"features and scores of {day} are not of the same customers (features {len(features):,}, scores "
            f"{len(scores):,}, both {both:,}): score the day again"
        )
    return _beside(features, scores.drop_columns(["customer_key", "snapshot_date"]), place)


def with_clusters(rows: pa.Table, home: Home, day: date) -> pa.Table:
    """``rows`` with cluster_id: null where the day has no clusters, or only such as are older than its scores."""
    clusters, scores = LakeTable(home, CUSTOMER_CLUSTERS), LakeTable(home, SCORES)
    if clusters.written_at(day) > scores.written_at(day):
        found = clusters.read_arrow([day], ["customer_key", "cluster_id"])
        return _beside(rows, found.select(["cluster_id"]), _places(rows, found))
    if clusters.has(day):
        log.warning("the clusters of %s are older than its scores and left out: cluster the day, then segment it", day)
    return rows.append_column("cluster_id", pa.nulls(len(rows), pa.int32()))


def before(home: Home, previous: date | None) -> pa.Table | None:
    """Customers of the snapshot before: key, stage, since when, and the stage before that.

    DataError if it was written under an older contract: those before it were too.
    """
    if previous is None:
        return None
    try:
        return LakeTable(home, CUSTOMER_SEGMENTS).read_arrow([previous], ["customer_key", *BEFORE])
    except DataError as error:
        first = [previous, *line_before(home, previous)][-1]
        raise DataError(
            f"{error}\nsnapshots follow from one another: run `python -m jobs segment --from {first} --to {previous}`"
        ) from error


def with_before(rows: pa.Table, before: pa.Table | None) -> pa.Table:
    """``rows`` with where each customer stood in the snapshot before; nulls for whom it does not hold."""
    if before is None:
        before = pa.schema(
            [("customer_key", pa.string()), *((n, pa.date32() if "since" in n else pa.string()) for n in BEFORE)]
        ).empty_table()
    return _beside(rows, before.select(list(BEFORE)).rename_columns(list(BEFORE.values())), _places(rows, before))


def segmented(rows: pa.Table, settings: SegmentSettings, day: date, previous: date | None) -> tuple[pa.Table, DayCuts]:
    """``rows`` with all that CUSTOMER_SEGMENTS adds, and the day's cuts."""
    customers = rows.select(RULES_READ).to_pandas(date_as_object=False)
    cuts = day_cuts(customers, settings)
    stages = lifecycle_stages(customers, settings, cuts, (day - previous).days if previous else 0)
    since, before = entered(customers, stages, day)
    made = {
        "value_tier": value_tiers(customers, settings, cuts),
        "lifecycle_stage": stages,
        "lifecycle_phase": pd.Series(stages).map(LIFECYCLE_PHASES),
        "churn_band": churn_bands(customers, settings),
        "stage_since": since,
        "previous_stage": before,
    }
    for name, values in made.items():
        kind = pa.date32() if name == "stage_since" else pa.string()
        rows = rows.append_column(name, pa.array(values, kind, from_pandas=True))
    return rows, cuts


def _places(rows: pa.Table, of: pa.Table) -> pa.Array:
    """(rows,) where each customer stands in ``of``; null where not."""
    keys, others = rows["customer_key"], of["customer_key"].combine_chunks()
    if keys.equals(of["customer_key"]):
        return pa.array(np.arange(len(rows), dtype=np.int32))
    return pc.index_in(keys, value_set=others).combine_chunks()


def _beside(rows: pa.Table, others: pa.Table, place: pa.Array) -> pa.Table:
    """``rows`` with the columns of ``others`` beside them."""
    taken = others.take(place)
    for name in taken.column_names:
        rows = rows.append_column(name, taken[name])
    return rows
