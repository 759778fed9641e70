"""The network on a simulated shop whose truth is known, and on inputs no shop should have."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import betaln

from expectations.behaviour import FEATURE_NAMES, FEATURES
from ml.baselines import BASELINES, signed_log1p
from ml.dataset import Examples
from ml.evaluate import auc, calibration_error, equal_bins
from ml.network import BehaviourNetwork, Config
from ml.train_network import Fitted, fit_network

CONFIG = Config(max_epochs=25)


def weights_digest(network: BehaviourNetwork) -> str:
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode() + values.numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def fitted(splits) -> Fitted:
    return fit_network(splits.train, splits.valid, CONFIG)


@pytest.mark.skipif(torch.cuda.is_available(), reason="bits are promised on the CPU only")
def test_same_seed_same_bits_other_seed_other_bits(splits):
    short = replace(CONFIG, max_epochs=3)
    first = weights_digest(fit_network(splits.train, splits.valid, short).network)
    torch.manual_seed(99)  # what else the process draws must not matter
    torch.set_num_threads(2)
    assert weights_digest(fit_network(splits.train, splits.valid, short).network) == first
    assert weights_digest(fit_network(splits.train, splits.valid, replace(short, seed=1)).network) != first


def test_training_leaves_the_process_as_it_was(splits):
    torch.manual_seed(5)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    fit_network(splits.train, splits.valid, replace(CONFIG, max_epochs=1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(torch.cuda.is_available(), reason="bits are promised on the CPU only")
def test_what_is_learned_depends_on_training_and_validation_rows_alone(splits):
    short = replace(CONFIG, max_epochs=2)
    before = fit_network(splits.train, splits.valid, short).network.state_dict()
    # Validation rows may choose when to stop, not how inputs are scaled.
    wild = replace(splits.valid, features=splits.valid.features * 1000)
    after = fit_network(splits.train, wild, short).network.state_dict()
    buffers = [name for name in before if name.startswith(("preprocessing.", "log_spend"))]
    assert len(buffers) >= 7
    for name in buffers:
        assert torch.equal(before[name], after[name]), name


def test_standardised_inputs_of_training_rows_have_mean_nil_and_deviation_one(splits):
    network = BehaviourNetwork(FEATURE_NAMES, replace(CONFIG, clip_deviations=100.0))
    network.fit_preprocessing(splits.train.features, splits.train.spend)
    inputs = network.double().preprocessing(torch.tensor(splits.train.features)).numpy()[:, : len(FEATURE_NAMES)]
    varies = np.ma.masked_invalid(splits.train.features).std(axis=0).filled(0.0) > 0
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(inputs[:, varies].std(axis=0), 1, atol=1e-4)
    assert (inputs[:, ~varies] == 0).all()


def best_possible(splits, shop) -> np.ndarray:
    """P(purchase within 30 days) by the simulation's own law: the beta prior, updated by days with a purchase."""
    frame = shop.features(splits.cutoffs[0]).set_index("customer_key").loc[splits.test.customer_keys]
    bought, days = frame["frequency_days"].to_numpy(), frame["tenure_days"].to_numpy() + 1
    a, b = 0.7 + bought, 12 + days - bought
    return 1 - np.exp(betaln(a, b + 30) - betaln(a, b))


def test_probabilities_are_nearly_as_good_as_the_law_of_the_simulation_allows(fitted, splits, shop):
    is_buyer, best = splits.test.is_buyer, best_possible(splits, shop)
    probability = fitted.predict(splits.test.features)[:, 0]
    # The law knows every purchase of 240 days, models see windows of 90.
    assert auc(is_buyer, probability) > auc(is_buyer, best) - 0.02
    assert ((probability - is_buyer) ** 2).mean() < ((best - is_buyer) ** 2).mean() + 0.01
    assert calibration_error(is_buyer, probability) < 0.05
    for group in equal_bins(best, 4):
        assert abs(probability[group].mean() - best[group].mean()) < 0.1


def test_spend_comes_near_the_known_truth(fitted, splits, shop):
    rows = [shop.keys.tolist().index(key) for key in splits.test.customer_keys]
    probability, spend = fitted.predict(splits.test.features).T
    # E[spend in 30 days] = 30 x daily probability x mean spend; the log-normal error of the simulation has mean 1.
    expected = 30 * shop.daily_probability[rows] * shop.mean_spend[rows]
    assert np.corrcoef(np.log(probability * spend), np.log(expected))[0, 1] > 0.85
    assert abs((probability * spend).sum() / expected.sum() - 1) < 0.15


def test_early_stopping_keeps_the_best_epoch(fitted, splits):
    assert fitted.best_epoch == int(np.argmin(fitted.valid_loss)) + 1
    assert len(fitted.train_loss) == len(fitted.valid_loss) <= CONFIG.max_epochs
    assert fitted.train_loss[-1] < fitted.train_loss[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300])
def test_any_input_gives_a_probability_and_finite_spend(fitted, value, splits):
    rows = np.vstack([np.full((1, len(FEATURE_NAMES)), value), splits.test.features[:5]])
    for n in range(len(FEATURE_NAMES)):
        rows[1, n] = value
        found = fitted.predict(rows)
        assert np.isfinite(found).all()
        assert ((found[:, 0] >= 0) & (found[:, 0] <= 1)).all()
        assert (found[:, 1] <= splits.train.spend.max() * 1.0001).all()


def test_who_never_bought_is_less_likely_to_buy_than_most_who_have(fitted, splits, shop):
    frame = shop.features(splits.cutoffs[0])
    never = frame.loc[frame["frequency_days"] == 0, list(FEATURE_NAMES)].astype("float64").to_numpy()
    assert np.isnan(never[:, FEATURE_NAMES.index("recency_days")]).all()
    bought = fitted.predict(splits.test.features)[:, 0]
    assert fitted.predict(never)[:, 0].max() < np.quantile(bought, 0.25)


def test_predictions_do_not_depend_on_the_other_rows(fitted, splits):
    features = splits.test.features
    whole = fitted.predict(features)
    order = np.random.default_rng(0).permutation(len(features))
    np.testing.assert_allclose(fitted.predict(features[order]), whole[order], rtol=1e-9)
    one_by_one = np.vstack([fitted.predict(features[n : n + 1]) for n in range(50)])
    np.testing.assert_allclose(one_by_one, whole[:50], rtol=1e-9)


def test_a_shop_where_everybody_buys_and_one_where_nobody_does(splits):
    for bought in (1.0, 0.0):
        part = replace(
            splits.valid,
            is_buyer=np.full(len(splits.valid), bought),
            spend=np.full(len(splits.valid), 20.0 * bought),
        )
        found = fit_network(part, part, replace(CONFIG, max_epochs=60)).predict(part.features)
        assert np.isfinite(found).all()
        assert abs(found[:, 0].mean() - bought) < 0.1


def test_exported_program_takes_any_number_of_rows_and_says_the_same(fitted, splits):
    rows = torch.tensor(splits.test.features)
    batch = torch.export.Dim.AUTO
    program = torch.export.export(fitted.network, (rows[:4],), dynamic_shapes=[{0: batch}])
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for n in (1, 2, len(rows)):
        np.testing.assert_allclose(loaded(rows[:n]).detach(), fitted.predict(rows[:n].numpy()), rtol=1e-12)


def test_features_are_the_numbers_of_the_contract_but_those_that_count_the_shops_history():
    numbers = {c.name for c in FEATURES.columns if c.type in ("int32", "int64", "double")}
    long = {name for name in numbers if name.endswith(("_180d", "_365d"))}
    # Ratios and means have a denominator that may be 0, and do not grow with the data's age.
    ratios = {name for name in long if FEATURES.column(name).nullable}
    assert {"return_rate_365d", "rating_mean_365d"} <= ratios
    assert numbers - set(FEATURE_NAMES) == {"tenure_days", "frequency_days", "order_count"} | long - ratios


def preprocessed(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """``rows`` as the network sees them after training on ``features``."""
    network = BehaviourNetwork(FEATURE_NAMES, CONFIG)
    network.fit_preprocessing(features, np.ones(len(features)))
    return network.double().preprocessing(torch.tensor(rows)).numpy()


def test_inputs_end_where_the_training_range_does(splits):
    features = splits.train.features
    top = np.ma.masked_invalid(features).max(axis=0).filled(0.0)[None]
    for factor in (2, 100, 1e30):
        found = preprocessed(features, top * factor)
        np.testing.assert_allclose(found, preprocessed(features, top), rtol=1e-6)  # limits are float32


def test_null_indicators_that_never_varied_say_nothing(splits):
    # Everybody who is trained on has bought, so nobody's recency is null; a prospect's is.
    n, buyers = FEATURE_NAMES.index("recency_days"), splits.train.features
    assert not np.isnan(buyers[:, n]).any()
    prospect = buyers[:1].copy()
    prospect[:, n] = np.nan
    oldest = buyers[:1].copy()
    oldest[:, n] = buyers[:, n].max()
    np.testing.assert_array_equal(preprocessed(buyers, prospect), preprocessed(buyers, oldest))
    # The indicator of a gap, which varies in training, still tells.
    gap = FEATURE_NAMES.index("gap_last_days")
    unknown = np.where(np.arange(len(FEATURE_NAMES)) == gap, np.nan, buyers[:1])
    assert (preprocessed(buyers, unknown)[:, len(FEATURE_NAMES) :] == 1).any()
    # Null in every row is constant as well.
    always = buyers.copy()
    always[:, gap] = np.nan
    assert (preprocessed(always, always[:1])[:, len(FEATURE_NAMES) :].max(axis=0) == 0).any()


def test_negative_features_are_told_apart_by_network_and_baselines(splits):
    # A margin, say: who loses the shop money buys, and nobody else does.
    def losing(part: Examples) -> Examples:
        features = part.features.copy()
        features[:, FEATURE_NAMES.index("order_count_90d")] = np.where(part.is_buyer > 0, -50.0, -2.0)
        return replace(part, features=features)

    train, valid = losing(splits.train), losing(splits.valid)
    models = {name: model(0).fit(train.features, train.is_buyer, train.spend) for name, model in BASELINES.items()}
    models["network"] = fit_network(train, valid, CONFIG)
    for name in ("network", "logistic_regression", "gradient_boosting"):
        assert auc(valid.is_buyer, models[name].predict(valid.features)[:, 0]) == 1.0, name


def test_signed_logarithm_is_log1p_where_nothing_is_negative():
    values = np.array([0.0, 1e-9, 0.5, 3.0, 1e12, np.inf])
    np.testing.assert_array_equal(signed_log1p(values), np.log1p(values))
    np.testing.assert_array_equal(signed_log1p(-values), -np.log1p(values))
    assert np.isnan(signed_log1p(np.nan))


def test_a_planted_leak_is_visible(splits):
    def leaky(part: Examples) -> Examples:
        features = part.features.copy()
        features[:, FEATURE_NAMES.index("campaign_count_7d")] = part.is_buyer
        return replace(part, features=features)

    honest = fit_network(splits.train, splits.valid, CONFIG).predict(splits.test.features)
    leaked = fit_network(leaky(splits.train), leaky(splits.valid), CONFIG).predict(leaky(splits.test).features)
    assert auc(splits.test.is_buyer, honest[:, 0]) < 0.95
    assert auc(splits.test.is_buyer, leaked[:, 0]) > 0.999
