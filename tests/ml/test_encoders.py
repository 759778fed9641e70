"""Encoders of event sequences against slow references that take one customer, one token at a time."""

import pickle
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn.functional import conv1d, embedding_bag, layer_norm, silu

from expectations.behaviour import FEATURE_NAMES
from ml.encoders.heads import log_odds
from ml.encoders.network import ENCODERS, Config, CustomerNetwork
from ml.encoders.packing import FIELDS, NUMBERS, Batch, Buckets
from ml.encoders.reader import Reader, in_order, shuffled
from ml.encoders.recurrent import Recurrent
from ml.encoders.score import score
from ml.encoders.tokens import look_up
from ml.encoders.train import Labelled, compiled_parts, loss_of, reproducible
from ml.encoders.transformer import HEAD_WIDTH
from ml.encoders.unmatured import Unmatured
from ml.forecast import Forecast
from ml.models.sequence import Sequence
from tests.ml.encoder_rows import (
    CUTOFF,
    HORIZONS,
    days_before,
    make_examples,
    make_inputs,
    random_events,
    write_sequences,
)

# None, one event, many: 0 must stand first, last and between others.
LENGTHS = np.array([0, 3, 1, 12, 0, 5, 5, 30, 2, 0])
SMALL = Buckets(product_hash=64, category_hash=32, brand_hash=16)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("made up")
    write_sequences(home, LENGTHS, random_events(LENGTHS))
    return home


def network_of(encoder: str, **changes) -> CustomerNetwork:
    with reproducible(3):
        network = CustomerNetwork(FEATURE_NAMES, HORIZONS, Config(encoder=encoder, buckets=SMALL, **changes)).eval()
        # Weights that a fresh network starts from differ too little to tell places apart.
        for weights in network.parameters():
            weights.data += 0.1 * torch.randn_like(weights)
    return network


def read_all(home, rows: list[int] | None = None) -> Batch:
    reader = Reader(make_inputs(home, len(LENGTHS)), SMALL)
    return reader.read(np.arange(len(LENGTHS)) if rows is None else np.array(rows))


# ---- tokens


def tokens_one_by_one(events: dict[str, np.ndarray], customer: int) -> list[dict]:
    """What each token of a customer is: codes of its events, and numbers of when and how much."""
    ends = np.cumsum(LENGTHS)
    found, previous = [], None
    for place in range(ends[customer] - LENGTHS[customer], ends[customer]):
        event = {name: values[place].item() for name, values in events.items()}
        if previous is None or event["event_seconds"] != previous:
            gap = 0 if previous is None else event["event_seconds"] - previous
            found.append({"codes": [], "amount": 0.0, "gap": gap, "first": previous is None, "event": event})
        previous = event["event_seconds"]
        price = event["price_bucket"]
        event["price_bucket"] = 0 if price == -1000 else min(1 + max(price + 160, 0) // 4, SMALL.price_bucket - 1)
        base = 0
        for name, size in zip(FIELDS, SMALL.sizes, strict=True):
            found[-1]["codes"].append(base + event[name] % size)
            base += size
        found[-1]["amount"] += event["amount"]
    return found


def test_tokens_are_those_of_a_loop_over_events(home):
    batch, events = read_all(home), random_events(LENGTHS)
    bounds = [*batch.bags.tolist(), len(batch.codes)]
    for customer in range(len(LENGTHS)):
        wanted = tokens_one_by_one(events, customer)
        first, end = batch.offsets[customer], batch.offsets[customer + 1]
        assert end - first == len(wanted)
        for token, one in zip(range(first, end), wanted, strict=True):
            assert batch.codes[bounds[token] : bounds[token + 1]].tolist() == one["codes"]
            numbers = dict(zip(NUMBERS, batch.numbers[token].tolist(), strict=True))
            event = one["event"]
            assert numbers["log_events"] == pytest.approx(np.log1p(len(one["codes"]) / len(FIELDS)))
            assert numbers["log_amount"] == pytest.approx(np.log1p(one["amount"]), rel=1e-5, abs=1e-6)
            assert numbers["log_gap_days"] == pytest.approx(np.log1p(one["gap"] / 86_400), rel=1e-5)
            assert numbers["is_first"] == one["first"]
            assert numbers["log_age_days"] == pytest.approx(np.log1p(event["age_days"]), rel=1e-6)
            assert numbers["weekday_sine"] == pytest.approx(np.sin(2 * np.pi * event["weekday"] / 7), abs=1e-6)
            # Without an hour, nothing is said of it: not that it was midnight.
            known = event["hour"] >= 0
            assert numbers["has_hour"] == known
            assert numbers["hour_cosine"] == pytest.approx(
                np.cos(2 * np.pi * event["hour"] / 24) if known else 0, abs=1e-6
            )


def test_codes_stay_within_their_tables(home):
    codes = read_all(home).codes.view(-1, len(FIELDS))
    ends = np.cumsum(SMALL.sizes)
    for n, end in enumerate(ends):
        assert (codes[:, n] >= end - SMALL.sizes[n]).all()
        assert (codes[:, n] < end).all()


def test_every_row_is_drawn_once(home):
    events = np.random.default_rng(0).integers(0, 50, 103)
    drawn = np.concatenate(list(shuffled(events, 8, np.random.default_rng(1))))
    assert sorted(drawn) == list(range(103))
    assert np.concatenate(list(in_order(103, 8))).tolist() == list(range(103))


def test_texts_reach_their_token(tmp_path):
    lengths = np.array([4, 3])
    events = random_events(lengths, baskets=0.0)
    events["text_row"][5] = 2
    write_sequences(tmp_path, lengths, events, texts=3)
    inputs = make_inputs(tmp_path, 2)
    batch = Reader(inputs, SMALL).read(np.arange(2))
    assert batch.text_tokens.tolist() == [5]
    assert np.array_equal(batch.texts.numpy()[0], np.random.default_rng(1).normal(size=(3, 5)).astype(np.float16)[2])
    network = network_of("gru", text_width=5)
    silent = replace(batch, texts=torch.zeros_like(batch.texts))
    with torch.no_grad():
        moved = (network.states(batch) - network.states(silent)).abs().sum(dim=1)
    assert moved[:5].sum() == 0
    assert moved[5] > 0


# ---- encoders


def recurrent_reference(module: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    return module.layers(tokens[:, None])[0][:, 0]


def cnn_reference(module: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    for depth, (linear, norm) in enumerate(zip(module.convolutions, module.norms, strict=True)):
        width, step = tokens.shape[1], 2**depth
        # The newest token comes first in the weights of a window, last in a convolution's kernel.
        kernel = linear.weight.view(width, 3, width).permute(0, 2, 1).flip(2)
        padded = nn.functional.pad(tokens.T[None], (2 * step, 0))
        tokens = norm(tokens + silu(conv1d(padded, kernel, linear.bias, dilation=step)[0].T))
    return tokens


def transformer_reference(module: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    for block in module.blocks:
        n, width = tokens.shape
        normal = layer_norm(tokens, (width,), block.before_attention.weight, block.before_attention.bias)
        query, key, value = block.query_key_value(normal).split(width, dim=1)
        seen = torch.zeros(n, width)
        for head in range(width // HEAD_WIDTH):
            mine = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
            for place in range(n):
                scores = key[: place + 1, mine] @ query[place, mine] / HEAD_WIDTH**0.5
                seen[place, mine] = torch.softmax(scores, 0) @ value[: place + 1, mine]
        tokens = tokens + block.out(seen)
        tokens = tokens + block.layers(block.before_layers(tokens))
    return module.norm(tokens)


REFERENCES = {
    "gru": recurrent_reference,
    "lstm": recurrent_reference,
    "cnn": cnn_reference,
    "transformer": transformer_reference,
}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_packed_states_are_those_of_each_customer_alone(home, encoder, layers):
    network, batch = network_of(encoder, layers=layers), read_all(home)
    with torch.no_grad():
        states, tokens = network.states(batch), network.tokens(batch)
        for first, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
            if first < end:
                alone = REFERENCES[encoder](network.encoder, tokens[first:end])
                torch.testing.assert_close(states[first:end], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_gradients_of_our_gru_are_those_of_pytorch(home, layers):
    network, batch = network_of("gru", layers=layers, dropout=0.0), read_all(home)
    start = torch.randn(len(batch.row_of), 32, generator=torch.manual_seed(1))
    weighing = torch.randn(len(batch.row_of), 32, generator=torch.manual_seed(2))
    found = []
    for forward in (network.encoder.forward, lambda *args: Recurrent.forward(network.encoder, *args)):
        tokens = start.clone().requires_grad_()
        network.zero_grad()
        states = forward(tokens, batch)
        (states * weighing).sum().backward()
        found.append([states, tokens.grad, *(weights.grad.clone() for weights in network.encoder.parameters())])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_gradients_of_our_table_are_those_of_pytorch(home):
    batch, table = read_all(home), network_of("gru").tokens.table
    weighing = torch.randn(len(batch.row_of), 32, generator=torch.manual_seed(2))
    found = []
    for one in (look_up, lambda table, codes, bags: embedding_bag(codes, table, bags, mode="mean")):
        table.grad = None
        (one(table, batch.codes, batch.bags.int()) * weighing).sum().backward()
        found.append(table.grad)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_pooling_is_last_mean_and_attention(home):
    network, batch = network_of("gru"), read_all(home)
    with torch.no_grad():
        states = network.states(batch)
        pooled = network.pooling(states, batch)
        for row, (first, end) in enumerate(zip(batch.offsets[:-1], batch.offsets[1:], strict=True)):
            mine = states[first:end]
            if first == end:
                assert (pooled[row] == 0).all()
                continue
            weights = torch.softmax(5 * torch.tanh(network.pooling.score(mine)), dim=0)
            wanted = torch.cat([mine[-1], mine.mean(dim=0), (weights * mine).sum(dim=0)])
            torch.testing.assert_close(pooled[row], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_customers_without_events_get_a_forecast(home, encoder):
    network = network_of(encoder)
    scored = score(network, make_inputs(home, len(LENGTHS)))
    # A batch of nobody but them, too.
    silent = make_inputs(home, len(LENGTHS)).rows(np.flatnonzero(LENGTHS == 0))
    alone = score(network, silent)
    np.testing.assert_allclose(alone.hazard, scored.hazard[LENGTHS == 0], rtol=1e-4, atol=1e-6)
    assert np.isfinite(scored.hazard).all()
    assert np.isfinite(scored.spend).all()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_neither_order_nor_company_matters(home, encoder):
    network, inputs = network_of(encoder), make_inputs(home, len(LENGTHS))
    scored = score(network, inputs)
    order = np.random.default_rng(5).permutation(len(LENGTHS))
    for batch_rows in (1, 3, 100):
        other = score(network, inputs.rows(order), batch_rows)
        for one, two in zip(vars(scored).values(), vars(other).values(), strict=True):
            np.testing.assert_allclose(two, one[order], rtol=1e-4, atol=1e-5)


def test_rows_of_several_cutoffs_come_back_in_their_order(home):
    write_sequences(home, LENGTHS[::-1], random_events(LENGTHS[::-1], seed=9), days_before(14))
    network, now = network_of("gru"), make_inputs(home, len(LENGTHS))
    then = replace(now, cutoffs=np.full(len(now), np.datetime64(days_before(14))))
    mixed = replace(now, cutoffs=np.where(np.arange(len(now)) % 2, now.cutoffs, then.cutoffs))
    hazard = score(network, mixed, batch_rows=4).hazard
    apart = np.where(np.arange(len(now))[:, None] % 2, score(network, now).hazard, score(network, then).hazard)
    np.testing.assert_allclose(hazard, apart, rtol=1e-4, atol=1e-6)


def test_what_comes_after_the_cutoff_changes_no_bit(tmp_path):
    write_sequences(tmp_path, LENGTHS, random_events(LENGTHS), days_before(20))
    inputs = make_inputs(tmp_path, len(LENGTHS), cutoff=days_before(20))
    network = network_of("gru")
    before = score(network, inputs)
    # Later snapshots hold what happened since: more events, of everybody.
    write_sequences(tmp_path, LENGTHS + 4, random_events(LENGTHS + 4, seed=3), CUTOFF)
    after = score(network, inputs)
    assert all(np.array_equal(one, two) for one, two in zip(vars(before).values(), vars(after).values(), strict=True))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_state_knows_nothing_of_later_events(home, encoder):
    network, batch = network_of(encoder), read_all(home, [7])
    changed = replace(batch, numbers=torch.cat([batch.numbers[:-1], batch.numbers[-1:] + 1]))
    with torch.no_grad():
        states, other = network.states(batch), network.states(changed)
    torch.testing.assert_close(states[:-1], other[:-1], rtol=0, atol=1e-6)
    assert (states[-1] - other[-1]).abs().max() > 1e-3


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
