"""Networks on sequences: heads, what training learns and keeps, what CUDA adds as far as a CPU can say."""

import pickle
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from ml.encoders.heads import log_odds
from ml.encoders.network import ENCODERS
from ml.encoders.reader import Reader
from ml.encoders.train import Labelled, compiled_parts, loss_of
from ml.encoders.unmatured import Unmatured
from ml.forecast import Forecast
from ml.models.sequence import Sequence
from tests.ml.encoder_rows import (
    HORIZONS,
    LENGTHS,
    SMALL,
    make_examples,
    make_inputs,
    network_of,
    random_events,
    read_all,
    write_sequences,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("made up")
    write_sequences(home, LENGTHS, random_events(LENGTHS))
    return home


# ---- heads


def test_spend_is_fed_with_the_probability_of_the_hazard():
    logits = torch.randn(5, 3, generator=torch.manual_seed(1))
    odds = torch.exp(log_odds(logits)).numpy()
    nothing = np.zeros((5, 2))
    forecast = Forecast(HORIZONS, torch.sigmoid(logits).double().numpy(), nothing, nothing)
    for n, days in enumerate(HORIZONS.edges_days):
        chance = forecast.probability(days)
        np.testing.assert_allclose(odds[:, n], chance / (1 - chance), rtol=1e-4)


def test_intervals_without_labels_go_on_as_the_last_known():
    rows = make_examples(replace(make_inputs("", 400)))
    short = replace(
        rows, observed_days=np.full(400, 14), spend=np.column_stack([rows.spend[:, 0], np.full(400, np.nan)])
    )
    short = replace(short, days_to_purchase=np.where(rows.days_to_purchase <= 14, rows.days_to_purchase, np.inf))
    unmatured = Unmatured.of(short)
    assert [carry is None for carry in unmatured.carry] == [True, True, False]
    assert unmatured.source == (0, 0)
    hazard = np.array([[0.1, 0.2, 0.999]])
    forecast = unmatured.forecast(
        HORIZONS, rows.inputs.rows(slice(1)), hazard, np.array([[50.0, 9e9]]), np.ones((1, 2))
    )
    assert 0 < forecast.hazard[0, 2] < 0.6  # 16 days at no more than the rate of the 7 before: 1 - 0.8^(16/7) = 0.4
    spend_14, spend_30 = forecast.expected_spend(14), forecast.expected_spend(30)
    np.testing.assert_allclose(spend_30, spend_14 * 30 / 14)


# ---- training


def order_home(tmp_path, customers: int):
    """Each customer has the same events; whether A came before B is all that tells buyers from others."""
    lengths = np.full(customers, 4)
    events = random_events(lengths, seed=11, baskets=0.0)
    rng = np.random.default_rng(12)
    for name, value in (("product_hash", 0), ("category_hash", 0), ("brand_hash", 0), ("price_bucket", -1000)):
        events[name][:] = value
    events["amount"][:] = 0
    types = np.array([rng.permutation([1, 2, 3, 3]) for _ in range(customers)])
    events["event_type"] = types.ravel().astype(np.uint8)
    write_sequences(tmp_path, lengths, events)
    inputs = make_inputs(tmp_path, customers)
    inputs = replace(inputs, features=np.zeros_like(inputs.features))
    buyer = np.argmax(types == 1, axis=1) < np.argmax(types == 2, axis=1)
    return make_examples(inputs, chance=np.where(buyer, 0.95, 0.05)), buyer


class Quick(Sequence):
    space: ClassVar = {
        "learning_rate": (1e-2,), "width": (16,), "hidden": ((16,),), "max_epochs": (20,), "patience_epochs": (20,),
        "batch_rows": (64,), "averaging": (0.9,), "dropout": (0.0,), "weight_decay": (0.02,),
    }  # fmt: skip


@pytest.mark.parametrize("encoder", ENCODERS)
def test_order_that_aggregates_cannot_see_is_learned(tmp_path, encoder):
    examples, buyer = order_home(tmp_path, 800)
    rows = np.arange(800)
    model = Quick(encoder)
    model.fit(examples.rows(rows < 600), examples.rows((rows >= 600) & (rows < 700)))
    forecast = model.predict(examples.inputs.rows(rows >= 700))
    assert roc_auc_score(buyer[rows >= 700], forecast.probability(30)) > 0.9


class Brief(Sequence):
    space: ClassVar = {"max_epochs": (2,), "width": (16,), "hidden": ((16,),), "batch_rows": (64,)}


def fitted(home, encoder: str = "gru", seed: int = 0) -> Sequence:
    model = Brief(encoder, seed=seed)
    examples = make_examples(make_inputs(home, len(LENGTHS)))
    model.fit(examples, examples)
    return model


@pytest.mark.parametrize("encoder", ENCODERS)
def test_same_seed_same_bits(home, encoder):
    one, two, other = fitted(home, encoder), fitted(home, encoder), fitted(home, encoder, seed=1)
    inputs = make_inputs(home, len(LENGTHS), seed=4)
    scores = [model.predict(inputs) for model in (one, two, other)]
    for name in ("hazard", "spend_if_purchase", "spend_sigma", "embedding"):
        assert np.array_equal(getattr(scores[0], name), getattr(scores[1], name))
        assert not np.array_equal(getattr(scores[0], name), getattr(scores[2], name))
    assert one.history["valid_loss"] == two.history["valid_loss"]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_saved_without_pickle_and_the_same_to_the_bit(home, encoder, tmp_path, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    model, inputs = fitted(home, encoder), make_inputs(home, len(LENGTHS), seed=4)
    wanted = model.predict(inputs)
    for name in ("load", "loads", "dump", "dumps", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refused)
    monkeypatch.setattr(torch, "load", refused)
    model.save(tmp_path / "model")
    loaded = Brief.load(tmp_path / "model")
    found = loaded.predict(inputs)
    for name in ("hazard", "spend_if_purchase", "spend_sigma", "embedding"):
        assert np.array_equal(getattr(wanted, name), getattr(found, name))
    assert loaded.params() == model.params()
    assert loaded.history == model.history


def test_windows_that_have_not_matured_teach_nothing(home):
    examples = make_examples(make_inputs(home, len(LENGTHS)))
    # Known for 14 days: the last interval and the window of 30 days are censored.
    cut = replace(examples, observed_days=np.full(len(LENGTHS), 14))
    cut = replace(cut, spend=np.column_stack([cut.spend[:, 0], np.full(len(cut), np.nan)]))
    network, reader = network_of("gru"), Reader(cut.inputs, SMALL)
    labelled = Labelled.of(cut, reader, torch.device("cpu"))
    loss_of(network, reader.read(np.arange(len(cut))), labelled).backward()
    hazard, spend = network.heads.hazard.weight.grad, network.heads.spend.weight.grad
    # Rows of spend's weights: means of both windows, then deviations of both.
    assert (hazard[2] == 0).all()
    assert (spend[[1, 3]] == 0).all()
    assert (hazard[:2] != 0).any(dim=1).all()
    assert (spend[[0, 2]] != 0).any(dim=1).all()
    assert all(torch.isfinite(one.grad).all() for one in network.parameters() if one.grad is not None)


# ---- what CUDA adds, as far as a CPU can say


@pytest.mark.parametrize("encoder", [*ENCODERS, "channels"])
def test_half_precision_says_nearly_the_same(home, encoder):
    network, batch = network_of(encoder), read_all(home)
    aggregates = torch.tensor(make_inputs(home, len(LENGTHS)).features, dtype=torch.float32)[batch.rows]
    with torch.no_grad():
        whole, _ = network(batch, aggregates)
        with torch.autocast("cpu", torch.bfloat16):
            half, embedding = network(batch, aggregates)
    assert half.hazard_logits.dtype == embedding.dtype == torch.float32
    torch.testing.assert_close(torch.sigmoid(half.hazard_logits), torch.sigmoid(whole.hazard_logits), rtol=0, atol=0.05)


def test_what_is_compiled_can_be_traced(home):
    network, batch = network_of("gru"), read_all(home)
    aggregates = torch.tensor(make_inputs(home, len(LENGTHS)).features, dtype=torch.float32)[batch.rows]
    with torch.no_grad():
        whole, _ = network(batch, aggregates)
        for part in compiled_parts(network):
            part.compile(dynamic=True, fullgraph=True, backend="eager")
        traced, _ = network(batch, aggregates)
    torch.testing.assert_close(traced.hazard_logits, whole.hazard_logits)
    torch.testing.assert_close(traced.mu, whole.mu)
