"""Rankings from the lake and back into it: the command, the job, last orders."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_PRODUCT, FEATURES
from expectations.errors import DataError
from expectations.events import EVENTS
from jobs import rank_items
from ml import rank as command
from ml.ranking.baskets import day_number, read_baskets
from ml.ranking.last_orders import last_orders
from ml.tracking import runs_of
from tests.ml.ranking_rows import SMALL, shoppers


def test_read_from_the_lake(tmp_path, write_partition):
    start = date(2021, 3, 1)

    def row(key: str, product: str, category: str | None, day: int, count: int, intents=0) -> dict:
        return {
            "customer_key": key, "product_id": product, "category": category, "brand": None, "purchase_count": count,
            "intent_count": intents, "purchase_amount": 6.0, "last_event_date": start + timedelta(days=day),
        }  # fmt: skip

    days = {
        0: [row("b", "p2", "food.milk", 0, 2), row("a", "p1", None, 0, 1)],
        1: [row("a", "p2", "food.milk", 0, 0, 3)],
    }
    for n, rows in days.items():
        frame = pd.DataFrame(rows).assign(arrival_date=start + timedelta(days=n))
        write_partition(tmp_path, CUSTOMER_PRODUCT, start + timedelta(days=n), frame)
    found = read_baskets("product", start + timedelta(days=9), tmp_path)
    assert (found.customer_keys.tolist(), found.items.tolist()) == (["a", "b"], ["p1", "p2"])
    assert found.pair.tolist() == [0, 1, 3]
    assert found.group.tolist() == [-1, 0, 0]
    assert found.groups.tolist() == ["food.milk"]
    assert found.bought.tolist() == [True, False, True]
    assert found.intents.tolist() == [0, 3, 0]
    assert found.price.tolist() == [6, 6, 3]
    assert (found.arrival - found.day).tolist() == [0, 1, 0]
    assert found.day[0] == day_number(start)
    # A category is an item too; what has none is left out. What arrived later is not read.
    categories = read_baskets("category", start, tmp_path)
    assert categories.items.tolist() == ["food.milk"]
    assert categories.groups.tolist() == ["food"]
    assert len(categories) == 1
    with pytest.raises(DataError, match="names no product up to 2021-02-28"):
        read_baskets("product", start - timedelta(days=1), tmp_path)


@pytest.fixture
def own_home(tmp_path, write_partition) -> Path:
    """A shop of 160 days, in a path with a space, whose customers come back for their staples; an order a day."""
    home, start = tmp_path / "a shop", date(2021, 1, 1)
    (home / "mlflow").mkdir(parents=True)
    (home / "mlflow" / "tracking_uri").write_text(f"sqlite:///{home}/mlflow/mlflow.db\n")
    (home / "shop.json").write_text('{"shop": "staples", "simulated": true, "sources": ["staples"]}')
    rows = pd.DataFrame(shoppers(60, 160), columns=["customer_key", "product_id", "day"])
    rows["arrival_date"] = rows["last_event_date"] = rows["event_date"] = [
        start + timedelta(days=n) for n in rows["day"]
    ]
    rows["event_time"] = pd.to_datetime(rows["event_date"], utc=True)
    rows["order_id"] = rows["customer_key"] + "-" + rows["day"].astype(str)
    rows["category"] = "food." + rows["product_id"].str[0]
    rows["event_type"], rows["purchase_count"], rows["intent_count"], rows["purchase_amount"] = "purchase", 1, 0, 2.0
    for day, part in rows.groupby("arrival_date"):
        for table_of_day in (CUSTOMER_PRODUCT, EVENTS, CUSTOMER_DAY):
            write_partition(home, table_of_day, day, part)
    return home


def test_command_judges_keeps_and_gives_back(own_home, write_partition, capsys, monkeypatch):
    monkeypatch.setattr("ml.ranking.ranker.RankerSettings", lambda **given: replace(SMALL, **given))
    arguments = ["--home", str(own_home), "--cutoff", "2021-05-10", "--last-orders", "--kind", "product"]
    command.main(command.arg_parser().parse_args(arguments))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("next product: ")
    assert sum(line.startswith("shipped ") for line in lines) == 2
    recall = float(next(line for line in lines if line.startswith("shipped ")).split()[1])
    kept = runs_of({"lifestage.model": "rank_product"}, own_home)["rank_product"]
    assert kept.data.metrics["test_recall_at_10_shipped"] == pytest.approx(recall, abs=1e-4)
    assert kept.data.metrics["last_recall_at_10_popularity"] > 0
    loaded = command.load_ranker(kept.info.run_id, own_home)
    baskets = read_baskets("product", date(2021, 5, 10), own_home)
    items, scores = loaded.recommend(baskets, day_number(date(2021, 5, 10)), baskets.customer_keys, 3)
    assert items.shape == (60, 3)
    assert np.isfinite(scores).all()

    # The job writes the same lists into the lake, and popular items for who never bought.
    keys = [*baskets.customer_keys, "d"]
    write_partition(own_home, FEATURES, date(2021, 5, 10), pd.DataFrame({"customer_key": keys}))
    arguments = ["--home", str(own_home), "--ds", "2021-05-10", "--ranker", kept.info.run_id, "--places", "3"]
    rank_items.main(rank_items.arg_parser().parse_args(arguments))
    written = pq.read_table(next((own_home / "lake" / "next_items" / "snapshot_date=2021-05-10").glob("*.parquet")))
    assert written["item"].to_pylist()[:180] == items.ravel().tolist()
    assert written["probability"].to_pylist()[:180] == scores.ravel().tolist()
    assert written["rank"].to_pylist() == [1, 2, 3] * 61
    assert set(written["kind"].to_pylist()) == {"product"}


def test_last_orders_are_foretold_from_the_days_before(own_home):
    baskets = read_baskets("product", date(2021, 6, 9), own_home)
    targets, as_of = last_orders(baskets, date(2021, 6, 9), own_home)
    for place in targets.customers[:5]:
        mine = baskets.day[baskets.customer == place]
        assert as_of[place] == mine.max() - 1
        assert targets.sizes[place] == (mine == mine.max()).sum()
    assert len(targets.customers) == 60
    # Three orders before the last are asked for.
    few, _ = last_orders(baskets, date(2021, 1, 3), own_home)
    assert len(few.customers) == 0
