"""Behaviour channels: how much of each kind a customer did, week by week, convolved and pooled.

A token encoder sees events in order; this sees counts on a calendar, as the first value-segmentation design did.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from ml.encoders.packing import FIELDS, NUMBERS, Batch

WEEKS = 26
"""Back from the cutoff; what lies before is left to the aggregates."""

WINDOW = 3


class Channels(nn.Module):
    """Batch → (rows, 2 · width): mean and maximum over the weeks of two convolutions with a pooling between them."""

    def __init__(self, width: int, event_types: int, dropout: float) -> None:
        super().__init__()
        self.event_types, self.width = event_types, 2 * width
        self.first = nn.Conv1d(event_types + 1, width, WINDOW, padding=WINDOW // 2)
        self.second = nn.Conv1d(width, width, WINDOW, padding=WINDOW // 2)
        self.pool, self.dropout = nn.MaxPool1d(2), nn.Dropout(dropout)

    def forward(self, batch: Batch) -> Tensor:
        weeks = silu(self.first(self.counts(batch)))
        weeks = silu(self.second(self.dropout(self.pool(weeks))))
        return torch.cat([weeks.mean(dim=2), weeks.amax(dim=2)], dim=1)

    def counts(self, batch: Batch) -> Tensor:
        """(rows, event types + 1, WEEKS), newest week first: logarithms of events of each type, and of money."""
        numbers = dict(zip(NUMBERS, batch.numbers.unbind(dim=1), strict=True))
        events = torch.diff(batch.bags, append=batch.bags.new_tensor([len(batch.codes)])) // len(FIELDS)
        # Ages come as logarithms of whole days; rounding undoes what single precision did to them.
        week = torch.expm1(numbers["log_age_days"]).round().long() // 7
        amount = torch.sign(numbers["log_amount"]) * torch.expm1(numbers["log_amount"].abs())
        rows, kinds = len(batch.offsets) - 1, self.event_types + 1
        seen = batch.numbers.new_zeros(rows * kinds * WEEKS)
        recent = week < WEEKS
        place = (batch.row_of * kinds + self.event_types) * WEEKS + week
        seen.index_add_(0, place[recent], amount[recent])
        token_of = torch.repeat_interleave(torch.arange(len(events), device=events.device), events)
        kind = batch.codes.view(-1, len(FIELDS))[:, 0].long()
        place = (batch.row_of[token_of] * kinds + kind) * WEEKS + week[token_of]
        place = place[recent[token_of]]
        seen.index_add_(0, place, seen.new_ones(len(place)))
        return (torch.sign(seen) * torch.log1p(seen.abs())).view(rows, kinds, WEEKS)
