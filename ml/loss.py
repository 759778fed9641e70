"""Zero-inflated log-normal loss.

Wang, Liu, Miao 2019, "A Deep Probabilistic Model for Customer Lifetime Value Prediction".

Spend is zero with probability 1 - p, else log-normal: one probability, shared by the purchase head and the spend head.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

SIGMA_FLOOR = 1e-3
"""Least standard deviation of log spend; keeps the density of a customer who always pays the same finite."""


def sigma_of(raw: Tensor) -> Tensor:
    """Standard deviation of log spend from the unbounded output of the network."""
    return softplus(raw) + SIGMA_FLOOR


def log_normal_log_density(spend: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """Log density of positive ``spend``; mu and sigma are those of log spend."""
    log_spend = torch.log(spend)
    standard = (log_spend - mu) / sigma
    return -0.5 * standard**2 - torch.log(sigma) - log_spend - 0.5 * math.log(2 * math.pi)


def hazard_loss(logits: Tensor, at_risk: Tensor, is_event: Tensor) -> Tensor:
    """Mean over the rows of the negative log-likelihood of a discrete hazard, in nats; all are (rows, intervals).

    Only intervals that a row is ``at_risk`` in count: not those after its purchase, nor those that have not matured.
    """
    each = binary_cross_entropy_with_logits(logits, is_event, reduction="none")
    return torch.where(at_risk, each, 0.0).sum() / len(logits)


def spend_loss(mu: Tensor, raw_sigma: Tensor, spend: Tensor) -> Tensor:
    """Mean over the rows of the negative log density of ``spend`` where it is positive; all are (rows, windows).

    A window that has not matured is NaN and says nothing, nor does one without spend, nor a purchase that cost nothing
    (a voucher covered it).
    """
    paid = spend > 0
    # log of a masked-out zero would poison the gradient of the whole batch, so such rows see a harmless 1.
    density = log_normal_log_density(torch.where(paid, spend, 1.0), mu, sigma_of(raw_sigma))
    return -torch.where(paid, density, 0.0).sum() / len(spend)


def ziln_windows_loss(
    logits: Tensor,
    mu: Tensor,
    raw_sigma: Tensor,
    at_risk: Tensor,
    is_event: Tensor,
    spend: Tensor,
    spend_weight: float = 1.0,
) -> Tensor:
    """Zero-inflated log-normal spend in several windows, whose chance of a purchase is that of one discrete hazard.

    With one interval and one window as long it is the loss of the paper: the first purchase falls into the window,
    or none does. More intervals say besides when it comes, and let windows that are cut short teach what they reach.
    With a ``spend_weight`` other than 1 it is no likelihood any more, but still least where both parts are.
    """
    return hazard_loss(logits, at_risk, is_event) + spend_weight * spend_loss(mu, raw_sigma, spend)
