"""Next baskets: what rankings see, how they are judged, what ships."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_PRODUCT, FEATURES
from expectations.errors import DataError
from expectations.events import EVENTS
from jobs import rank_items
from ml import rank as command
from ml.ranking.baskets import Baskets, Targets, day_number, next_baskets, read_baskets
from ml.ranking.candidates import candidates
from ml.ranking.evaluation import DECAYED, SHIPPED, at_cutoff, summed_up, table
from ml.ranking.facts import item_facts
from ml.ranking.frequency import Tifu, customer_vectors, personal_frequency, tifu_knn
from ml.ranking.judging import judge, mean_interval, top
from ml.ranking.last_orders import last_orders
from ml.ranking.ranker import Ranker, RankerSettings
from ml.tracking import runs_of

SMALL = RankerSettings(own=20, popular=5, horizon_days=14, judged_at=3, written=3, trees=8, leaf_rows=20, negatives=0.5)
TRAIN, VALID, TEST = [60, 82], 100, 116


def made(rows: list[tuple], customers=None, items=None) -> Baskets:
    """rows: (customer, item, day) and, where they differ, (…, arrival, bought, intents); groups: first letters."""
    rows = [(*row, *(row[2], True, 0.0)[len(row) - 3 :]) for row in rows]
    who, what, day, arrival, bought, intents = (np.array(part) for part in zip(*rows, strict=True))
    customers = np.array(customers or sorted(set(who)), dtype=object)
    items = np.array(items or sorted(set(what)), dtype=object)
    groups = np.array(sorted({item[0] for item in items}), dtype=object)
    customer, item = (np.searchsorted(k.astype(str), v).astype(np.int32) for k, v in ((customers, who), (items, what)))
    group = np.searchsorted(groups.astype(str), [text[0] for text in what]).astype(np.int32)
    price = np.ones(len(day), np.float32)
    numbers = day.astype(np.int32), arrival.astype(np.int32), bought.astype(bool), intents.astype(np.float32), price
    order = np.lexsort((arrival, day, item, customer))
    return Baskets(customers, items, groups, customer, item, group, *numbers).where(order)


def shoppers(customers=100, days=135, seed=0) -> list[tuple]:
    """Everybody has three staples with rhythms of their own, which frequency cannot tell: due again after some days."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(customers):
        staples = rng.choice(40, 6, replace=False)
        gaps = rng.choice([3, 6, 12, 24], 6)
        begin = rng.integers(0, gaps)
        rows += [
            (f"c{n:03}", f"{'ab'[item % 2]}{item:02}", int(day))
            for item, gap, first in zip(staples, gaps, begin, strict=True)
            for day in range(first, days, gap)
        ]
    return rows


@pytest.fixture(scope="module")
def baskets() -> Baskets:
    return made(shoppers())


@pytest.fixture(scope="module")
def ranker(baskets) -> Ranker:
    return Ranker.fit(baskets, TRAIN, VALID, SMALL)


def features_of(seen: Baskets, day: int, own=100, popular=0) -> dict[tuple[str, str], dict[str, float]]:
    from ml.ranking.candidates import FEATURES

    found = candidates(seen, item_facts(seen, day), np.full(len(seen.customer_keys), day), own, popular)
    names = zip(seen.customer_keys[found.customer], seen.items[found.item], strict=True)
    return {
        pair: dict(zip(FEATURES, row.tolist(), strict=True)) for pair, row in zip(names, found.features, strict=True)
    }


rows_of = st.lists(
    st.tuples(st.sampled_from("xyz"), st.sampled_from(["a1", "a2", "b1"]), st.integers(1, 40)), min_size=1, max_size=40
)


@given(rows_of)
def test_own_features_are_what_plain_python_counts(rows):
    seen, today = made(rows), 40
    found = features_of(seen, today)
    assert set(found) == {(who, what) for who, what, _ in rows}
    for (who, what), values in found.items():
        mine = sorted({day for w, i, day in rows if (w, i) == (who, what)})
        all_days = sorted({day for w, _, day in rows if w == who})
        rank = {day: len(all_days) - 1 - n for n, day in enumerate(all_days)}
        expected = {
            "count": len(mine),
            "share": len(mine) / len(all_days),
            "decayed_21d": sum(0.5 ** ((today - day) / 21) for day in mine),
            "share_60d": sum(0.5 ** ((today - d) / 60) for d in mine)
            / sum(0.5 ** ((today - d) / 60) for d in all_days),
            "basket_decayed_0.95": sum(0.95 ** rank[day] for day in mine),
            "in_last_3": sum(rank[day] < 3 for day in mine),
            "share_since_first": len(mine) / (rank[mine[0]] + 1),
            "baskets_since": rank[mine[-1]],
            "days_since": today - mine[-1],
            "days_between": (mine[-1] - mine[0]) / (len(mine) - 1) if len(mine) > 1 else np.nan,
            "days_since_to_between": (
                (today - mine[-1]) / max((mine[-1] - mine[0]) / (len(mine) - 1), 1) if len(mine) > 1 else np.nan
            ),
            "customer_baskets": len(all_days),
            "customer_basket_recency": today - all_days[-1],
            "group_days_since": today - max(day for w, i, day in rows if w == who and i[0] == what[0]),
            "group_per_basket": len({day for w, i, day in rows if w == who and i[0] == what[0]}) / len(all_days),
        }
        assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_facts_by_hand():
    # x and y buy a1, x again; z buys b1 long ago; two baskets lie within the last 56 days besides y's.
    rows = [("x", "a1", 90), ("x", "a1", 100), ("x", "b1", 100), ("y", "a1", 98), ("z", "b1", 10)]
    facts = item_facts(made(rows), 100)
    a1, b1 = 0, 1
    column = facts.columns
    assert (column["buyers_28d"][a1], column["buyers_28d"][b1]) == (1.0, 0.5)
    assert column["buyers"].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert column["basket_share"].tolist() == pytest.approx([1.0, 1 / 3])
    assert column["line_share"].tolist() == pytest.approx([2.5 / 3, 0.5 / 3])
    assert column["repurchase_rate"].tolist() == pytest.approx([1.5 / 7, 0.5 / 7])
    assert column["days_between"][a1] == 10
    assert np.isnan(column["days_between"][b1])
    assert facts.popular.tolist() == [a1, b1]


def test_two_deliveries_of_a_purchase_count_once_and_intents_are_no_purchase():
    rows = [("x", "a1", 5, 5, True, 0.0), ("x", "a1", 5, 6, True, 0.0), ("x", "a2", 8, 8, False, 2.0)]
    found = features_of(made(rows), 8)
    assert found["x", "a1"]["count"] == 1
    assert found["x", "a2"]["count"] == 0
    assert found["x", "a2"]["intents_7d"] == 2
    assert np.isnan(found["x", "a2"]["days_since"])
    assert found["x", "a1"]["customer_baskets"] == 1


def test_next_basket_is_the_first_day_after_the_cutoff():
    rows = [("x", "a1", 10), ("x", "a2", 12), ("x", "b1", 12), ("x", "a1", 13), ("y", "a1", 25), ("z", "a1", 9)]
    # Happened in the window, arrived after it: not known then.
    rows += [("z", "b1", 12, 40, True, 0.0), ("x", "a1", 11, 11, False, 3.0)]
    found = next_baskets(made(rows), 10, 14)
    assert found.sizes.tolist() == [2, 0, 0]
    assert found.pairs.tolist() == [1, 2]
    assert found.holds(np.array([0, 1, 2, 99])).tolist() == [False, True, True, False]


def test_tifu_vectors_are_those_of_the_paper():
    # Five baskets in groups of two from the newest: {5, 4}, {3, 2}, {1}.
    seen = made([("x", "a1", day) for day in (1, 2, 4)] + [("x", "a2", day) for day in (3, 5)])
    settings = Tifu(basket_decay=0.9, group_decay=0.7, group_size=2, neighbours=1, alpha=0.7)
    vector = customer_vectors(seen, settings).toarray()[0]
    # Day 4: one basket back in the newest group; day 2: one back in the group before; day 1: alone in the third.
    assert vector[0] == pytest.approx((0.9 / 2 + 0.7 * 0.9 / 2 + 0.49 / 1) / 3)
    assert vector[1] == pytest.approx((1 / 2 + 0.7 * 1 / 2) / 3)


def test_tifu_adds_the_nearest_neighbours():
    rows = [("x", "a1", 1), ("y", "a1", 1), ("y", "a2", 1), ("z", "b1", 1)]
    seen = made(rows)
    found = candidates(seen, item_facts(seen, 1), np.ones(3, int), 10, 10)
    score = tifu_knn(seen, found, Tifu(neighbours=1, alpha=0.7))
    by_name = dict(
        zip(zip(seen.customer_keys[found.customer], seen.items[found.item], strict=True), score, strict=True)
    )
    # The nearest to x is y, who bought a1 and a2.
    assert [by_name["x", item] for item in ("a1", "a2", "b1")] == pytest.approx([1.0, 0.3, 0.0])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=30), st.integers(1, 5))
def test_top_is_a_stable_sort(rows, n):
    customer, score = (np.array([row[k] for row in rows], int) for k in (0, 1))
    expected = []
    for who in sorted(set(customer)):
        mine = [place for place in range(len(rows)) if customer[place] == who]
        expected += sorted(mine, key=lambda place: (-score[place], place))[:n]
    assert top(customer, score, n).tolist() == expected


ITEMS, N = 12, 4


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 11)), st.permutations(range(12)), st.sets(st.integers(0, 11))),
        min_size=1,
        max_size=6,
    )
)
def test_metrics_equal_an_independent_computation(shoppers):
    """Each: the next basket, the ranking of all items, what was bought before."""
    pairs, owned = (
        np.array(sorted(n * ITEMS + i for n, row in enumerate(shoppers) for i in row[k]), dtype=np.int64)
        for k in (0, 2)
    )
    sizes = np.array([len(basket) for basket, _, _ in shoppers])
    lists = np.array([n * ITEMS + i for n, row in enumerate(shoppers) for i in row[1][:N]], dtype=np.int64)
    found = judge(lists, Targets(pairs, sizes, ITEMS), owned, np.flatnonzero(sizes), 12, N)
    for n, who in enumerate(found.customers):
        basket, ranking, before = shoppers[who]
        listed = ranking[:N]
        gains = [1 / np.log2(place + 1) for place, item in enumerate(listed, start=1) if item in basket]
        ideal = sum(1 / np.log2(place + 1) for place in range(1, min(N, len(basket)) + 1))
        shares = {
            kind: len(part & set(listed)) / len(part) if part else np.nan
            for kind, part in (
                ("recall", basket),
                ("recall_repeat", basket & before),
                ("recall_explore", basket - before),
            )
        }
        expected = shares | {"ndcg": sum(gains) / ideal, "hit_rate": float(bool(gains))}
        assert {name: found.values[name][n] for name in expected} == pytest.approx(expected, nan_ok=True)
    shown = {item for basket, ranking, _ in shoppers if basket for item in ranking[:N]}
    assert found.coverage == len(shown) / 12


def test_interval_is_that_of_the_mean():
    rng = np.random.default_rng(1)
    values, customers = rng.normal(3, 1, 400), np.arange(400)
    mean, low, high = mean_interval([values], [customers], 0)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((mean - 1.96 / 20, mean + 1.96 / 20), abs=0.02)
    # The same customers at two cutoffs are no new customers: the interval does not shrink.
    twice = mean_interval([values, values], [customers, customers], 0)
    assert twice == pytest.approx((mean, low, high))


def test_boosting_ships_where_frequency_cannot_tell(baskets, ranker):
    assert ranker.model is not None
    assert ranker.gain[1] > 0
    found = summed_up([at_cutoff(ranker, baskets, TEST, 3)], 0)
    rows = {(row.ranking, row.metric): row for row in found.rows}
    assert rows[SHIPPED, "recall"].gain[1] > 0
    assert rows[SHIPPED, "recall"].value[0] > rows[DECAYED, "recall"].value[0] > rows["popularity", "recall"].value[0]
    # What is listed with a probability is bought about that often.
    assert found.listed == pytest.approx(found.held, abs=0.05)
    assert table(found, 3).splitlines()[-2].startswith("shipped")


def test_probabilities_are_right_of_all_places_that_are_written(baskets, ranker):
    """Chosen by the first three places; of all ten, the last of which are seldom bought, probabilities hold too."""
    ten = Ranker.fit(baskets, TRAIN, VALID, replace(SMALL, written=10))
    assert ten.validation == ranker.validation
    found = summed_up([at_cutoff(ten, baskets, TEST, 3)], 0)
    assert found.held < summed_up([at_cutoff(ranker, baskets, TEST, 3)], 0).held
    assert found.listed == pytest.approx(found.held, abs=0.03)
    # What was calibrated on three is wrong about ten.
    short = replace(ten, calibration=ranker.calibration)
    told = summed_up([at_cutoff(short, baskets, TEST, 3)], 0)
    assert abs(told.listed - told.held) > abs(found.listed - found.held)


def test_never_below_personal_frequency():
    """Everybody buys at random from items of their own: there is nothing to learn beyond how often."""
    rng = np.random.default_rng(3)
    rows = [
        (f"c{n:03}", f"a{item:02}", int(day))
        for n in range(60)
        for chosen in [rng.choice(30, 8, replace=False)]
        for day in range(0, 130, 4)
        for item in rng.choice(chosen, 2, p=np.arange(8, 0, -1) / 36, replace=False)
    ]
    baskets = made(rows)
    ranker = Ranker.fit(baskets, TRAIN, VALID, SMALL)
    assert ranker.gain[1] <= 0
    assert ranker.model is None
    seen = baskets.as_of(TEST)
    as_of = np.full(60, TEST)
    found = candidates(seen, item_facts(seen, TEST), as_of, SMALL.own, SMALL.popular)
    by_frequency = personal_frequency(found, ranker.frequency)
    np.testing.assert_array_equal(top(found.customer, ranker.score(found), 5), top(found.customer, by_frequency, 5))
    assert ranker.validation[ranker.frequency] == max(v for k, v in ranker.validation.items() if k != "boosting")


def test_nothing_after_the_cutoff_matters(baskets, ranker):
    everybody = baskets.customer_keys
    before = ranker.recommend(baskets, TEST, everybody, 4)
    later = [row for row in shoppers() if row[2] <= TEST]
    later += [("c000", "a00", TEST + 1), ("new", "zz9", TEST + 2), ("c001", "b01", TEST - 3, TEST + 1, True, 5.0)]
    changed = made(later)
    after = ranker.recommend(changed, TEST, everybody, 4)
    assert before[0].tolist() == after[0].tolist()
    assert before[1].tobytes() == after[1].tobytes()
    # Fitting knows nothing beyond the window after validation, either.
    last = VALID + SMALL.horizon_days
    again = Ranker.fit(made([row for row in shoppers() if row[2] <= last]), TRAIN, VALID, SMALL)
    assert again.validation == ranker.validation
    assert again.calibration == ranker.calibration
    assert again.recommend(baskets, TEST, everybody, 4)[1].tobytes() == before[1].tobytes()


def test_lists_are_ordered_and_whom_nobody_knows_gets_what_is_popular(baskets, ranker):
    items, scores = ranker.recommend(baskets, TEST, np.array(["nobody", "c005", "c000"], dtype=object), 6)
    assert items.shape == scores.shape == (3, 6)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert ((scores > 0) & (scores < 1)).all()
    seen = baskets.as_of(TEST)
    facts = item_facts(seen, TEST)
    assert items[0].tolist() == seen.items[facts.popular[:6]].tolist()
    # Who else is asked for changes nothing.
    alone, value = ranker.recommend(baskets, TEST, np.array(["c000"], dtype=object), 6)
    assert alone[0].tolist() == items[2].tolist()
    assert value.tobytes() == scores[2:].tobytes()
    few = made([("x", "a1", 1), ("y", "a2", 2)])
    items, scores = ranker.recommend(few, 3, np.array(["x", "q"], dtype=object), 4)
    assert items[:, 2:].tolist() == [[None, None]] * 2
    assert np.isnan(scores[:, 2:]).all()


def test_equal_scores_go_by_popularity_then_name():
    seen = made([("x", "b1", 1), ("x", "a2", 1), ("x", "a1", 1), ("y", "b1", 1)])
    found = candidates(seen, item_facts(seen, 1), np.ones(2, int), 10, 10)
    best = top(found.customer, personal_frequency(found, "share"), 3)[:3]
    assert seen.items[found.item[best]].tolist() == ["b1", "a1", "a2"]


def test_kept_without_pickle(baskets, ranker, tmp_path):
    ranker.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"about.json", "boosting.skops"}
    loaded = Ranker.load(tmp_path)
    keys = baskets.customer_keys
    assert (
        loaded.recommend(baskets, TEST, keys, 4)[1].tobytes() == ranker.recommend(baskets, TEST, keys, 4)[1].tobytes()
    )
    plain = tmp_path / "plain"
    plain.mkdir()
    frequency = replace(ranker, model=None)
    frequency.save(plain)
    assert {path.name for path in plain.iterdir()} == {"about.json"}
    assert Ranker.load(plain) == frequency
    about = (tmp_path / "about.json").read_text()
    (tmp_path / "about.json").write_text(about.replace("decayed_7d", "decayed_8d"))
    with pytest.raises(DataError, match="other features"):
        Ranker.load(tmp_path)


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
