"""Training of the customer network: AdamW, running mean of the weights, early stopping on validation.

The same loop on the CPU and on CUDA. On CUDA products are taken in bfloat16, the optimiser is fused, parts made of many
small steps are compiled, and the next batches are read while the device computes.
"""

import copy
import logging
import math
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from expectations.errors import DataError
from ml.encoders.heads import UNKNOWN
from ml.encoders.network import CustomerNetwork
from ml.encoders.packing import FIELDS, Batch
from ml.encoders.pretrain import pretrain
from ml.encoders.reader import Reader, in_order, shuffled
from ml.examples import Examples
from ml.loss import ziln_windows_loss

log = logging.getLogger(__name__)

GRADIENT_NORM = 5.0
"""Longer gradients are cut to this length: one outlying spend must not throw the weights away."""

SAMPLE_ROWS = 4096
"""Rows whose tokens say what numbers of tokens look like."""


@dataclass(frozen=True)
class Training:
    """How the network is trained.

    learning_rate    AdamW's step size, per step
    weight_decay     AdamW's decoupled decay, per step and unit of learning rate
    batch_rows       rows a step
    averaging        share of the running mean of weights that a step keeps; the mean is what is validated and shipped
    max_epochs       passes over the training rows, at most
    patience_epochs  epochs without a better validation loss before training stops
    spend_weight     of the density of spend beside the hazard: at full weight its noise stops training too early
    pretrain_epochs  passes of next-event pre-training before; 0: none, since no gain by it has been shown
    group_weight     of the cross-entropy of value groups beside the loss, where the network tells them apart
    seed             of initial weights, dropout and order of rows
    """

    learning_rate: float = 3e-3
    weight_decay: float = 1.0
    batch_rows: int = 512
    averaging: float = 0.99
    max_epochs: int = 30
    patience_epochs: int = 4
    spend_weight: float = 0.1
    pretrain_epochs: int = 0
    group_weight: float = 0.3
    seed: int = 0


@dataclass
class History:
    """By epoch: losses in nats a row (of pre-training, a token), and events a second. ``best_epoch`` counts from 1."""

    train_loss: list[float] = field(default_factory=list)
    valid_loss: list[float] = field(default_factory=list)
    events_per_second: list[float] = field(default_factory=list)
    pretrain_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0


@dataclass(frozen=True)
class Labelled:
    """Rows to learn from. ``reader``: their events; the rest, (rows, …), is small and lies on the device."""

    reader: Reader
    aggregates: Tensor
    at_risk: Tensor
    is_event: Tensor
    spend: Tensor

    @classmethod
    def of(cls, examples: Examples, reader: Reader, device: torch.device) -> "Labelled":
        def tensor(values: np.ndarray, kind: torch.dtype = torch.float32) -> Tensor:
            return torch.tensor(values, dtype=kind, device=device)

        return cls(
            reader,
            tensor(examples.inputs.features),
            tensor(examples.at_risk(), torch.bool),
            tensor(examples.is_event()),
            tensor(examples.spend),
        )

    def __len__(self) -> int:
        return len(self.aggregates)


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seeds torch and fixes one thread: sums split over threads differ in their last bits from machine to machine.

    One thread also is the fastest for layers this small. State of the generator and thread count are put back.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def device_here() -> torch.device:
    """CUDA where there is a device, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(network: CustomerNetwork, train: Examples, valid: Examples, settings: Training) -> History:
    """Trains ``network`` in place on ``train``, stops on ``valid``; leaves it on the CPU, ready to predict.

    On one CPU the same seed gives the same bits, if the network was made under ``reproducible`` too.
    """
    device = device_here()
    buckets = network.config.buckets
    network.to(device)
    parts = [Labelled.of(part, Reader(part.inputs, buckets), device) for part in (train, valid)]
    network.preprocessing.fit(train.inputs.features)
    network.heads.fit(train)
    told = []
    if network.channels is None:
        sample = np.random.default_rng(settings.seed).permutation(len(train))[:SAMPLE_ROWS]
        network.tokens.fit(parts[0].reader.read(sample).numbers.to(device))
        told = pretrain(
            network,
            parts[0].reader,
            settings.pretrain_epochs,
            settings.learning_rate,
            settings.batch_rows,
            settings.seed,
        )
    history = _descend(network, *parts, settings)
    history.pretrain_loss = told
    network.cpu().eval()
    return history


def _descend(network: CustomerNetwork, train: Labelled, valid: Labelled, settings: Training) -> History:
    device = train.aggregates.device
    weights = list(network.parameters())
    optimiser = torch.optim.AdamW(
        weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=device.type == "cuda"
    )
    # The running mean of weights strays less from seed to seed than the weights do, above all in total spend.
    mean = copy.deepcopy(network)
    generator = np.random.default_rng(settings.seed)
    history, best, step = History(), None, 0
    if device.type == "cuda":
        for part in compiled_parts(network):
            part.compile(dynamic=True)
    for epoch in range(1, settings.max_epochs + 1):
        network.train()
        began, total, events = time.perf_counter(), torch.zeros((), device=device), 0
        for batch in batches(train.reader, shuffled(train.reader.events, settings.batch_rows, generator), device):
            loss = loss_of(network, batch, train, settings.spend_weight, settings.group_weight)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, GRADIENT_NORM)
            optimiser.step()
            step += 1
            _average(mean, network, settings.averaging, step)
            total += loss.detach() * len(batch.rows)
            events += len(batch.codes) // len(FIELDS)
        history.train_loss.append(float(total) / len(train))
        history.events_per_second.append(events / (time.perf_counter() - began))
        history.valid_loss.append(validate(mean, valid, settings))
        if history.valid_loss[-1] <= min(history.valid_loss):
            history.best_epoch, best = epoch, copy.deepcopy(mean.state_dict())
        elif epoch - history.best_epoch >= settings.patience_epochs:
            break
    if best is None:
        raise DataError(f"training gave no finite loss in {epoch} epochs: {history.valid_loss[:3]} …")
    network.load_state_dict(best)
    return history


def compiled_parts(network: CustomerNetwork) -> tuple[nn.Module, ...]:
    """Those made of many small steps on small tensors, of which the device would wait for the launch of each."""
    return network.preprocessing, network.fusion, network.heads


def loss_of(
    network: CustomerNetwork, batch: Batch, data: Labelled, spend_weight: float = 1.0, group_weight: float = 0.0
) -> Tensor:
    """Nats a row of ``batch``; spend and the further task of value groups count with their weights."""
    device = data.aggregates.device
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        outputs, _ = network(batch, data.aggregates[batch.rows])
    spend = data.spend[batch.rows]
    loss = ziln_windows_loss(
        outputs.hazard_logits,
        outputs.mu,
        outputs.raw_sigma,
        data.at_risk[batch.rows],
        data.is_event[batch.rows],
        spend,
        spend_weight,
    )
    if not group_weight or not outputs.group_logits.shape[1]:
        return loss
    groups = network.heads.groups_of(spend)
    each = cross_entropy(outputs.group_logits, groups, ignore_index=UNKNOWN, reduction="sum")
    return loss + group_weight * each / len(groups)


@torch.no_grad()
def validate(network: CustomerNetwork, data: Labelled, settings: Training) -> float:
    """Nats a row of all rows, spend weighed as in training, without further tasks."""
    network.eval()
    device = data.aggregates.device
    losses = [
        float(loss_of(network, batch, data, settings.spend_weight)) * len(batch.rows)
        for batch in batches(data.reader, in_order(len(data), 4 * settings.batch_rows), device)
    ]
    return math.fsum(losses) / len(data)


def batches(reader: Reader, chosen: Iterable[np.ndarray], device: torch.device) -> Iterator[Batch]:
    """The batches of ``chosen`` rows on ``device``; beside CUDA another thread reads ahead."""
    if device.type == "cpu":
        yield from (reader.read(rows) for rows in chosen)
        return
    with ThreadPoolExecutor(4) as pool:
        waiting = []
        for rows in chosen:
            waiting.append(pool.submit(lambda rows: reader.read(rows).to(device), rows))
            if len(waiting) > 8:
                yield waiting.pop(0).result()
        for one in waiting:
            yield one.result()


@torch.no_grad()
def _average(mean: CustomerNetwork, network: CustomerNetwork, keep: float, step: int) -> None:
    """Moves the running mean by a step. It keeps less in the first steps, or few of them would hardly move it."""
    keep = min(keep, step / (10 + step))
    torch._foreach_lerp_(list(mean.parameters()), list(network.parameters()), 1 - keep)
