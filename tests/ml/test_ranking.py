"""Next baskets: what rankings see, and how they are judged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.ranking.baskets import Baskets, Targets, next_baskets
from ml.ranking.candidates import candidates
from ml.ranking.facts import item_facts
from ml.ranking.frequency import Tifu, customer_vectors, tifu_knn
from ml.ranking.judging import judge, mean_interval, top
from tests.ml.ranking_rows import made


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
