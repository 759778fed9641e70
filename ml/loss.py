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


def ziln_loss(logit: Tensor, mu: Tensor, raw_sigma: Tensor, is_buyer: Tensor, spend: Tensor) -> Tensor:
    """Mean negative log-likelihood of ``is_buyer`` (0/1) and, where it is positive, of ``spend``, in nats an example.
    A purchase that cost nothing (a voucher covered it) counts as a purchase and says nothing of the size of spend.
    """
    paid = spend > 0
    # log of a masked-out zero would poison the gradient of the whole batch, so such rows see a harmless 1.
    density = log_normal_log_density(torch.where(paid, spend, 1.0), mu, sigma_of(raw_sigma))
    bought = binary_cross_entropy_with_logits(logit, is_buyer, reduction="none")
    return (bought - torch.where(paid, density, 0.0)).mean()
