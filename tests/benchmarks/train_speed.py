"""Events a second in training: packed rows against rows padded to the longest of their batch, on one thread.

The same network (the default GRU) takes the same steps over the same batches of random rows, forwards, backwards and
the optimiser's; nothing but the padding differs. Reading is in both. A padded row is filled up with tokens of one event
that says nothing, and the states of those are dropped before pooling, as a mask would drop them.
"""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from expectations.behaviour import FEATURE_NAMES
from ml.encoders.network import Config, CustomerNetwork
from ml.encoders.packing import FIELDS, Batch
from ml.encoders.reader import Reader
from ml.encoders.train import Labelled, Training, loss_of, reproducible
from ml.examples import Examples, Inputs
from ml.horizons import Horizons
from tests.benchmarks.behaviour_lengths import described, write_home

CUSTOMERS, ROUNDS = 5_120, 3


def measure(folder: Path) -> dict[str, float]:
    """packed_vs_padded: how many times as many events a second; the best of some rounds of each, taken in turns."""
    home = folder / "random sequences"
    shutil.rmtree(home, ignore_errors=True)
    try:
        inputs = write_home(home, CUSTOMERS)
        with reproducible(0):
            return _measured(inputs)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _measured(inputs: Inputs) -> dict[str, float]:
    settings, config = Training(), Config()
    network = CustomerNetwork(FEATURE_NAMES, Horizons(), config)
    reader = Reader(inputs, config.buckets)
    examples = _examples(inputs)
    data = Labelled.of(examples, reader, torch.device("cpu"))
    network.preprocessing.fit(inputs.features)
    network.heads.fit(examples)
    tokens = np.concatenate([reader.read(rows).lengths.numpy() for rows in _batches(settings.batch_rows)])
    print(described(reader.events, tokens))
    print(f"{config}, {settings.batch_rows} rows a step, {sum(p.numel() for p in network.parameters()):,} weights")
    seconds = {"packed": [], "padded": []}
    for _ in range(ROUNDS):
        for way in seconds:
            seconds[way].append(_seconds(network, data, settings, padded=way == "padded"))
    speed = {way: reader.events.sum() / min(taken) for way, taken in seconds.items()}
    print(", ".join(f"{way} {value:,.0f} events/s" for way, value in speed.items()))
    return {"packed_vs_padded": speed["packed"] / speed["padded"]}


def _seconds(network: CustomerNetwork, data: Labelled, settings: Training, padded: bool) -> float:
    """Of one epoch."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    if padded:
        network.states = lambda batch: _padded_states(network, batch)
    began = time.process_time()
    for rows in _batches(settings.batch_rows):
        batch = data.reader.read(rows)
        loss = loss_of(network, batch, data)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    taken = time.process_time() - began
    if padded:
        del network.states
    return taken


def _padded_states(network: CustomerNetwork, batch: Batch) -> Tensor:
    """(tokens, width): as CustomerNetwork.states, by way of (rows, longest, width)."""
    filled, real = pad(batch)
    longest = len(batch.step_sizes)
    tokens = network.tokens(filled).view(len(batch.rows), longest, -1)
    states = network.encoder.layers(tokens.transpose(0, 1))[0].transpose(0, 1)
    return states.flatten(0, 1)[real]


def pad(batch: Batch) -> tuple[Batch, Tensor]:
    """Every row as long as the longest; and where in it the tokens of ``batch`` lie."""
    rows, longest = len(batch.rows), len(batch.step_sizes)
    real = batch.row_of * longest + torch.arange(len(batch.row_of)) - batch.offsets[batch.row_of]
    events = torch.ones(rows * longest, dtype=torch.int64)
    events[real] = torch.diff(batch.bags, append=torch.tensor([len(batch.codes)])) // len(FIELDS)
    starts = torch.cumsum(events, 0) - events
    token_of = torch.repeat_interleave(torch.arange(len(batch.row_of)), events[real])
    within = torch.arange(len(token_of)) - batch.bags[token_of] // len(FIELDS)
    codes = torch.zeros(int(events.sum()), len(FIELDS), dtype=batch.codes.dtype)
    codes[starts[real][token_of] + within] = batch.codes.view(-1, len(FIELDS))
    numbers = torch.zeros(rows * longest, batch.numbers.shape[1])
    numbers[real] = batch.numbers
    return replace(batch, codes=codes.flatten(), bags=starts * len(FIELDS), numbers=numbers), real


def _batches(batch_rows: int) -> list[np.ndarray]:
    return np.split(np.random.default_rng(0).permutation(CUSTOMERS), CUSTOMERS // batch_rows)


def _examples(inputs: Inputs) -> Examples:
    rng, horizons, rows = np.random.default_rng(1), Horizons(), len(inputs)
    days = np.where(rng.random(rows) < 0.7, rng.integers(1, 91, rows), np.inf)
    spend = rng.lognormal(3, 1, (rows, 2)) * (days[:, None] <= np.array(horizons.spend_days))
    return Examples(horizons, inputs, days, np.full(rows, 90), spend)
