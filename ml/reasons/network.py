"""Contributions to the margins of a network by integrated gradients (Sundararajan, Taly, Yan 2017).

The way leads from an average customer (every aggregate at its mean logarithm, none missing), with as many events of
which nothing is known but that they came at average times, straight to the customer. Gradients along it are averaged by
Gauss and Legendre; what is missing to completeness is told.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from expectations.behaviour import FEATURE_NAMES
from ml.encoders.network import CustomerNetwork
from ml.encoders.packing import NUMBERS, Batch
from ml.encoders.reader import Reader, in_order
from ml.examples import Inputs
from ml.impute import nullable_places

AGES_DAYS = (7, 30, 90)
EVENT_NAMES = ("events_in_last_7_days", "events_8_to_30_days_ago", "events_31_to_90_days_ago", "earlier_events")
"""Blocks of events that contributions of tokens are added up in, by age at the cutoff."""
NAMES = (*FEATURE_NAMES, *EVENT_NAMES)
BATCH_ROWS = 1024
"""Rows a step of the way."""


@dataclass(frozen=True)
class Ends:
    """Margins, (rows, intervals), where the way begins and where it ends."""

    base: np.ndarray
    margins: np.ndarray


def walk(network: CustomerNetwork, inputs: Inputs) -> "Iterator[Piece]":
    """Pieces of ``inputs`` in their order, each with its tokens read once."""
    reader = Reader(inputs, network.config.buckets)
    aggregates = torch.tensor(inputs.features, dtype=torch.float32)
    for rows in in_order(len(inputs), BATCH_ROWS):
        batch = reader.read(rows)
        yield Piece(network, batch, aggregates[batch.rows])


class Piece:
    """Some rows, ``rows`` of the inputs, ready to be walked to."""

    def __init__(self, network: CustomerNetwork, batch: Batch, aggregates: Tensor) -> None:
        self.network, self.batch = network, batch
        self.rows = batch.rows.numpy()
        with torch.no_grad():
            average = network.preprocessing.mean
            self.origin = network.preprocessing(torch.sign(average)[None] * torch.expm1(average.abs()))
            self.standard, self.tokens = network.preprocessing(aggregates), network.tokens(batch)
            self.blank = _blank_token(network)

    def ends(self) -> Ends:
        with torch.no_grad():
            return Ends(*(self._answer(*self._at(share)).numpy().astype(np.float64) for share in (0.0, 1.0)))

    def contributions(self, factor: np.ndarray, nodes: int) -> np.ndarray:
        """(rows, NAMES): of the sum over intervals of ``factor`` times margin, ``nodes`` gradients along the way."""
        counted = torch.tensor(factor, dtype=torch.float32)
        points, lengths = np.polynomial.legendre.leggauss(nodes)
        of_standard, of_tokens = torch.zeros_like(self.standard), torch.zeros(len(self.tokens))
        for point, length in zip((points + 1) / 2, lengths / 2, strict=True):
            here = [one.requires_grad_() for one in self._at(float(point))]
            total = (counted * self._answer(*here)).sum()
            slopes = torch.autograd.grad(total, here, allow_unused=True)
            of_standard += float(length) * slopes[0] * (self.standard - self.origin)
            if slopes[1] is not None:
                of_tokens += float(length) * (slopes[1] * (self.tokens - self.blank)).sum(dim=1)
        return np.hstack([self._by_feature(of_standard.numpy()), self._by_age(of_tokens.numpy())])

    def _at(self, share: float) -> tuple[Tensor, Tensor]:
        """Aggregates and token vectors at ``share`` of the way."""
        return tuple(
            start + share * (end - start) for start, end in ((self.origin, self.standard), (self.blank, self.tokens))
        )

    def _answer(self, standard: Tensor, tokens: Tensor) -> Tensor:
        """(rows, intervals) margins of aggregates and token vectors that are already prepared."""
        network, batch = self.network, self.batch
        states = network.encoder(tokens, batch) if len(tokens) else tokens
        pooled = network.pooling(states, batch)
        embedding = network.fusion(torch.cat([standard, pooled.to(standard.dtype)], dim=1))
        return network.heads(embedding, standard).hazard_logits

    def _by_feature(self, parts: np.ndarray) -> np.ndarray:
        """Pieces of a feature, and the indicator that it is missing, speak for it."""
        places, missing = np.arange(len(FEATURE_NAMES)), nullable_places()
        pieces = (parts.shape[1] - len(missing)) // len(places) - 1
        owners = np.concatenate([places, np.repeat(places, pieces), missing])
        found = np.zeros((len(parts), len(places)))
        np.add.at(found.T, owners, parts.T.astype(np.float64))
        return found

    def _by_age(self, parts: np.ndarray) -> np.ndarray:
        ages = np.expm1(self.batch.numbers[:, NUMBERS.index("log_age_days")].numpy()).round()
        found = np.zeros((len(self.rows), len(EVENT_NAMES)))
        np.add.at(found, (self.batch.row_of.numpy(), np.searchsorted(AGES_DAYS, ages)), parts)
        return found


def _blank_token(network: CustomerNetwork) -> Tensor:
    """(width,): an event whose every code is that for none, at the mean of all numbers.

    Not 0: layer normalisation has no slope there.
    """
    tokens, sizes = network.tokens, network.config.buckets.sizes
    none = tokens.table[np.cumsum([0, *sizes[:-1]])].sum(dim=0)
    return tokens.norm(none + tokens.numbers.bias)
