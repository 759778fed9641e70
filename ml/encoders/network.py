"""The customer network: event sequences and point-in-time aggregates, fused → hazard, spend and an embedding."""

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from ml.encoders.aggregates import Preprocessing
from ml.encoders.channels import Channels
from ml.encoders.cnn import CNN
from ml.encoders.gru import GRU
from ml.encoders.heads import Heads, Outputs
from ml.encoders.lstm import LSTM
from ml.encoders.packing import Batch, Buckets
from ml.encoders.pooling import Pooling
from ml.encoders.tokens import Tokens
from ml.encoders.transformer import Transformer
from ml.horizons import Horizons

ENCODERS: dict[str, type[nn.Module]] = {"cnn": CNN, "lstm": LSTM, "gru": GRU, "transformer": Transformer}
"""(width, layers, dropout) → module: (tokens, width), batch → a state a token, (tokens, width)."""


@dataclass(frozen=True)
class Config:
    """How the network is built.

    encoder          one of ENCODERS, or "channels": counts by week instead of tokens
    width            of tokens and of encoder states
    layers           of the encoder
    hidden           width of each layer of the fusion; the last is the embedding
    dropout          share of hidden units left out in each training step
    clip_deviations  standardised aggregates are cut at this many standard deviations
    pieces           into which the range of each aggregate is cut
    buckets          rows of the tables of codes
    text_width       numbers of a text's vector; 0: texts are not read
    groups           of value among those who spend, told apart as a further task; 0: none
    """

    encoder: str = "gru"
    width: int = 32
    layers: int = 1
    hidden: tuple[int, ...] = (32,)
    dropout: float = 0.35
    clip_deviations: float = 4.0
    pieces: int = 8
    buckets: Buckets = field(default_factory=Buckets)
    text_width: int = 0
    groups: int = 0


class Fusion(nn.Sequential):
    """Layers one after the other, with a forward of its own: PyTorch compiles none of its own containers."""

    def forward(self, values: Tensor) -> Tensor:
        for layer in self:
            values = layer(values)
        return values


class CustomerNetwork(nn.Module):
    """A batch of sequences and (rows, names) of raw aggregates → Outputs and (rows, embedding)."""

    def __init__(self, names: tuple[str, ...], horizons: Horizons, config: Config) -> None:
        super().__init__()
        self.config = config
        self.preprocessing = Preprocessing(names, config.clip_deviations, config.pieces)
        self.channels = None
        if config.encoder == "channels":
            self.channels = Channels(config.width, config.buckets.event_type, config.dropout)
        else:
            self.tokens = Tokens(config.width, config.buckets, config.text_width)
            self.encoder = ENCODERS[config.encoder](config.width, config.layers, config.dropout)
            self.pooling = Pooling(config.width)
        history = 3 * config.width if self.channels is None else self.channels.width
        widths = [self.preprocessing.width + history, *config.hidden]
        self.fusion = Fusion(
            *(
                layer
                for width, next_width in pairwise(widths)
                for layer in (nn.Linear(width, next_width), nn.SiLU(), nn.Dropout(config.dropout))
            )
        )
        self.dropout = nn.Dropout(config.dropout)
        self.heads = Heads(widths[-1], self.preprocessing.width, horizons, config.groups)

    def states(self, batch: Batch) -> Tensor:
        """(tokens, width): what is known after each token."""
        tokens = self.dropout(self.tokens(batch))
        return self.encoder(tokens, batch) if len(tokens) else tokens

    def history(self, batch: Batch) -> Tensor:
        """(rows, history): what the events say."""
        # Sums over many tokens need all digits.
        return (
            self.pooling(self.states(batch).float(), batch) if self.channels is None else self.channels(batch)
        ).float()

    def forward(self, batch: Batch, aggregates: Tensor) -> tuple[Outputs, Tensor]:
        inputs = self.preprocessing(aggregates)
        history = self.dropout(self.history(batch))
        embedding = self.fusion(torch.cat([inputs, history], dim=1)).float()
        # What half a precision would take from probabilities near 0 and 1 is what the loss looks at.
        with torch.autocast(inputs.device.type, enabled=False):
            return self.heads(embedding, inputs), embedding
