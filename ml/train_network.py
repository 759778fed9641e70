"""Training of the behaviour network: AdamW on the zero-inflated log-normal loss, early stopping on validation."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from expectations.behaviour import FEATURE_NAMES
from expectations.errors import DataError
from ml.dataset import Examples
from ml.loss import ziln_loss
from ml.network import BehaviourNetwork, Config

GRADIENT_NORM = 5.0
"""Longer gradients are cut to this length: one outlying spend must not throw the weights away."""

Batch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Fitted:
    """A trained network, in float64 on the CPU, and its losses by epoch (nats an example)."""

    network: BehaviourNetwork
    train_loss: list[float]
    valid_loss: list[float]
    best_epoch: int
    device: str

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(rows, 2): purchase_probability_30d, spend_if_purchase_30d."""
        with torch.inference_mode():
            return self.network(torch.tensor(features)).numpy()


def fit_network(train: Examples, valid: Examples, config: Config) -> Fitted:
    """Trains on ``train``, stops on ``valid``. On one CPU the same seed gives the same bits; see ``reproducible``."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with reproducible(config.seed):
        network = BehaviourNetwork(FEATURE_NAMES, config)
        network.fit_preprocessing(train.features, train.spend)
        network.to(device)
        fitted = _descend(network, _tensors(train, device), _tensors(valid, device), config)
        fitted.network.cpu().double().eval()
    return fitted


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


def _descend(network: BehaviourNetwork, train: Batch, valid: Batch, config: Config) -> Fitted:
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    # The running mean of weights strays less from seed to seed than the weights do, above all in total spend.
    mean = AveragedModel(network, avg_fn=partial(_average, config.averaging))
    train_losses, valid_losses, best_epoch, best = [], [], 0, None
    for epoch in range(1, config.max_epochs + 1):
        train_losses.append(_epoch(network, mean, optimiser, train, config))
        valid_losses.append(_loss(mean.module, valid))
        if valid_losses[-1] <= min(valid_losses):
            best_epoch, best = epoch, copy.deepcopy(mean.module)
        elif epoch - best_epoch >= config.patience_epochs:
            break
    if best is None:
        raise DataError(f"training gave no finite loss in {len(valid_losses)} epochs: {valid_losses[:3]} …")
    return Fitted(best, train_losses, valid_losses, best_epoch, train[0].device.type)


def _average(keep: float, mean: Tensor, weights: Tensor, steps: Tensor) -> Tensor:
    """The running mean after one more step. It keeps less in the first steps, or few of them would hardly move it."""
    keep = min(keep, (1 + int(steps)) / (10 + int(steps)))
    return torch.lerp(weights, mean, keep)


def _epoch(
    network: BehaviourNetwork, mean: AveragedModel, optimiser: torch.optim.Optimizer, train: Batch, config: Config
) -> float:
    """One pass in a new order; the mean loss of its examples while they were learned."""
    network.train()
    size, device = len(train[0]), train[0].device
    total = 0.0
    for rows in torch.randperm(size).split(config.batch_size):
        features, is_buyer, spend = (values[rows.to(device)] for values in train)
        loss = ziln_loss(*network.outputs(features), is_buyer, spend)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
        optimiser.step()
        mean.update_parameters(network)
        total += loss.item() * len(rows)
    return total / size


def _loss(network: BehaviourNetwork, batch: Batch) -> float:
    network.eval()
    features, is_buyer, spend = batch
    with torch.no_grad():
        return ziln_loss(*network.outputs(features), is_buyer, spend).item()


def _tensors(examples: Examples, device: torch.device) -> Batch:
    values = (examples.features, examples.is_buyer, examples.spend)
    return tuple(torch.tensor(v, dtype=torch.float32, device=device) for v in values)
