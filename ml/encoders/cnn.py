"""Convolution over packed tokens: a window never reaches into another customer's row."""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from ml.encoders.packing import Batch

WINDOW = 3
"""Tokens a layer sees: the newest and those before it, ever further apart in later layers."""


class CNN(nn.Module):
    """(tokens, width) → (tokens, width): residual causal convolutions, dilated 1, 2, 4 …"""

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Linear(WINDOW * width, width) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        places = torch.arange(len(tokens), device=tokens.device)
        first = batch.offsets[batch.row_of]
        # One row of zeros stands before all: what lies before a customer's first token.
        outside = -1
        for depth, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            padded = torch.cat([tokens.new_zeros(1, tokens.shape[1]), tokens])
            back = [places - n * 2**depth for n in range(WINDOW)]
            seen = [padded[torch.where(place >= first, place, outside) + 1] for place in back]
            tokens = norm(tokens + self.dropout(silu(convolution(torch.cat(seen, dim=1)))))
        return tokens
