"""Tokens as vectors: what happened, to what, at what price, how and when."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from ml.encoders.packing import FIELDS, NUMBERS, Batch, Buckets

FIRST_DEVIATION = 0.25
"""Of the table's first values: a token's codes then weigh as much as its numbers do, when learning begins."""


def look_up(table: Tensor, codes: Tensor, bags: Tensor) -> Tensor:
    """(tokens, width): mean of the rows of ``table`` that each token's ``codes`` name."""
    if table.is_cuda:
        return embedding_bag(codes, table, bags, mode="mean")
    return LookUp.apply(table, codes, bags)


class LookUp(torch.autograd.Function):
    """embedding_bag by means on the CPU, whose gradient is another: of tokens, by the codes that name them."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, table: Tensor, codes: Tensor, bags: Tensor) -> Tensor:
        ctx.save_for_backward(codes, bags)
        ctx.rows = len(table)
        return embedding_bag(codes, table, bags, mode="mean")

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, of_tokens: Tensor) -> tuple[Tensor | None, ...]:
        codes, bags = (values.numpy() for values in ctx.saved_tensors)
        sizes = np.diff(bags, append=len(codes))
        token_of = np.repeat(np.arange(len(bags), dtype=np.int32), sizes)
        # Radix sort where codes are short.
        order = np.argsort(codes.astype(np.uint16) if ctx.rows <= 2**16 else codes, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=ctx.rows))[:-1]]).astype(np.int32)
        shares = of_tokens / torch.from_numpy(sizes)[:, None].to(of_tokens.dtype)
        named = torch.from_numpy(token_of[order])
        return embedding_bag(named, shares, torch.from_numpy(starts), mode="sum"), None, None


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
        looked_up = look_up(self.table, batch.codes, batch.bags.to(batch.codes.dtype))
        summed = len(FIELDS) * looked_up + self.numbers((batch.numbers - self.mean) * self.scale)
        if self.text is not None:
            summed = summed.index_add(0, batch.text_tokens, self.text(batch.texts).to(summed.dtype))
        return self.norm(summed)
