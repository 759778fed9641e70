"""Point-in-time aggregates as a network takes them: filled, as logarithms, standardised and in pieces, nulls marked.

Raw features go in, nulls and extremes included. What is fitted, on training rows only, is kept in the module's buffers,
so that a saved model carries all it needs.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ml.impute import fill_values, nullable_places


class Preprocessing(nn.Module):
    """Raw features → standardised signed logarithms, their pieces, and null indicators.

    A piece is how far a value has come from one quantile of the training rows to the next, 0 to 1 (piecewise-linear
    encoding: Gorishniy, Rubachev, Babenko 2022): what trees do with thresholds, a network then does with weights.

    What did not vary in training says nothing: it stays 0 whatever a later row holds, or random first weights would
    speak of it.
    """

    def __init__(self, names: tuple[str, ...], clip_deviations: float, pieces: int) -> None:
        super().__init__()
        self.names, self.clip = names, clip_deviations
        nullable = nullable_places(names)
        self.register_buffer("nullable", torch.tensor(nullable))
        for buffer, value in (("fill", 0.0), ("lowest", 0.0), ("highest", 1.0), ("mean", 0.0), ("scale", 1.0)):
            self.register_buffer(buffer, torch.full((len(names),), value))
        self.register_buffer("null_scale", torch.ones(len(nullable)))
        self.register_buffer("piece_start", torch.zeros(len(names), pieces))
        self.register_buffer("piece_scale", torch.zeros(len(names), pieces))
        self.width = len(names) * (1 + pieces) + len(nullable)

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
            **self._pieces(logs),
            "null_scale": null.any(axis=0)[self.nullable] & ~null.all(axis=0)[self.nullable],
        }
        for name, value in values.items():
            getattr(self, name).copy_(torch.as_tensor(value))

    def _pieces(self, logs: np.ndarray) -> dict[str, np.ndarray]:
        """Where each piece begins and the inverse of its length; 0 for those that hold no two values."""
        edges = np.quantile(logs, np.linspace(0, 1, self.piece_start.shape[1] + 1), axis=0).T
        lengths = np.diff(edges, axis=1)
        scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 1e-6)
        return {"piece_start": edges[:, :-1], "piece_scale": scale}

    def forward(self, features: Tensor) -> Tensor:
        null = torch.isnan(features)
        filled = torch.where(null, self.fill, features)
        # Beyond what training has seen the network would guess, and spend would grow with the guess.
        bounded = torch.clamp(filled, self.lowest, self.highest)
        logs = torch.sign(bounded) * torch.log1p(torch.abs(bounded))
        standard = ((logs - self.mean) * self.scale).clamp(-self.clip, self.clip)
        pieces = ((logs[:, :, None] - self.piece_start) * self.piece_scale).clamp(0.0, 1.0)
        return torch.cat([standard, pieces.flatten(1), null[:, self.nullable] * self.null_scale], dim=1)
