"""The behaviour network: features as of a date → probability of purchase within 30 days, and spend if there is one.

Raw features go in, nulls and extremes included: filling, log1p and standardisation are buffers of the module, fitted on
training rows only, so that a saved model carries all it needs.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from ml.impute import fill_values, nullable_places
from ml.loss import sigma_of


@dataclass(frozen=True)
class Config:
    """How the network is built and trained.

    hidden            width of each hidden layer, in units
    dropout           share of hidden units left out in each training step
    clip_deviations   standardised inputs are cut at this many standard deviations
    learning_rate     AdamW's step size, per step
    weight_decay      AdamW's decoupled decay, per step and unit of learning rate
    batch_size        examples a step
    averaging         share of the running mean of weights that a step keeps; the mean is what is validated and shipped
    max_epochs        passes over the training examples, at most
    patience_epochs   epochs without a better validation loss before training stops
    seed              of initial weights, dropout and order of examples
    """

    hidden: tuple[int, ...] = (64, 32)
    dropout: float = 0.2
    clip_deviations: float = 4.0
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    batch_size: int = 256
    averaging: float = 0.99
    max_epochs: int = 200
    patience_epochs: int = 10
    seed: int = 0


class Preprocessing(nn.Module):
    """Raw features → standardised signed logarithms and null indicators.

    What did not vary in training says nothing: it stays 0 whatever a later row holds, or random first weights would
    speak of it.
    """

    def __init__(self, names: tuple[str, ...], clip_deviations: float) -> None:
        super().__init__()
        self.names, self.clip = names, clip_deviations
        nullable = nullable_places(names)
        self.register_buffer("nullable", torch.tensor(nullable))
        for buffer, value in (("fill", 0.0), ("lowest", 0.0), ("highest", 1.0), ("mean", 0.0), ("scale", 1.0)):
            self.register_buffer(buffer, torch.full((len(names),), value))
        self.register_buffer("null_scale", torch.ones(len(nullable)))
        self.width = len(names) + len(nullable)

    def fit(self, features: np.ndarray) -> None:
        """Takes fill values, range, means and deviations from ``features`` (training rows only)."""
        columns = np.ma.masked_invalid(features)
        highest = columns.max(axis=0).filled(0.0)
        fill = fill_values(features, self.names)
        null = np.isnan(features)
        filled = np.where(null, fill, features)
        logs = np.sign(filled) * np.log1p(np.abs(filled))
        deviation = logs.std(axis=0)
        values = {
            "fill": fill,
            # Nil is in every range: prospects have bought nothing, and are in no training row.
            "lowest": np.minimum(columns.min(axis=0).filled(0.0), 0.0),
            "highest": np.maximum(highest, 0.0),
            "mean": logs.mean(axis=0),
            "scale": np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-9),
            "null_scale": null.any(axis=0)[self.nullable] & ~null.all(axis=0)[self.nullable],
        }
        for name, value in values.items():
            getattr(self, name).copy_(torch.as_tensor(value))

    def forward(self, features: Tensor) -> Tensor:
        null = torch.isnan(features)
        filled = torch.where(null, self.fill, features)
        # Beyond what training has seen the network would guess, and spend would grow with the guess.
        bounded = torch.clamp(filled, self.lowest, self.highest)
        logs = torch.sign(bounded) * torch.log1p(torch.abs(bounded))
        standard = ((logs - self.mean) * self.scale).clamp(-self.clip, self.clip)
        return torch.cat([standard, null[:, self.nullable] * self.null_scale], dim=1)


class BehaviourNetwork(nn.Module):
    """A multi-layer perceptron with a linear path beside it; purchase and spend share its hidden state.

    ``outputs`` gives what the loss takes: logit of purchase, mean and unbounded deviation of log spend. ``forward``
    gives what is said of a customer: probability of purchase, expected spend if there is one (in the shop's currency).
    """

    def __init__(self, names: tuple[str, ...], config: Config) -> None:
        super().__init__()
        self.preprocessing = Preprocessing(names, config.clip_deviations)
        widths = [self.preprocessing.width, *config.hidden]
        self.hidden = nn.Sequential(
            *(
                layer
                for width, next_width in pairwise(widths)
                for layer in (nn.Linear(width, next_width), nn.SiLU(), nn.Dropout(config.dropout))
            )
        )
        self.heads = nn.Linear(widths[-1], 3)
        self.linear = nn.Linear(widths[0], 3)
        # Log spend is learned in deviations from its mean, so that shops of any currency start at the same loss.
        for buffer, value in (("log_spend_mean", 0.0), ("log_spend_deviation", 1.0), ("log_spend_limit", 0.0)):
            self.register_buffer(buffer, torch.tensor(value))

    def fit_preprocessing(self, features: np.ndarray, spend: np.ndarray) -> None:
        """Fits every buffer that says what inputs and spend look like; training rows only."""
        self.preprocessing.fit(features)
        log_spend = np.log(spend[spend > 0]) if (spend > 0).any() else np.zeros(1)
        self.log_spend_mean.fill_(float(log_spend.mean()))
        self.log_spend_deviation.fill_(max(float(log_spend.std()), 0.1))
        # Nobody is expected to spend more than the largest spender of the training windows.
        self.log_spend_limit.fill_(float(log_spend.max()))

    def outputs(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(logit, mu, raw sigma) of each row."""
        inputs = self.preprocessing(features)
        logit, mu, raw_sigma = (self.heads(self.hidden(inputs)) + self.linear(inputs)).unbind(dim=1)
        return logit, self.log_spend_mean + self.log_spend_deviation * mu, raw_sigma

    def forward(self, features: Tensor) -> Tensor:
        logit, mu, raw_sigma = self.outputs(features)
        log_mean = mu + 0.5 * sigma_of(raw_sigma) ** 2
        spend = torch.exp(torch.minimum(log_mean, self.log_spend_limit))
        return torch.stack([torch.sigmoid(logit), spend], dim=1)
