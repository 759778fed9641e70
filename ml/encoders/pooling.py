"""States of a row's tokens → one vector of the row."""

import torch
from torch import Tensor, nn

from ml.encoders.packing import Batch

STEEPEST = 5.0
"""Bounds an attention score, so that its exponential needs no maximum of the row to be taken first."""


class Pooling(nn.Module):
    """(tokens, width) → (rows, 3 · width): the last state, the mean, and a learned weighting; 0 for rows of nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        lengths = batch.lengths
        if not len(states):
            return states.new_zeros(len(lengths), 3 * states.shape[1])
        last = states[(batch.offsets[1:] - 1).clamp(min=0)] * (lengths > 0)[:, None]
        weights = torch.exp(STEEPEST * torch.tanh(self.score(states)))
        weighted = torch.cat([states, weights * states, weights], dim=1)
        sums = weighted.new_zeros(len(lengths), weighted.shape[1]).index_add(0, batch.row_of, weighted)
        mean, attended, weight = sums.split([states.shape[1], states.shape[1], 1], dim=1)
        return torch.cat([last, mean / lengths.clamp(min=1)[:, None], attended / weight.clamp(min=1e-6)], dim=1)
