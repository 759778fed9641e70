"""Encoders of event sequences against slow references that take one customer, one token at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv1d, embedding_bag, layer_norm, silu

from ml.encoders.network import ENCODERS
from ml.encoders.recurrent import Recurrent
from ml.encoders.score import score
from ml.encoders.tokens import look_up
from ml.encoders.transformer import HEAD_WIDTH
from tests.ml.encoder_rows import (
    CUTOFF,
    LENGTHS,
    days_before,
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
