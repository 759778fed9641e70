"""Tokens as vectors: what happened, to what, at what price, how and when."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from ml.encoders.packing import FIELDS, NUMBERS, Batch, Buckets

FIRST_DEVIATION = 0.25
"""Of the table's first values: a token's codes then weigh as much as its numbers do, when learning begins."""


class Tokens(nn.Module):
    """Batch → (tokens, width): what a mean event's codes add up to, plus projections of numbers and of text."""

    def __init__(self, width: int, buckets: Buckets, text_width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(sum(buckets.sizes), width) * FIRST_DEVIATION)
        self.numbers = nn.Linear(len(NUMBERS), width)
        self.text = nn.Linear(text_width, width) if text_width else None
        self.norm = nn.LayerNorm(width)
        self.register_buffer("mean", torch.zeros(len(NUMBERS)))
        self.register_buffer("scale", torch.ones(len(NUMBERS)))

    def fit(self, numbers: Tensor) -> None:
        """Takes means and deviations from (tokens, NUMBERS) of training rows."""
        if len(numbers) > 1:
            deviation = numbers.double().std(dim=0)
            self.mean.copy_(numbers.double().mean(dim=0))
            self.scale.copy_(torch.where(deviation > 1e-6, 1 / deviation, 0.0))

    def forward(self, batch: Batch) -> Tensor:
        looked_up = embedding_bag(batch.codes, self.table, batch.bags.to(batch.codes.dtype), mode="mean")
        summed = len(FIELDS) * looked_up + self.numbers((batch.numbers - self.mean) * self.scale)
        if self.text is not None:
            summed = summed.index_add(0, batch.text_tokens, self.text(batch.texts).to(summed.dtype))
        return self.norm(summed)
