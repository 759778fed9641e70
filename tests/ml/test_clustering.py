"""Behaviour clusters on customers made by hand: placing, choosing, matching, refits, planted changes."""

from dataclasses import replace
from datetime import date
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.clustering.behaviour import COLUMNS, MEASURES, Behaviour
from ml.clustering.fit import ONE_CLUSTER, Fit
from ml.clustering.judging import Judge, Judged, chosen
from ml.clustering.matching import agreement, matched_ids
from ml.clustering.methods import FIND, nearest
from ml.clustering.naming import WORDS, names_of
from ml.clustering.refit import fitted
from ml.clustering.settings import DESCRIPTIONS, ClusterSettings
from ml.clustering.space import THEME_WEIGHTS, fit_space

QUICK = ClusterSettings(fewest_clusters=3, most_clusters=6, resamples=4)
D, WEEK_LATER = date(2024, 6, 3), date(2024, 6, 10)
NAMES = [one.name for one in MEASURES]
LEVELS = np.random.default_rng(7).permuted(np.tile([[0.1], [0.3], [0.5], [0.7]], len(MEASURES)), axis=0)
KINDS = tuple(dict(zip(NAMES, levels, strict=True)) for levels in LEVELS)
"""Each kind of customer has its own level of each measure."""
HUNTER = {"coupon_rate_365d": 1.0, "discounted_line_share_365d": 1.0, "price_rank_mean_365d": 0.0}


def customers(kinds=KINDS, each=150, seed=0, noise=0.1) -> tuple[Behaviour, np.ndarray]:
    """``each`` customers of every kind, 40 events behind every ratio; (behaviour, kind of each). Made by hand."""
    random = np.random.default_rng(seed)
    kind = np.arange(each * len(kinds)) % len(kinds)
    columns = {name: np.full(len(kind), 40.0) for name in COLUMNS}
    for measure in MEASURES:
        levels = np.array([one[measure.name] for one in kinds])[kind]
        values = np.clip(levels + noise * random.standard_normal(len(kind)), 0, 1)
        columns[measure.name] = np.expm1(5 * values) if measure.is_heavy else values
    keys = np.array([f"{n:05}" for n in range(len(kind))], dtype=object)
    return Behaviour(keys, columns), kind


def turned(behaviour: Behaviour, who: np.ndarray, into: dict[str, float]) -> Behaviour:
    columns = {name: values.copy() for name, values in behaviour.columns.items()}
    for name, value in into.items():
        columns[name][who] = value
    return Behaviour(behaviour.keys, columns, behaviour.embedding)


# -- the space ------------------------------------------------------------------------------------------------------


def test_a_ratio_counts_by_the_events_behind_it():
    """(events x own + prior x usual) / (events + prior): by hand, and null is the usual value."""
    behaviour, _ = customers(each=50)
    behaviour.columns["coupon_rate_365d"][:] = 0.2
    behaviour.columns["coupon_rate_365d"][:3] = [1.0, 1.0, np.nan]
    behaviour.columns["order_count_365d"][:3] = [5, 0, 7]
    space = fit_space(behaviour, QUICK)
    place = NAMES.index("coupon_rate_365d")
    assert space.usual[place] == 0.2
    got = space.unscaled(space.place(behaviour))[:, place]
    # The first is held to the upper bound, which interpolates between it and the others.
    assert got[0] == pytest.approx(min((5 * 1.0 + 5 * 0.2) / 10, space.high[place]))
    assert got[1] == pytest.approx(0.2)
    assert got[2] == pytest.approx(0.2)


def test_themes_weigh_the_same_and_what_is_constant_weighs_nothing():
    behaviour, _ = customers()
    behaviour.columns["sentiment_mean_365d"][:] = np.nan
    space = fit_space(behaviour, QUICK)
    variance = space.place(behaviour).var(axis=0)
    assert variance[NAMES.index("sentiment_mean_365d")] == 0
    told = space.deviation > 0
    assert variance[told] == pytest.approx(THEME_WEIGHTS[told] ** 2)
    for theme in {one.theme for one in MEASURES} - {"after_sale"}:
        mine = [n for n, one in enumerate(MEASURES) if one.theme == theme]
        assert variance[mine].sum() == pytest.approx(1), theme


def test_the_embedding_has_the_weight_it_is_given():
    behaviour, _ = customers()
    embedding = np.random.default_rng(1).standard_normal((len(behaviour), 16)) * 100
    embedding[7] = np.nan
    behaviour = Behaviour(behaviour.keys, behaviour.columns, embedding)
    space = fit_space(behaviour, QUICK)
    places = space.place(behaviour)
    assert places.shape[1] == len(MEASURES) + QUICK.embedding_parts
    parts, measured = places[:, len(MEASURES) :], places[:, : len(MEASURES)]
    assert (parts[7] == 0).all()
    assert parts.var(axis=0).sum() / measured.var(axis=0).sum() == pytest.approx(QUICK.embedding_weight, rel=0.01)


def test_the_sample_is_drawn_by_key_whoever_else_is_there():
    behaviour, _ = customers()
    drawn = behaviour.sample(100, 0)
    assert len(drawn) == 100
    assert set(behaviour.rows(slice(0, 300)).sample(100, 0).keys) >= set(drawn.keys) & set(behaviour.keys[:300])
    assert list(drawn.keys) != list(behaviour.sample(100, 1).keys)
    assert list(drawn.keys) == sorted(drawn.keys)


# -- methods and choice ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", FIND)
def test_every_method_finds_the_kinds(method):
    behaviour, kind = customers()
    places = fit_space(behaviour, QUICK).place(behaviour)
    assert agreement(nearest(places, FIND[method](places, len(KINDS), 0)), kind) > 0.95


def test_the_choice_by_hand():
    """Stable enough; within one standard error of the best silhouette; then the largest."""
    tried = [
        Judged(3, silhouette=0.30, stability=0.95, standard_error=0.02),
        Judged(4, silhouette=0.29, stability=0.90, standard_error=0.50),
        Judged(5, silhouette=0.27, stability=0.90, standard_error=0.50),  # more than 0.02 below the best
        Judged(6, silhouette=0.60, stability=0.50, standard_error=0.01),  # chance plays a part
    ]
    assert chosen(tried, 0.8).k == 4
    assert chosen(tried, 0.99).k == 3  # none: the most stable


def test_indices_are_those_of_their_definitions():
    """Silhouette by hand: two pairs, distances 1 within and 10 and 11 or 9 and 10 across."""
    judge = Judge(np.array([[0.0], [1.0], [10.0], [11.0]]))
    labels = np.array([0, 0, 1, 1])
    outer, inner = 1 - 1 / 10.5, 1 - 1 / 9.5
    assert judge.silhouette(labels) == pytest.approx((outer + inner) / 2, abs=1e-6)
    assert judge.calinski_harabasz(labels) == pytest.approx(100 / (1 / 2))  # (100 / 1) / (1 / 2)
    assert judge.davies_bouldin(labels) == pytest.approx((0.5 + 0.5) / 10)
    assert judge.silhouette(np.zeros(4, int)) == 0


# -- ids ------------------------------------------------------------------------------------------------------------


def some_fit(ids: tuple[int, ...], next_id: int) -> Fit:
    space = fit_space(customers(each=20)[0], QUICK)
    return Fit(D, "kmeans", ids, ("first",) * len(ids), next_id, np.zeros((len(ids), 22)), space, 1, 0, 0, 0, None)


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 4))
def test_matching_is_the_best_of_all_pairings(seed, before, after):
    """Brute force over all pairings: no other has more overlap; each id once; unmatched ones were never given."""
    random = np.random.default_rng(seed)
    known = sorted(random.choice(np.arange(1, 9), before, replace=False).tolist())
    old, labels = random.choice(known, 60), random.integers(0, after, 60)
    fit = Fit(D, "kmeans", tuple(known), (), 9, np.zeros((before, 1)), None, 1, 0, 0, 0, None)
    ids, next_id = matched_ids(old, labels, after, fit, least_overlap=0.0)

    def overlap(one: int, new: int) -> float:
        mine, its = old == one, labels == new
        return (mine & its).sum() / max((mine | its).sum(), 1)

    assert len(set(ids)) == after
    assert set(ids) - set(known) == set(range(9, next_id))
    got = sum(overlap(one, n) for n, one in enumerate(ids) if one in known)
    width = max(before, after)
    padded = [*known, *[0] * (width - before)]
    best = max(
        sum(overlap(one, n) for n, one in enumerate(order[:after]) if one) for order in permutations(padded, width)
    )
    assert got == pytest.approx(best)


def test_too_little_overlap_is_a_new_cluster():
    fit = some_fit((2, 5), next_id=7)
    old = np.array([2] * 50 + [5] * 50)
    labels = np.array([0] * 50 + [1] * 10 + [2] * 40)
    assert matched_ids(old, labels, 3, fit, 0.25) == ([2, 7, 5], 8)
    assert matched_ids(old, labels, 3, fit, 0.9) == ([2, 7, 8], 9)


# -- fits and refits ------------------------------------------------------------------------------------------------


def test_a_first_fit_finds_the_kinds_and_keeps_to_itself(tmp_path):
    behaviour, kind = customers()
    fit = fitted(D, behaviour, QUICK)
    found = fit.assigned(behaviour)
    assert agreement(found.ids, kind) > 0.95
    assert fit.ids == (1, 2, 3, 4)
    assert set(fit.changes) == {"first"}
    assert fit.refit_agreement is None
    assert (found.runner_up != found.ids).all()
    fit.save(tmp_path / "fit.json")
    again = Fit.load(tmp_path / "fit.json")
    for name in ("ids", "membership", "runner_up"):
        np.testing.assert_array_equal(getattr(again.assigned(behaviour), name), getattr(found, name))
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "fit.json").read_bytes()


def test_membership_is_the_softmax_of_negative_squared_distances():
    behaviour, _ = customers()
    fit = fitted(D, behaviour, QUICK)
    places = fit.space.place(behaviour)
    squared = ((places[:, None] - fit.centres[None]) ** 2).sum(axis=2)
    weights = np.exp(-squared / squared.min(axis=1).mean())
    shares = weights / weights.sum(axis=1, keepdims=True)
    found = fit.assigned(behaviour)
    np.testing.assert_allclose(found.membership, shares.max(axis=1), atol=1e-6)
    np.testing.assert_array_equal(found.ids, np.array(fit.ids)[shares.argmax(axis=1)])
    np.testing.assert_array_equal(found.runner_up, np.array(fit.ids)[np.argsort(-shares, axis=1)[:, 1]])


def test_where_nothing_moved_a_refit_says_so():
    """The same kinds, every number drawn again."""
    fit = fitted(D, customers(seed=0)[0], QUICK)
    refit = fitted(WEEK_LATER, customers(seed=1)[0], QUICK, fit)
    assert refit.refit_agreement > 0.95
    assert refit.ids == fit.ids
    assert set(refit.changes) == {"kept"}
    assert refit.next_id == fit.next_id


def test_a_new_kind_of_customer_is_a_new_cluster_and_the_others_stay():
    """A fifth of one kind turns into coupon hunters."""
    behaviour, kind = customers()
    fit = fitted(D, behaviour, QUICK)
    of_kind = np.flatnonzero(kind == 0)
    hunters = turned(customers(seed=1)[0], of_kind[::5], HUNTER)
    refit = fitted(WEEK_LATER, hunters, QUICK, fit)
    told = dict(zip(refit.ids, refit.changes, strict=True))
    assert told == dict.fromkeys(fit.ids, "kept") | {5: "new"}
    assert set(refit.assigned(hunters).ids[of_kind[::5]]) == {5}
    # Ids are never given again: the hunters leave, and another kind comes.
    after = fitted(date(2024, 6, 17), behaviour, QUICK, refit)
    assert after.next_id == 6


def test_a_cluster_that_changes_its_ways_has_moved():
    behaviour, kind = customers()
    fit = fitted(D, behaviour, QUICK)
    owls = fit.assigned(behaviour).ids[kind == 1][0]
    refit = fitted(WEEK_LATER, turned(behaviour, kind == 1, {"return_rate_365d": 0.9}), QUICK, fit)
    told = dict(zip(refit.ids, refit.changes, strict=True))
    assert {one for one, how in told.items() if how == "moved"} == {owls}
    assert set(told) == set(fit.ids)


def test_other_settings_are_followed_under_the_old_ids():
    behaviour, _ = customers()
    fit = fitted(D, behaviour, QUICK)
    ward = fitted(WEEK_LATER, behaviour, replace(QUICK, method="agglomerative"), fit)
    assert (ward.method, ward.ids) == ("agglomerative", fit.ids)
    fewer = fitted(WEEK_LATER, behaviour, replace(QUICK, most_clusters=3), fit)
    assert len(fewer.ids) == 3
    assert len(set(fewer.ids) & set(fit.ids)) >= 2


def test_another_model_keeps_ids():
    """Its embeddings lie in another space: clusters are matched by the measures."""
    behaviour, kind = customers()
    random = np.random.default_rng(0)
    first = Behaviour(behaviour.keys, behaviour.columns, random.standard_normal((len(kind), 8)))
    other = Behaviour(behaviour.keys, behaviour.columns, random.standard_normal((len(kind), 12)))
    fit = fitted(D, first, QUICK, model=("m", 1))
    refit = fitted(WEEK_LATER, other, QUICK, fit, model=("m", 2))
    assert refit.model == ("m", 2)
    assert agreement(refit.assigned(other).ids, kind) > 0.9
    assert (refit.assigned(other).ids == fit.assigned(first).ids).mean() > 0.95


@pytest.mark.parametrize("reason", ["few", "alike"])
def test_one_cluster_where_nothing_can_be_told_apart(reason):
    behaviour, _ = customers(each=10) if reason == "few" else customers(kinds=KINDS[:1], each=400, noise=0)
    fit = fitted(D, behaviour, QUICK)
    found = fit.assigned(behaviour)
    assert (fit.method, fit.ids) == (ONE_CLUSTER, (1,))
    assert set(found.ids) == {1}
    assert set(found.membership) == {1.0}
    assert set(found.runner_up) == {0}
    # Once there is more to see, clusters are found.
    assert len(fitted(WEEK_LATER, customers()[0], QUICK, fit).ids) == 4


def test_every_number_that_decides_is_described():
    assert set(DESCRIPTIONS) == set(vars(ClusterSettings())) - {"method"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"method": "magic"}, "method must be one of kmeans"),
        ({"fewest_clusters": 7, "most_clusters": 6}, "fewest_clusters"),
        ({"judged_customers": 100}, "least_customers <= judged_customers"),
        ({"least_customers": 20}, "10 x most_clusters"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        ClusterSettings(**wrong)


# ---- names


def centre(**deviations: float) -> np.ndarray:
    """A centre so many standard deviations from the average customer."""
    found = np.zeros(len(MEASURES))
    for name, value in deviations.items():
        found[NAMES.index(f"{name}_365d")] = value
    return found * THEME_WEIGHTS


def test_a_cluster_is_named_by_what_sets_it_apart_most_one_word_a_theme():
    often = centre(purchase_days=1.2, average_order_amount=-1.1, night_share=0.5, session_count=-0.9)
    found = names_of((1, 2), np.array([often, centre(open_rate=0.1)]), {})
    assert found == ("buys often, visits rarely", "average customers")


def test_visits_that_are_the_purchases_again_are_not_told_beside_them():
    till = centre(purchase_days=1.09, session_count=1.08, morning_share=0.8)
    site = centre(purchase_days=1.09, session_count=0.95, morning_share=0.8)
    assert names_of((1, 2), np.array([till, site]), {}) == ("buys often, in the morning", "buys often, visits often")


def test_a_name_stays_with_its_id_and_no_two_are_alike():
    often = centre(purchase_days=1.2, session_count=0.9, night_share=0.5)
    found = names_of((3, 4, 5, 6), np.array([often] * 4), {4: "buys often, visits often", 9: "gone"})
    assert found == ("buys often, visits often, at night", "buys often, visits often",
                     "buys often, visits often (5)", "buys often, visits often (6)")  # fmt: skip


def test_every_measure_has_words():
    assert set(WORDS) == set(NAMES)
    words = [word for pair in WORDS.values() for word in pair]
    assert len(set(words)) == len(words)
