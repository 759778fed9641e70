"""The customer network: event sequences and point-in-time aggregates, fused → hazard, spend and an embedding."""

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from ml.encoders.aggregates import Preprocessing
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

    encoder          one of ENCODERS
    width            of tokens and of encoder states
    layers           of the encoder
    hidden           width of each layer of the fusion; the last is the embedding
    dropout          share of hidden units left out in each training step
    clip_deviations  standardised aggregates are cut at this many standard deviations
    pieces           into which the range of each aggregate is cut
    buckets          rows of the tables of codes
    text_width       numbers of a text's vector; 0: texts are not read
    """

    encoder: str = "gru"
    width: int = 32
    layers: int = 1
    hidden: tuple[int, ...] = (64, 32)
    dropout: float = 0.2
    clip_deviations: float = 4.0
    pieces: int = 8
    buckets: Buckets = field(default_factory=Buckets)
    text_width: int = 0


class CustomerNetwork(nn.Module):
    """A batch of sequences and (rows, names) of raw aggregates → Outputs and (rows, embedding)."""

    def __init__(self, names: tuple[str, ...], horizons: Horizons, config: Config) -> None:
        super().__init__()
        self.config = config
        self.preprocessing = Preprocessing(names, config.clip_deviations, config.pieces)
        self.tokens = Tokens(config.width, config.buckets, config.text_width)
        self.encoder = ENCODERS[config.encoder](config.width, config.layers, config.dropout)
        self.pooling = Pooling(config.width)
        widths = [self.preprocessing.width + 3 * config.width, *config.hidden]
        self.fusion = nn.Sequential(
            *(
                layer
                for width, next_width in pairwise(widths)
                for layer in (nn.Linear(width, next_width), nn.SiLU(), nn.Dropout(config.dropout))
            )
        )
        self.dropout = nn.Dropout(config.dropout)
        self.heads = Heads(widths[-1], self.preprocessing.width, horizons)

    def states(self, batch: Batch) -> Tensor:
        """(tokens, width): what is known after each token."""
        tokens = self.tokens(batch)
        return self.encoder(tokens, batch) if len(tokens) else tokens

    def forward(self, batch: Batch, aggregates: Tensor) -> tuple[Outputs, Tensor]:
        inputs = self.preprocessing(aggregates)
        pooled = self.dropout(self.pooling(self.states(batch), batch))
        embedding = self.fusion(torch.cat([inputs, pooled.to(inputs.dtype)], dim=1))
        return self.heads(embedding, inputs), embedding
