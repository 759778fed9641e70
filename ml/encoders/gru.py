"""Gated recurrent units (Cho et al. 2014)."""

from torch import nn

from ml.encoders.recurrent import Recurrent


class GRU(Recurrent):
    kind = nn.GRU
