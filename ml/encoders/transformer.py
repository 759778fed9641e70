"""A causal Transformer over packed tokens (Vaswani et al. 2017): attention stays within a customer's row.

Where tokens stand in time is in their numbers (gap, age), so there is no other encoding of places.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from ml.encoders.packing import Batch

HEAD_WIDTH = 16


class Transformer(nn.Module):
    """(tokens, width) → (tokens, width); ``width`` must be a multiple of HEAD_WIDTH."""

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        groups = None if _varlen(tokens) else list(_by_length(batch))
        for block in self.blocks:
            tokens = block(tokens, batch, groups)
        return self.norm(tokens)


class Block(nn.Module):
    """Attention, then two layers for each token alone; each normalised before, added after."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, batch: Batch, groups: list[Tensor] | None) -> Tensor:
        projected = self.query_key_value(self.before_attention(tokens))
        queries = projected.view(len(tokens), 3, self.heads, HEAD_WIDTH)
        seen = _attend_varlen(queries, batch) if groups is None else _attend(queries, groups)
        tokens = tokens + self.dropout(self.out(seen.reshape(len(tokens), -1)))
        return tokens + self.dropout(self.layers(self.before_layers(tokens)))


def _by_length(batch: Batch) -> Iterator[Tensor]:
    """(rows, length) places of tokens, for the rows of each length there is: rectangles without padding."""
    lengths, starts = batch.lengths, batch.offsets[:-1]
    for length in lengths.unique().tolist():
        if length:
            yield starts[lengths == length][:, None] + torch.arange(length, device=starts.device)


def _attend(queries: Tensor, groups: list[Tensor]) -> Tensor:
    """(tokens, heads, HEAD_WIDTH) from (tokens, 3, heads, HEAD_WIDTH), rectangle by rectangle."""
    places, seen = [], []
    for group in groups:
        query, key, value = queries[group].permute(2, 0, 3, 1, 4)
        seen.append(scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(0, 1))
        places.append(group.flatten())
    return queries.new_zeros(len(queries), *queries.shape[2:]).index_copy(0, torch.cat(places), torch.cat(seen))


def _attend_varlen(queries: Tensor, batch: Batch) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = queries.unbind(dim=1)
    offsets, longest = batch.offsets.int(), len(batch.step_sizes)
    return varlen_attn(query, key, value, offsets, offsets, longest, longest, window_size=(-1, 0))


def _varlen(tokens: Tensor) -> bool:
    """Whether rows of any lengths can be attended to at once: on CUDA, in the half precisions."""
    return tokens.is_cuda and torch.is_autocast_enabled("cuda")
