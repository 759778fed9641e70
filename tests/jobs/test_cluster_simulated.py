"""On the simulated shop: refits a week apart agree where nothing moved, and a planted change is told as one."""

from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expectations.behaviour import FEATURES
from expectations.clusters import CLUSTERS, CUSTOMER_CLUSTERS
from jobs import aggregate, build_features, cluster, encode_text, simulate
from jobs.home import Home
from jobs.home_secrets import secret
from jobs.lake import LakeTable
from ml.clustering.matching import agreement

pytestmark = pytest.mark.slow

WEEKS = (date(2024, 5, 8), date(2024, 5, 15), date(2024, 5, 22), date(2024, 5, 29))
SETTINGS = "cluster:\n  refit_days: 7\n"
KEY = "00112233445566778899aabbccddeeff"
"""Customers are sorted by their key, and a first fit, of 5 to 8 clusters here, follows who comes first."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Home:
    """1,500 customers; features of four Wednesdays, clusters refitted on each."""
    home = Home(tmp_path_factory.mktemp("simulated clusters"))
    secret(home, "customer_key", make=lambda: KEY)
    run(simulate, home, "--customers", "1500", "--days", "150", "--seed", "1", "--to", "lake", "--processes", "1")
    for job in (encode_text, aggregate):
        run(job, home, "--from", "2024-01-01", "--to", str(WEEKS[-1]))
    run(build_features, home, "--ds", *map(str, WEEKS))
    (home.path / "settings.yaml").write_text(SETTINGS)
    for day in WEEKS:
        run(cluster, home, "--ds", str(day))
    return home


def run(job: object, home: Home, *arguments: str) -> None:
    job.main(job.arg_parser().parse_args(["--home", str(home.path), *arguments]))


def told(home: Home, day: date) -> pd.DataFrame:
    return LakeTable(home, CLUSTERS).read_arrow([day]).to_pandas().set_index("cluster_id")


def assigned(home: Home, day: date) -> pd.Series:
    rows = LakeTable(home, CUSTOMER_CLUSTERS).read_arrow([day]).to_pandas()
    return rows.set_index("customer_key")["cluster_id"]


def test_refits_a_week_apart_agree_where_nothing_moved(shop):
    first = told(shop, WEEKS[0])
    assert len(first) >= 3
    for before, day in pairwise(WEEKS):
        now = told(shop, day)
        assert (now["fitted_on"] == day).all()
        assert (now["refit_agreement"] >= 0.9).all()
        assert set(now.index) == set(first.index)
        assert set(now["change"]) == {"kept"}
        # The same customers, a week older: what they did in it moves some of them.
        was, is_now = assigned(shop, before).align(assigned(shop, day), join="inner")
        assert agreement(was, is_now) >= 0.85


def test_a_fifth_of_a_cluster_that_turns_into_coupon_hunters_is_a_change(shop, tmp_path):
    day, before = WEEKS[-1], assigned(shop, WEEKS[-2])
    largest = before.value_counts().index[0]
    turned = before.index[before == largest][::5]
    home = planted(shop, tmp_path, day, set(turned))
    run(cluster, home, "--ds", str(day))
    clusters, now = told(home, day), assigned(home, day)
    (where,) = now[turned].mode()
    assert (now[turned] == where).mean() > 0.9
    assert where != largest
    assert clusters.loc[where, "change"] in ("moved", "new")
    others = clusters.drop(index=[where, largest], errors="ignore")["change"]
    assert (others == "kept").mean() > 0.5, clusters["change"].to_dict()
    # Without the change, every cluster was kept.
    assert set(told(shop, day)["change"]) == {"kept"}


def planted(shop: Home, folder: Path, day: date, turned: set[str]) -> Home:
    """The shop with ten cheap discounted lines more, in five orders with a coupon, for each customer of ``turned``."""
    home = Home(folder / "planted")
    (home.path / "lake").mkdir(parents=True)
    for file in ("shop.json", "settings.yaml"):
        (home.path / file).write_bytes((shop.path / file).read_bytes())
    for name in ("clusters", "features"):
        (home.lake / name).mkdir()
        for one in (shop.lake / name).glob("*=*"):
            if not one.name.endswith(str(day)):
                (home.lake / name / one.name).symlink_to(one)
    rows = LakeTable(shop, FEATURES).read_arrow([day])
    frame = rows.to_pandas()
    who, lines, orders = frame["customer_key"].isin(turned), 10, 5
    n, m = frame["purchase_count_365d"], frame["order_count_365d"]
    for ratio, value, had, more in (
        ("discounted_line_share_365d", 1.0, n, lines),
        ("price_rank_mean_365d", 0.05, n, lines),
        ("coupon_rate_365d", 1.0, m, orders),
        ("average_order_amount_365d", 20.0, m, orders),
    ):
        mixed = (frame[ratio].fillna(0) * had + value * more) / (had + more)
        frame[ratio] = np.where(who, mixed, frame[ratio])
    for count, more in (("purchase_count_365d", lines), ("order_count_365d", orders), ("purchase_days_365d", orders)):
        frame[count] += who * more
    made = pa.Table.from_pandas(frame, schema=rows.schema, preserve_index=False)
    recipe = (LakeTable(shop, FEATURES).folder(day) / "_recipe").read_text()
    LakeTable(home, FEATURES).write_arrow(day, made, recipe)
    return home
