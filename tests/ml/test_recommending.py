"""Recommendations: each source on baskets one can check by hand, the blend that never ships a loss, the strategies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from ml.ranking.baskets import Baskets
from ml.recommending.blend import BLEND, FREQUENCY, Blend, _fitted, chance, learn
from ml.recommending.candidates import NAMES, Offered, offered
from ml.recommending.sources import SOURCES, Scene, SourceSettings, content, scored
from ml.recommending.strategies import STRATEGIES, is_new, is_premium, lists
from ml.recommending.strongest import strongest
from ml.recommending.wares import Wares, word_weights

DAY = 1000
SMALL = SourceSettings(least_buyers=1, factors=2)


def baskets(*rows, items=None, groups=("g", "h")):
    """Rows (customer, item, day) or (customer, item, day, price); an item's group is by its first letter."""
    rows = sorted((row[0], row[1], row[2], row[3] if len(row) > 3 else 1.0) for row in rows)
    customers = sorted({row[0] for row in rows})
    items = sorted(items or {row[1] for row in rows})
    of = np.array([[customers.index(r[0]), items.index(r[1]), r[2]] for r in rows], np.int32).reshape(-1, 3)
    group = np.array([groups.index(r[1][0]) if r[1][0] in groups else -1 for r in rows], np.int32)
    day = of[:, 2]
    return Baskets(
        np.array(customers, object), np.array(items, object), np.array(groups, object), of[:, 0], of[:, 1], group,
        day, day, np.ones(len(rows), bool), np.zeros(len(rows), np.float32),
        np.array([r[3] for r in rows], np.float32),
    )  # fmt: skip


def told(seen, name, customer, settings=SMALL, *more, wares=None):
    """Item → score of one customer by one source."""
    scene = Scene.of(seen, DAY, settings, wares)
    row = scored(scene, name, np.array([list(seen.customer_keys).index(customer)]), *more)
    return {seen.items[k]: v for k, v in zip(row.indices, row.data, strict=True)}


def test_repeat_counts_a_purchase_half_after_its_half_life():
    found = told(baskets(("a", "g1", DAY), ("a", "g2", DAY - 60)), "repeat", "a")
    assert found == {"g1": pytest.approx(2 / 3), "g2": pytest.approx(1 / 3)}


def test_item_to_item_is_the_cosine_of_who_bought_both():
    seen = baskets(("a", "g1", DAY), ("b", "g1", DAY), ("b", "g2", DAY), ("c", "g2", DAY), ("c", "g3", DAY))
    found = told(seen, "item_to_item", "a")
    assert found == {"g2": pytest.approx(1 / np.sqrt(2 * 2))}  # one of the two buyers of each bought both


def test_sequence_follows_from_the_last_basket_alone():
    seen = baskets(("a", "g1", DAY - 2), ("a", "g2", DAY - 1), ("b", "g1", DAY - 9), ("b", "g2", DAY - 5),
                   ("c", "g3", DAY - 9), ("c", "g1", DAY - 1))  # fmt: skip
    # Of g1 two steps are known, both lead to g2; five that lead nowhere are added.
    assert told(seen, "sequence", "c") == {"g2": pytest.approx(2 / 7)}
    assert told(seen, "sequence", "a") == {}


def test_content_is_what_sells_best_in_the_customers_categories():
    seen = baskets(("a", "g1", DAY), ("b", "g2", DAY), ("c", "g2", DAY), ("d", "h1", DAY))
    assert told(seen, "content", "a") == {"g1": pytest.approx(1 / 3), "g2": pytest.approx(2 / 3)}
    among = np.array([name == "g1" for name in seen.items])
    scene = Scene.of(seen, DAY, SMALL)
    assert content(scene, np.array([0]), among).toarray()[0].tolist() == [1.0, 0.0, 0.0]


def test_brand_is_what_sells_best_of_the_customers_brands_whatever_the_category():
    seen = baskets(("a", "g1", DAY), ("b", "h1", DAY), ("c", "h1", DAY), ("d", "g2", DAY))
    wares = replace(Wares.unknown(3), brand=np.array([0, -1, 0], np.int32), brands=1)  # of g1, g2, h1
    assert told(seen, "brand", "a", wares=wares) == {"g1": pytest.approx(1 / 3), "h1": pytest.approx(2 / 3)}
    assert told(seen, "brand", "d", wares=wares) == {}
    assert told(seen, "brand", "a") == {}


def test_text_is_the_cosine_of_the_words_of_names():
    seen = baskets(("a", "g1", DAY), ("b", "g2", DAY), ("c", "h1", DAY), ("d", "h2", DAY))
    wares = replace(Wares.unknown(4), words=word_weights(["red wine", "white wine", "soap", ""]))
    found = told(seen, "text", "a", wares=wares)
    assert found["g1"] == pytest.approx(1)
    # Of three different names two say wine, one each red and white: weights ln(4 / (1 + n)) + 1.
    common, rare = np.log(5 / 3) + 1, np.log(5 / 2) + 1
    assert found["g2"] == pytest.approx(common**2 / (common**2 + rare**2))
    assert set(found) == {"g1", "g2"}
    assert told(seen, "text", "d", wares=wares) == {}
    assert told(seen, "text", "a") == {}


def test_words_are_those_of_shops_in_chinese_too_and_of_none():
    words = word_weights(["红酒", "白酒", "soap", ""])
    assert (words @ words.T).toarray()[0, 1] > 0.3
    assert word_weights(["", "1"]).shape == (2, 0)


@given(st.lists(st.lists(st.integers(-3, 9), min_size=5, max_size=5), min_size=1, max_size=6), st.integers(1, 6))
def test_the_strongest_are_those_of_a_plain_sort(rows, n):
    found = strongest(csr_matrix(np.array(rows, float)), n).toarray()
    for row, got in zip(rows, found, strict=True):
        best = sorted((k for k in range(5) if row[k] > 0), key=lambda k: (-row[k], k))[:n]
        assert {k: v for k, v in enumerate(got) if v} == {k: row[k] for k in best}


def test_sampling_what_was_not_bought_leaves_the_probability_as_it_is():
    """A tenth of the rows is bought, whatever the features say: so the blend has to say, though it learnt of fewer."""
    rng, n = np.random.default_rng(0), 20_000
    label = rng.random(n) < 0.1
    found = Offered(np.arange(n), np.zeros(n, int), rng.random((n, len(NAMES))), np.zeros(n, bool))
    likely = chance(_fitted(found, np.ones(n, bool), label, 0), found.features)
    assert likely.mean() == pytest.approx(label.mean(), abs=0.01)


def test_without_a_model_no_probability_is_told():
    seen = premium_shop()
    scene, everybody = Scene.of(seen, DAY, SMALL), np.array([0, 1])
    found = offered(scene, everybody, DAY)
    made = lists(scene, Blend(None, FREQUENCY, ()), found, everybody, np.array(["likeliest"] * 2, object), 5)
    assert len(made.item)
    assert np.isnan(made.probability).all()


def test_factors_place_a_customer_by_others_who_buy_alike():
    rows = [(f"{kind}{n}", f"{group}{k}", DAY - k) for kind, group in (("x", "g"), ("y", "h"))
            for n in range(6) for k in range(5)]  # fmt: skip
    rows = [row for row in rows if row[:2] != ("x0", "g4")]
    found = told(baskets(*rows), "matrix_factorisation", "x0")
    others = [value for item, value in found.items() if item[0] == "h"]
    assert found["g4"] > 0.3
    assert all(abs(value) < 1e-6 for value in others)


def test_nothing_after_the_day_is_looked_at():
    past = [("a", "g1", DAY - 3), ("b", "g1", DAY - 9), ("b", "g2", DAY - 2), ("a", "g2", DAY - 40)]
    later = [("a", "g3", DAY + 1), ("b", "g3", DAY + 2), ("b", "g1", DAY + 3)]
    known, whole = baskets(*past, items=("g1", "g2", "g3")), baskets(*past, *later)
    for name in SOURCES:
        assert told(known, name, "a") == told(whole, name, "a"), name


def shop(follow, seed=1, customers=300):
    """Customers who buy two own items every fourth day; ``follow``: a third item comes the time after each new one."""
    rng, rows = np.random.default_rng(seed), []
    for n in range(customers):
        own = rng.choice(30, 2, replace=False)
        for day in range(DAY - 120, DAY + 1, 4):
            rows += [(f"{n:03}", f"g{item:02}", day) for item in own if rng.random() < 0.7]
            fresh = int(rng.integers(20))
            rows.append((f"{n:03}", f"h{fresh:02}", day + int(rng.integers(2))))
            if follow:
                rows.append((f"{n:03}", f"k{fresh:02}", day + 4))
    return baskets(*{(c, i, d) for c, i, d in rows if d <= DAY}, groups=("g", "h", "k"))


def test_a_blend_ships_where_it_is_shown_to_beat_personal_frequency():
    blend = learn(shop(follow=True), DAY, 28, 5, 1000, SMALL)
    gain = next(row.gain for row in blend.rows if row.ranking == BLEND)
    assert blend.ships == BLEND
    assert gain[1] > 0
    by_name = {row.ranking: row for row in blend.rows}
    assert by_name["sequence"].recall[0] > by_name["popular"].recall[0]
    assert by_name["repeat"].repeat_share == 1.0


def test_personal_frequency_ships_where_nothing_beats_it():
    rng = np.random.default_rng(5)
    own = {n: rng.choice(40, 3, replace=False) for n in range(300)}
    rows = [(f"{n:03}", f"g{item:02}", day) for n in own for day in range(DAY - 120, DAY + 1, 4)
            for item in own[n] if rng.random() < 0.6]  # fmt: skip
    blend = learn(baskets(*rows), DAY, 28, 3, 1000, SMALL)
    assert blend.ships == FREQUENCY
    assert next(row.gain for row in blend.rows if row.ranking == FREQUENCY) == (0.0, 0.0, 0.0)


def test_a_source_that_lists_nothing_has_no_quality():
    rows = [(f"{n:03}", f"x{3 * n + k}", day) for n in range(150) for k in range(3) for day in (DAY - 40, DAY - 9)]
    blend = learn(baskets(*rows, groups=()), DAY, 28, 5, 1000, SourceSettings())
    assert {row.ranking for row in blend.rows} == {"blend", "personal_frequency", "repeat", "popular"}
    assert all(np.isfinite([row.coverage, row.novelty, row.repeat_share]).all() for row in blend.rows)


def test_too_few_customers_teach_nothing():
    blend = learn(shop(follow=True, customers=40), DAY, 28, 5, 1000, SMALL)
    assert (blend.model, blend.ships, blend.rows) == (None, FREQUENCY, ())


def listed(seen, customers, strategy, places=6, settings=SMALL):
    scene = Scene.of(seen, DAY, settings)
    found = offered(scene, np.array(customers), DAY)
    blend = Blend(None, FREQUENCY, ())
    made = lists(scene, blend, found, np.array(customers), np.array([strategy] * len(customers), object), places)
    return [(int(r), seen.items[i], str(why), bool(o)) for r, i, why, o in
            zip(made.rank, made.item, made.reason, made.owned, strict=True)]  # fmt: skip


def premium_shop():
    rows = [("a", "g0", DAY - 1, 1.0), ("a", "g1", DAY - 2, 1.0), ("a", "g2", DAY - 90, 1.0)]
    rows += [("b", f"g{k}", DAY - 70 + k, 1.0 + k) for k in range(9)] + [("b", "g9", DAY - 3, 50.0)]
    return baskets(*rows, ("c", "h0", DAY - 1, 2.0))


def test_every_third_place_is_kept_for_what_is_new_or_dear():
    seen = premium_shop()
    scene = Scene.of(seen, DAY, SMALL)
    assert [item for item, new in zip(seen.items, is_new(scene), strict=True) if new] == ["g9", "h0"]
    assert [item for item, dear in zip(seen.items, is_premium(scene), strict=True) if dear] == ["g7", "g8", "g9", "h0"]
    for strategy, reason in (("new_arrivals", "new_arrival"), ("premium", "premium")):
        rows = listed(seen, [0], strategy)
        assert [rank for rank, *_ in rows] == list(range(1, len(rows) + 1))
        assert rows[2] == (3, "g9", reason, False)
        assert len({item for _, item, *_ in rows}) == len(rows)  # nothing twice


def test_kept_places_hold_nothing_that_the_customer_has_bought():
    rows = [("a", f"g{k}", DAY - 5 * k) for k in range(6)] + [("b", "g9", DAY - 80)]
    seen = baskets(*rows, ("b", "g8", DAY - 3), ("c", "g5", DAY), ("d", "g5", DAY))
    found = listed(seen, [0], "new_arrivals", places=3)
    assert found[2] == (3, "g8", "new_arrival", False)  # g5 sells best and is new, but a knows it


def test_kept_places_stay_where_they_are():
    rows = [("a", "g0", DAY - 90), *(("b", f"g{k}", DAY - 50) for k in (3, 4, 5, 6))]
    seen = baskets(*rows, *((who, f"g{k}", DAY - 9) for k in (1, 2) for who in "bcd"))  # new, and likely anyway
    found = listed(seen, [0], "new_arrivals", places=6)
    assert [(rank, item) for rank, item, why, _ in found if why == "new_arrival"] == [(3, "g1"), (6, "g2")]


def test_a_shop_that_sold_nothing_yet_recommends_nothing():
    seen = baskets(("a", "g0", DAY))
    seen = replace(seen, bought=np.zeros(1, bool))
    assert listed(seen, [0], "likeliest") == []


def test_repeat_shows_first_what_was_bought_and_popular_what_all_buy():
    seen = premium_shop()
    assert [owned for *_, owned in listed(seen, [0], "repeat")][:3] == [True] * 3
    both = {strategy: [item for _, item, *_ in listed(seen, [0, 1, 2], strategy, 2)] for strategy in ("popular",)}
    assert both["popular"][0:2] == both["popular"][2:4] == both["popular"][4:6]


def test_who_has_bought_nothing_is_shown_what_all_buy():
    seen, place = premium_shop().with_customers(np.array(["nobody", "a"], object))
    rows = listed(seen, [place[0]], "likeliest")
    assert rows
    assert {why for _, _, why, _ in rows} == {"popular"}
    assert (np.diff(seen.customer) >= 0).all()


def test_strategies_and_features_are_named_once():
    assert len(set(NAMES)) == len(NAMES)
    from jobs.recommend import STRATEGY_NAMES

    assert tuple(STRATEGIES) == STRATEGY_NAMES
    assert isinstance(offered(Scene.of(premium_shop(), DAY, SMALL), np.array([0]), DAY), Offered)
