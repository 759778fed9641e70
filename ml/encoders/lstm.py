"""Long short-term memory (Hochreiter, Schmidhuber 1997)."""

from torch import nn

from ml.encoders.recurrent import Recurrent


class LSTM(Recurrent):
    kind = nn.LSTM
