"""Reasons: contributions add up to the prediction, a planted cause comes first, words carry the customer's numbers."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from expectations.behaviour import FEATURE_NAMES
from ml.calibrate import Calibrated, Calibration, Curve
from ml.encoders.network import Config, CustomerNetwork
from ml.encoders.train import reproducible
from ml.encoders.unmatured import Unmatured
from ml.forecast import Forecast
from ml.models import make
from ml.models.hazard import Hazard
from ml.models.sequence import Sequence
from ml.models.stack import Stack
from ml.reasons import CHURN, PURCHASE, NoReasons, in_words, reasons, reasons_of
from ml.reasons.attribution import Attribution, attribute
from ml.reasons.composition import factors, log_odds
from ml.reasons.importance import importance, lost_by_shuffling
from ml.reasons.network import NAMES
from ml.reasons.report import write_reasons
from ml.reasons.words import EVENTS_FAMILY, family
from tests.ml import encoder_rows
from tests.ml.told_rows import HORIZONS, PLACE, QUIET_DAYS, told_examples

QUIET = np.arange(100)


@pytest.fixture(scope="module")
def examples():
    return told_examples()


def fitted(name: str, examples) -> Calibrated:
    """Calibrated on other customers, by one set of small settings."""
    model = make(name)
    small = {"max_iter": (30,), "C": (0.1,), "alpha": (0.1,)}
    for space in ("classifier_space", "regressor_space"):
        chosen = {key: small.get(key, values[:1]) for key, values in getattr(model, space).items()}
        setattr(model, space, chosen)
    model = Calibrated(model)
    model.fit(examples, told_examples(seed=1))
    return model


@pytest.fixture(scope="module")
def boosting(examples):
    return fitted("gradient_boosting", examples)


@pytest.fixture(scope="module")
def regression(examples):
    return fitted("logistic_regression", examples)


def odds_of(model, inputs, days: int) -> np.ndarray:
    return logit(model.predict(inputs).probability(days))


# ---- contributions


@pytest.fixture(scope="module")
def forest(examples):
    return fitted("random_forest", examples)


@pytest.fixture(scope="module")
def svm(examples):
    return fitted("linear_svm", examples)


@pytest.mark.parametrize("name", ["boosting", "regression", "forest", "svm"])
# Days: an edge; the churn horizon; the middle of an interval; the whole.
@pytest.mark.parametrize("days", [7, 30, 22, 60])
def test_contributions_add_up_to_the_prediction(name, days, request, examples):
    model, inputs = request.getfixturevalue(name), examples.inputs.rows(np.arange(300))
    found = attribute(model, inputs, days)
    assert found.contributions.shape == (300, len(FEATURE_NAMES))
    assert found.log_odds == pytest.approx(odds_of(model, inputs, days), abs=1e-9)
    assert np.abs(found.missing).max() < 1e-5


def test_they_add_up_where_an_interval_was_not_fitted(examples):
    """Nothing is known beyond day 20 in training: the intervals behind follow the last that was fitted."""
    known = examples.days_to_purchase <= 20
    censored = replace(
        examples,
        days_to_purchase=np.where(known, examples.days_to_purchase, np.inf),
        observed_days=np.full(len(examples), 20),
        spend=np.full_like(examples.spend, np.nan),
    )
    model = fitted("gradient_boosting", censored)
    assert [classifier is None for classifier in model.hazard.classifiers] == [False, False, True, True]
    inputs = examples.inputs.rows(np.arange(200))
    found = attribute(model, inputs, 60)
    assert found.log_odds == pytest.approx(odds_of(model, inputs, 60), abs=1e-9)
    assert np.abs(found.missing).max() < 1e-5


def test_they_add_up_behind_an_isotonic_curve(boosting, examples):
    bent = Curve(1.0, 0.0, (-3.0, -1.0, 0.0, 2.0), (-2.5, -2.0, 0.5, 0.6))
    model = Calibrated(boosting.model)
    model.calibration = Calibration((bent,) * 4, (1.0,), (1.0,))
    inputs = examples.inputs.rows(np.arange(200))
    found = attribute(model, inputs)
    assert found.log_odds == pytest.approx(odds_of(model, inputs, 30), abs=1e-9)
    assert np.abs(found.missing).max() < 1e-5


def test_a_linear_model_is_told_by_its_weights(regression, examples):
    """One interval alone: slope of the calibration × weight × distance from the mean, from scikit-learn's parts."""
    inputs = examples.inputs.rows(np.arange(50))
    found = attribute(regression, inputs, 7)
    pipeline = regression.hazard.classifiers[0]
    read = pipeline[:-1].transform(inputs.features)
    by_hand = regression.calibration.curves[0].slope * read * pipeline[-1].coef_[0]
    place = PLACE["recency_days"]
    indicator = len(FEATURE_NAMES) + list(pipeline[0].nullable_).index(place)
    assert found.contributions[:, place] == pytest.approx(by_hand[:, place] + by_hand[:, indicator], abs=1e-9)


def test_trees_are_told_by_shapley_values():
    """Every order in which two features may become known, averaged: path-dependent, by hand.

    One stump on recency (leaf values a, b; c rows of each side) and none on the other: all goes to recency.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    from ml.reasons.tabular import margin

    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.integers(0, 2, 400), rng.random(400)]).astype(float)
    label = (rng.random(400) < np.where(rows[:, 0] > 0, 0.9, 0.2)).astype(int)
    stump = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=2, learning_rate=1.0).fit(rows, label)
    base, parts = margin(stump, rows)
    score = stump.decision_function(rows)
    # The base is the mean over the training rows, as the tree's own counts have it.
    assert base == pytest.approx(score.mean())
    assert parts[:, 0] == pytest.approx(score - score.mean())
    assert np.abs(parts[:, 1]).max() < 1e-12


@given(
    st.lists(st.floats(-6, 6), min_size=4, max_size=4),
    st.lists(st.floats(-6, 6), min_size=4, max_size=4),
    st.integers(1, 60),
)
def test_the_whole_way_is_shared_out(began, ended, days):
    base, margins = np.array([began]), np.array([ended])
    counted, *odds = factors(base, margins, expit, np.arange(4), HORIZONS, days)
    assert odds[0][0] + (counted * (margins - base)).sum() == pytest.approx(odds[1][0], abs=1e-4)
    assert odds[1] == pytest.approx(log_odds(expit(margins), HORIZONS, days))


# ---- networks

LENGTHS = np.array([0, 3, 1, 12, 0, 5, 5, 30, 2, 0])


def network_model(home, encoder: str) -> Sequence:
    """A network of random weights over made-up sequences; the last interval was never learned."""
    model = Sequence(encoder)
    with reproducible(3):
        network = CustomerNetwork(FEATURE_NAMES, encoder_rows.HORIZONS, Config(encoder=encoder)).eval()
        for weights in network.parameters():
            weights.data += 0.05 * torch.randn_like(weights)
    inputs = encoder_rows.make_inputs(home, len(LENGTHS))
    network.preprocessing.fit(inputs.features)
    model.network, model.horizons = network, encoder_rows.HORIZONS
    model.unmatured = Unmatured((None, None, 0.8), (0, 0))
    return model


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    home = tmp_path_factory.mktemp("made up")
    encoder_rows.write_sequences(home, LENGTHS, encoder_rows.random_events(LENGTHS))
    return home


@pytest.mark.parametrize("encoder", ["gru", "cnn", "transformer"])
def test_gradients_along_the_way_add_up(encoder, sequences):
    model = Calibrated(network_model(sequences, encoder))
    model.calibration = Calibration((Curve(1.3, -0.2),) * 3, (1.0, 1.0), (1.0, 1.0))
    inputs = encoder_rows.make_inputs(sequences, len(LENGTHS))
    found = attribute(model, inputs, 30, nodes=64)
    assert found.names == NAMES
    assert found.log_odds == pytest.approx(odds_of(model, inputs, 30), abs=1e-4)
    spread = np.abs(found.log_odds - found.base).max()
    assert spread > 0.1
    # Clipped aggregates and piecewise-linear units bend the way: quadrature leaves a little.
    assert np.abs(found.missing).max() < 0.01 * spread


def test_who_has_no_events_has_no_reasons_in_events(sequences):
    found = attribute(network_model(sequences, "gru"), encoder_rows.make_inputs(sequences, len(LENGTHS)))
    of_events = found.contributions[:, len(FEATURE_NAMES) :]
    assert (of_events[LENGTHS == 0] == 0).all()
    assert (of_events[LENGTHS > 0] != 0).any(axis=1).all()


def test_a_stack_hands_on_what_its_networks_read(tmp_path):
    """Boosting on features, heads and embedding of two networks: still the whole, and told by features and events."""
    lengths = np.random.default_rng(0).integers(0, 9, 300)
    encoder_rows.write_sequences(tmp_path, lengths, encoder_rows.random_events(lengths))
    inputs = encoder_rows.make_inputs(tmp_path, 300)
    model = Stack("stack")
    model.networks, model.horizons = (
        [network_model(tmp_path, "gru"), network_model(tmp_path, "cnn")],
        encoder_rows.HORIZONS,
    )
    width = model.networks[0].predict(inputs).embedding.shape[1]
    model.maps = [np.vstack([np.zeros(width), np.eye(width)])] * 2
    # Who buys is what the first network says: boosting has to listen to it.
    chance = model.networks[0].predict(inputs).probability(30)
    examples = encoder_rows.make_examples(inputs, chance=chance > np.median(chance))
    small = {"max_iter": 20, "min_samples_leaf": 5}
    model.hazard = Hazard(model.horizons).fit(lambda: model.classifier(small), model.design(inputs), examples)
    some = inputs.rows(np.arange(80))
    found = attribute(model, some, 30, nodes=32)
    assert found.names == (*NAMES, "learned")
    expected = Forecast(model.horizons, model.hazard.predict(model.design(some)), *[np.zeros((80, 2))] * 2)
    assert found.log_odds == pytest.approx(logit(expected.probability(30)), abs=1e-9)
    assert np.abs(found.missing).max() < 1e-5
    shares = np.abs(found.contributions).sum(axis=0)
    assert shares[:-1].sum() > shares[-1]


# ---- reasons


def test_the_planted_cause_comes_first(boosting, examples):
    found = reasons(boosting, examples.inputs)
    assert found.feature.shape == found.direction.shape == found.contribution.shape == (len(examples), 3)
    assert (found.feature[QUIET, 0] == "recency_days").all()
    assert (found.direction[QUIET, 0] == CHURN).all()
    assert set(found.words[QUIET, 0]) == {f"no purchase for {QUIET_DAYS:.0f} days (usual gap 12)"}
    # For those who bought lately the same feature speaks for the other side, if at all.
    kept = reasons(boosting, examples.inputs, towards=PURCHASE)
    assert not (kept.feature[QUIET] == "recency_days").any()
    of_silence = found.contribution[200:] * (found.feature[200:] == "recency_days")
    assert of_silence.max() < found.contribution[QUIET, 0].min() / 5


def test_reasons_fall_in_size_and_come_once_a_family(boosting, examples):
    found = reasons(boosting, examples.inputs.rows(np.arange(60, 160)), n=5, towards=None)
    assert (np.diff(found.contribution, axis=1) <= 0).all()
    for row in found.feature:
        families = [family(name) for name in row if name]
        assert len(families) == len(set(families))


def test_where_nothing_speaks_for_it_reasons_are_empty(boosting, examples):
    found = attribute(boosting, examples.inputs.rows(np.arange(3)))
    only = replace(found, contributions=np.abs(found.contributions))
    empty = reasons_of(only, examples.inputs.rows(np.arange(3)), towards=CHURN)
    assert (empty.feature == "").all()
    assert (empty.words == "").all()
    assert (empty.contribution == 0).all()


def test_reasons_are_the_same_alone_and_among_others(boosting, examples):
    typical = np.nanmedian(examples.inputs.features, axis=0)
    together = reasons(boosting, examples.inputs.rows(np.arange(50)), typical=typical)
    alone = reasons(boosting, examples.inputs.rows(np.array([7])), typical=typical)
    assert together.words[7].tolist() == alone.words[0].tolist()
    assert together.contribution[7] == pytest.approx(alone.contribution[0], abs=1e-12)


def test_a_rule_of_one_column_is_told_by_its_feature(examples):
    model = Calibrated(make("recency_rule"))
    model.fit(examples, told_examples(seed=1))
    assert set(reasons(model, examples.inputs).feature[QUIET, 0]) == {"recency_days"}


def test_a_forest_tells_the_planted_cause_too(forest, examples):
    found = reasons(forest, examples.inputs.rows(QUIET))
    assert (found.feature[:, 0] == "recency_days").mean() > 0.9


def test_a_model_that_cannot_tell_says_so_in_words(examples, sequences, tmp_path):
    model = Calibrated(make("past_spend"))
    model.fit(examples, told_examples(seed=1))
    with pytest.raises(NoReasons, match="cannot be told"):
        attribute(model, examples.inputs)
    found = reasons(model, examples.inputs)
    assert set(found.words[:, 0]) == {"past_spend gives no reasons"}
    assert not found.words[:, 1:].any()
    assert not found.feature.any()
    assert not write_reasons(tmp_path, "pets (simulated)", model, examples, model.predict(examples.inputs))
    # A network of counts by week has no tokens to follow.
    told = reasons(network_model(sequences, "channels"), encoder_rows.make_inputs(sequences, len(LENGTHS)))
    assert set(told.words[:, 0]) == {"channels gives no reasons"}


def test_importance_finds_the_planted_feature(boosting, examples):
    some = examples.rows(np.arange(400))
    told = importance(attribute(boosting, some.inputs), some.inputs)
    assert told["feature"][0] == "recency_days"
    assert told["more_of_it_speaks_for"][0] == "churn"
    assert next(iter(lost_by_shuffling(boosting, some))) == "silence"


def test_the_report_holds_what_it_says(boosting, examples, tmp_path):
    some = examples.rows(np.arange(300))
    assert write_reasons(tmp_path, "pets (simulated)", boosting, some, boosting.predict(some.inputs))
    assert {file.name for file in tmp_path.iterdir()} == {
        "importance.csv", "importance.png", "contributions.png", "reasons.csv"
    }  # fmt: skip
    told = pd.read_csv(tmp_path / "reasons.csv")
    assert told["churn_probability_30d"].is_monotonic_decreasing
    assert told["reason_1"][0].startswith("no purchase for 62 days")
    assert all(file.stat().st_size < 100_000 for file in tmp_path.iterdir())


# ---- words


@pytest.mark.parametrize(
    ("feature", "value", "more", "said"),
    [
        ("recency_days", 62, {"usual_gap_days": 12.0}, "no purchase for 62 days (usual gap 12)"),
        ("recency_days", np.nan, {}, "has never bought"),
        ("order_count_90d", 1, {"typical": 6.0}, "only 1 order in the last 90 days (typical 6)"),
        ("order_count_30d", 0, {"typical": 2.0}, "no orders in the last 30 days (typical 2)"),
        ("order_count_30d", 2, {"typical": 2.0}, "2 orders in the last 30 days"),
        ("return_amount_90d", 45.2, {"typical": 0.0}, "45 refunded in the last 90 days (typical 0)"),
        ("bounce_rate_90d", 0.75, {"typical": 0.2},
         "75% of visits hold a single event in the last 90 days (typical 20%)"),
        ("session_count_90d", np.nan, {}, "session count unknown"),
        ("night_share_90d", 0.004, {"typical": 0.14},
         "under 1% of events at night in the last 90 days (typical 14%)"),
        ("category_diversity_90d", 2.04, {"typical": 44.0},
         "only 2 different categories in the last 90 days (typical 44)"),
        ("items_per_line_90d", 33.0, {"typical": 1.04}, "33 units a purchase line in the last 90 days (typical 1)"),
        ("items_per_line_90d", 1.0, {}, "1 unit a purchase line in the last 90 days"),
        ("amount_velocity_7d", 136.2, {"typical": 0.25},
         "spends 136 times as fast in the last 7 days as in the 83 days before (typical 0.25)"),
        ("night_share_90d", 0.58, {"typical": 0.11}, "58% of events at night in the last 90 days (typical 11%)"),
        ("purchase_amount_365d", 1, {}, "spent 1 in the last 365 days"),
        ("earlier_events", np.nan, {}, "order and timing of events (earlier events)"),
    ],
)  # fmt: skip
def test_words_carry_the_customers_own_numbers(feature, value, more, said):
    assert in_words(feature, value, CHURN, **more) == said


def test_little_is_called_only_where_it_speaks_for_churn():
    assert in_words("order_count_90d", 3, PURCHASE, typical=6.0) == "3 orders in the last 90 days (typical 6)"


@pytest.mark.parametrize("feature", FEATURE_NAMES)
def test_every_feature_has_words(feature):
    assert family(feature) != EVENTS_FAMILY
    for value in (0.0, 1.0, 3.04, 19.96, 37.4, np.nan):
        told = in_words(feature, value, CHURN, typical=3.0)
        assert told
        assert not re.search(r"[{_]|nan|\.0\b", told)


# ---- one fact, one reason


def reasons_from(contributions: dict[str, float], **numbers: float):
    """Reasons of one customer whose features are ``numbers``, the rest missing."""
    features = np.full((1, len(FEATURE_NAMES)), np.nan)
    for name, value in numbers.items():
        features[0, PLACE[name]] = value
    some = told_examples().inputs.rows(np.arange(1))
    parts = np.array([[-contributions.get(name, 0.0) for name in FEATURE_NAMES]])
    found = Attribution(30, FEATURE_NAMES, np.zeros(1), parts, parts.sum(axis=1))
    return reasons_of(found, replace(some, features=features), typical=np.full(len(FEATURE_NAMES), 9.0))


def test_visits_are_the_orders_again_where_every_visit_is_an_order():
    speaks = {"session_count_90d": 0.6, "order_count_90d": 0.5, "purchase_days_90d": 0.3, "gap_mean_days": 0.7}
    same = reasons_from(speaks, session_count_90d=4, order_count_90d=5, purchase_days_90d=4, gap_mean_days=20)
    assert same.words[0].tolist() == [
        "only 4 days with a purchase in the last 90 days (typical 9)", "buys every 20 days (typical 9)", ""
    ]  # fmt: skip
    assert same.contribution[0, 0] == pytest.approx(1.4)
    apart = reasons_from(speaks, session_count_90d=8, order_count_90d=5, purchase_days_90d=4, gap_mean_days=20)
    assert apart.feature[0].tolist() == ["order_count_90d", "gap_mean_days", "session_count_90d"]


def test_what_follows_from_silence_is_told_as_silence():
    speaks = {"order_count_90d": 0.5, "category_diversity_90d": 0.4, "session_count_90d": 0.3, "purchase_amount_90d": 1}
    gone = dict.fromkeys(speaks, 0.0) | {"recency_days": 114, "event_recency_days": 114}
    (told,) = reasons_from(speaks, **gone).words
    assert told.tolist() == ["no purchase for 114 days (typical 9)", "", ""]
    # Who still looks around has visits to be told of; who bought 80 days ago has orders.
    looks = reasons_from(speaks, **gone | {"session_count_90d": 3, "event_recency_days": 2})
    assert looks.feature[0].tolist() == ["recency_days", "session_count_90d", ""]
    bought = reasons_from(speaks, **gone | {"order_count_90d": 1, "recency_days": 80, "purchase_amount_90d": 7})
    assert bought.feature[0].tolist() == ["purchase_amount_90d", "order_count_90d", "category_diversity_90d"]


@pytest.mark.parametrize(
    ("name", "value", "gap", "is_told"),
    [
        ("recency_days", 0, 205, False),  # bought today (usual gap 205)
        ("recency_days", 10, 5, True),  # typical is 9, but the own gap is what counts
        ("recency_days", 8, np.nan, False),  # no gap of their own: typical is 9
        ("recency_days", 30, np.nan, True),
        ("event_recency_days", 8, 5, False),
        ("order_count_90d", 10, 5, False),  # 10 orders (typical 9)
        ("order_count_90d", 9, 5, True),
        ("view_count_90d", 10, 5, False),
        ("purchase_amount_90d", 10, 5, False),
        ("purchase_amount_90d", 8, 5, True),  # spent 8 (typical 9)
        ("amount_velocity_7d", 10, 5, False),  # spends ten times as fast
        ("line_surprise_7d", 10, 5, False),
        ("event_velocity_7d", 10, 5, False),
        ("session_depth_90d", 10, 5, True),
        ("return_count_90d", 10, 5, True),  # more of those does speak for leaving
        ("return_count_90d", 0, 5, False),
        ("age", np.nan, 5, False),  # age unknown
        ("age", 30, 5, True),
    ],
)
def test_no_reason_to_leave_reads_backwards(name, value, gap, is_told):
    told = reasons_from({name: 0.5}, **{name: value, "gap_mean_days": gap})
    assert told.feature[0].tolist() == [name if is_told else "", "", ""]


def test_what_reads_backwards_leaves_its_family_to_the_others():
    speaks = {"order_count_90d": 0.5, "purchase_days_30d": 0.2}
    (told,) = reasons_from(speaks, order_count_90d=12, purchase_days_30d=1).words
    assert told.tolist() == ["only 1 day with a purchase in the last 30 days (typical 9)", "", ""]


def test_who_never_bought_is_silent_too():
    (told,) = reasons_from({"order_count_30d": 0.5}, order_count_30d=0).words
    assert told[0] == "has never bought"
