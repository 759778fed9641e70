"""The clusters' job: whose fit is in force, what calls for a refit, and equal bytes however often a day is run."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from expectations.behaviour import FEATURES
from expectations.clusters import CLUSTERS, CUSTOMER_CLUSTERS
from expectations.errors import DataError
from expectations.segments import EMBEDDINGS
from jobs import cluster, map_clusters
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from ml import cluster as comparison
from ml.clustering.behaviour import COLUMNS, MEASURES

D = date(2024, 6, 3)
QUICK = "cluster:\n  most_clusters: 4\n  resamples: 2\n"


def write_features(home: Home, day: date, seed: int = 0, customers: int = 300, recipe: str = "a recipe") -> None:
    """Three kinds of customers, made by hand, each with its own level of each measure."""
    random = np.random.default_rng(seed)
    levels = np.random.default_rng(7).permuted(np.tile([[0.1], [0.4], [0.7]], len(MEASURES)), axis=0)
    kind = np.arange(customers) % 3
    values = dict.fromkeys(COLUMNS, np.full(customers, 40.0))
    for n, measure in enumerate(MEASURES):
        drawn = np.clip(levels[kind, n] + 0.1 * random.standard_normal(customers), 0, 1)
        values[measure.name] = np.expm1(5 * drawn) if measure.is_heavy else drawn
    nothing = arrow_schema(FEATURES).empty_table()
    zeros = pa.array(np.zeros(customers, np.int8))
    rows = {f.name: pa.nulls(customers, f.type) if f.nullable else zeros.cast(pa.int32()) for f in nothing.schema}
    for name, column in values.items():
        kind_of = nothing.schema.field(name).type
        rows[name] = pa.array(column.round() if pa.types.is_integer(kind_of) else column).cast(kind_of)
    rows["customer_key"] = pa.array([f"{n:032x}" for n in range(customers)])
    rows["snapshot_date"] = pa.repeat(pa.scalar(day), customers)
    LakeTable(home, FEATURES).write_arrow(day, pa.table(rows), recipe)


def write_embeddings(home: Home, day: date, version: int, customers: int = 300) -> None:
    random = np.random.default_rng(version)
    rows = {
        "customer_key": [f"{n:032x}" for n in range(customers)], "snapshot_date": [day] * customers,
        "embedding": list(random.standard_normal((customers, 4 + version)).astype(np.float32)),
        "model_name": ["m"] * customers, "model_version": [version] * customers,
    }  # fmt: skip
    LakeTable(home, EMBEDDINGS).write_arrow(day, pa.table(rows, schema=arrow_schema(EMBEDDINGS)))


def run(home: Home, *days: date) -> None:
    for day in days:
        cluster.main(cluster.arg_parser().parse_args(["--home", str(home.path), "--ds", str(day)]))


def rows(home: Home, day: date) -> list[dict]:
    return LakeTable(home, CLUSTERS).read_arrow([day]).to_pylist()


def fitted_on(home: Home, day: date) -> date:
    (found,) = {row["fitted_on"] for row in rows(home, day)}
    return found


def written(home: Home, day: date) -> dict[str, bytes]:
    folders = [LakeTable(home, table).folder(day) for table in (CLUSTERS, CUSTOMER_CLUSTERS)]
    return {str(file): file.read_bytes() for folder in folders for file in sorted(folder.iterdir())}


@pytest.fixture
def shop(home: Home) -> Home:
    """Features of D, the day after and a month later."""
    (home.path / "settings.yaml").write_text(QUICK)
    for n, day in enumerate((D, D + timedelta(days=1), D + timedelta(days=28))):
        write_features(home, day, seed=n)
    return home


def test_a_fit_holds_until_it_is_old_and_its_clusters_live_on(shop):
    month = D + timedelta(days=28)
    run(shop, D, D + timedelta(days=1), month)
    assert [fitted_on(shop, day) for day in (D, D + timedelta(days=1), month)] == [D, D, month]
    assert [{row["change"] for row in rows(shop, day)} for day in (D, month)] == [{"first"}, {"kept"}]
    assert {row["cluster_id"] for row in rows(shop, D)} == {row["cluster_id"] for row in rows(shop, month)} == {1, 2, 3}
    named = [{row["cluster_id"]: row["cluster_name"] for row in rows(shop, day)} for day in (D, month)]
    assert named[0] == named[1]
    assert len(set(named[0].values())) == 3
    assert rows(shop, month)[0]["refit_agreement"] > 0.95
    assert rows(shop, D)[0]["refit_agreement"] is None
    customers = LakeTable(shop, CUSTOMER_CLUSTERS).read_arrow([D]).to_pandas()
    assert (customers.groupby("cluster_id").size() == 100).all()
    assert sum(row["customers"] for row in rows(shop, D)) == len(customers)


def test_a_day_run_again_has_equal_bytes_and_looks_at_no_later_fit(shop):
    days = (D, D + timedelta(days=1), D + timedelta(days=28))
    run(shop, *days)
    before = {day: written(shop, day) for day in days}
    run(shop, *reversed(days))
    assert {day: written(shop, day) for day in days} == before


def test_freshness(shop):
    day = D + timedelta(days=1)
    run(shop, D, day)
    assert cluster.is_fresh(shop, D)
    assert cluster.is_fresh(shop, day)
    write_features(shop, day, seed=5)
    assert cluster.is_fresh(shop, D)
    assert not cluster.is_fresh(shop, day)
    run(shop, day)
    run(shop, D)  # the fit that the next day goes by is younger than its clusters
    assert not cluster.is_fresh(shop, day)
    (shop.path / "settings.yaml").write_text(QUICK + "  seed: 1\n")
    assert not cluster.is_fresh(shop, D)


def test_other_features_settings_or_models_call_for_a_refit(shop):
    run(shop, D)
    days = [D + timedelta(days=n) for n in range(1, 5)]
    write_features(shop, days[0], recipe="another recipe")
    write_features(shop, days[1], recipe="another recipe")
    for n in (2, 3):
        write_features(shop, days[n], recipe="another recipe")
        write_embeddings(shop, days[n], version=n)
    run(shop, *days)
    assert [fitted_on(shop, day) for day in days] == [days[0], days[0], days[2], days[3]]
    # The three kinds stay who they are, whatever is refitted.
    assert all({row["cluster_id"] for row in rows(shop, day)} == {1, 2, 3} for day in days)


def test_a_small_shop_is_one_cluster_and_is_told_so(home, caplog):
    write_features(home, D, customers=150)
    with caplog.at_level("INFO", logger="jobs"):
        run(home, D)
    assert "150 customers on 2024-06-03 are one cluster: too few" in caplog.text
    (row,) = rows(home, D)
    assert (row["cluster_id"], row["customers"], row["method"], row["change"]) == (1, 150, "one_cluster", "first")
    customers = LakeTable(home, CUSTOMER_CLUSTERS).read_arrow([D])
    assert customers["runner_up_id"].null_count == len(customers)
    assert set(customers["membership"].to_pylist()) == {1.0}


def test_a_day_without_features_is_refused(home):
    with pytest.raises(DataError, match="features has no partition for 2024-06-03"):
        run(home, D)
    with pytest.raises(DataError, match="python -m jobs build_features --ds 2024-06-03"):
        comparison.main(comparison.arg_parser().parse_args(["--home", str(home.path), "--ds", str(D)]))


def test_every_method_is_compared(shop, capsys):
    comparison.main(comparison.arg_parser().parse_args(["--home", str(shop.path), "--ds", str(D)]))
    first, _, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("300 of 300 customers")
    chosen = {line.split()[0]: line.split() for line in lines if line.endswith("<")}
    assert set(chosen) == {"kmeans", "gaussian_mixture", "agglomerative", "hdbscan"}
    assert {chosen[name][1] for name in ("kmeans", "agglomerative")} == {"3"}


@pytest.mark.slow
def test_maps_are_drawn_and_the_same_again(shop):
    run(shop, D)
    args = map_clusters.arg_parser().parse_args(["--home", str(shop.path), "--ds", str(D)])
    map_clusters.main(args)
    files = [map_clusters.map_folder(shop, D) / name for name in ("umap.png", "tsne.png")]
    before = [file.read_bytes() for file in files]
    assert all(image.startswith(b"\x89PNG") and len(image) > 5_000 for image in before)
    map_clusters.main(args)
    assert [file.read_bytes() for file in files] == before
