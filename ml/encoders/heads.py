"""What is said of a customer: a discrete hazard of purchase, and spend by window, fed with the hazard's probability."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ml.examples import Examples
from ml.horizons import Horizons
from ml.loss import sigma_of

LARGEST_LOG_ODDS = 6.0
UNKNOWN = -100
"""The group of those of whom none is known; cross-entropy leaves it out."""


@dataclass(frozen=True)
class Outputs:
    """What the loss takes.

    hazard_logits  (rows, intervals)
    mu, raw_sigma  (rows, windows): mean and unbounded deviation of log spend if there is a purchase
    group_logits   (rows, 1 + groups): of spending nothing in the group window, little … much; (rows, 0) without them
    """

    hazard_logits: Tensor
    mu: Tensor
    raw_sigma: Tensor
    group_logits: Tensor


class Heads(nn.Module):
    """(rows, width) and (rows, inputs) → Outputs. A linear path leads from the inputs past all hidden layers.

    group_window: the spend window that groups of value are told apart in, the longest that taught; training alone asks.
    """

    def __init__(self, width: int, inputs: int, horizons: Horizons, groups: int = 0) -> None:
        super().__init__()
        intervals, windows = len(horizons.edges_days), len(horizons.spend_days)
        groups = groups if windows else 0
        self.last_intervals = [horizons.edges_days.index(days) for days in horizons.spend_days]
        self.hazard, self.hazard_past = nn.Linear(width, intervals), nn.Linear(inputs, intervals, bias=False)
        self.spend, self.spend_past = nn.Linear(width, 2 * windows), nn.Linear(inputs, 2 * windows, bias=False)
        self.from_log_odds = nn.Parameter(torch.zeros(2 * windows))
        self.group = nn.Linear(width, 1 + groups) if groups else None
        self.group_window = 0
        self.register_buffer("group_bounds", torch.zeros(max(groups - 1, 0)))
        # Log spend is learned in deviations from its mean, so that shops of any currency start at the same loss.
        for buffer, value in (("log_mean", 0.0), ("log_deviation", 1.0), ("log_limit", 0.0)):
            self.register_buffer(buffer, torch.full((windows,), value))

    def fit(self, examples: Examples) -> None:
        """Starts where the population's hazard is, and takes the scale of log spend; training rows only."""
        risked = examples.at_risk()
        bought = (risked * examples.is_event()).sum(axis=0)
        share = (bought + 0.5) / (risked.sum(axis=0) + 1)
        with torch.no_grad():
            self.hazard.bias.copy_(torch.as_tensor(np.log(share / (1 - share))))
        for n in range(examples.spend.shape[1]):
            spend = examples.spend[:, n]
            logs = np.log(spend[spend > 0]) if (spend > 0).any() else np.zeros(1)
            self.log_mean[n] = float(logs.mean())
            self.log_deviation[n] = max(float(logs.std()), 0.1)
            # Nobody is expected to spend more than the largest spender of the training windows.
            self.log_limit[n] = float(logs.max())
        if self.group is not None:
            taught = np.flatnonzero((examples.spend > 0).any(axis=0))
            self.group_window = int(taught[-1]) if len(taught) else 0
            spend = examples.spend[:, self.group_window]
            spend = spend[spend > 0]
            shares = np.linspace(0, 1, len(self.group_bounds) + 2)[1:-1]
            self.group_bounds.copy_(
                torch.as_tensor(np.quantile(spend, shares) if len(spend) else np.zeros(len(shares)))
            )

    def groups_of(self, spend: Tensor) -> Tensor:
        """(rows,) int64: the group of value of (rows, windows) of spend; UNKNOWN where the window has not matured."""
        paid = spend[:, self.group_window].contiguous()
        group = torch.where(paid > 0, 1 + torch.bucketize(paid, self.group_bounds), 0)
        return torch.where(torch.isnan(paid), UNKNOWN, group)

    def forward(self, hidden: Tensor, inputs: Tensor) -> Outputs:
        logits = self.hazard(hidden) + self.hazard_past(inputs)
        # Told, not taught: the size of spend must not bend the chance of it.
        odds = log_odds(logits.detach())[:, self.last_intervals]
        spend = self.spend(hidden) + self.spend_past(inputs) + odds.repeat(1, 2) * self.from_log_odds
        mu, raw_sigma = spend.chunk(2, dim=1)
        groups = hidden.new_zeros(len(hidden), 0) if self.group is None else self.group(hidden)
        return Outputs(logits, self.log_mean + self.log_deviation * mu, raw_sigma, groups)

    def spend_if_purchase(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """(mean, sigma), each (rows, windows): spend if there is a purchase, and the deviation of its logarithm."""
        sigma = sigma_of(outputs.raw_sigma)
        return torch.exp(torch.minimum(outputs.mu + 0.5 * sigma**2, self.log_limit)), sigma


def log_odds(hazard_logits: Tensor) -> Tensor:
    """(rows, intervals): of a purchase by the end of each interval."""
    log_survival = -softplus(hazard_logits).cumsum(dim=1)
    odds = torch.log(-torch.expm1(log_survival).clamp(max=-1e-6)) - log_survival
    return odds.clamp(-LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
