"""Point-in-time aggregates as a network takes them: filled, as logarithms, standardised, with null indicators.

Raw features go in, nulls and extremes included: what is fitted is kept in buffers of the module, from training rows only,
so that a saved model carries all it needs.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ml.impute import fill_values, nullable_places


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
