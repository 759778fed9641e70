"""GRU and LSTM over packed tokens: a step computes only the rows that are still going on."""

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ml.encoders.packing import Batch


class Recurrent(nn.Module):
    """(tokens, width) → (tokens, width): the state after each token."""

    kind: type[nn.RNNBase]

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = self.kind(width, width, num_layers=layers, dropout=dropout if layers > 1 else 0.0)

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        packed = PackedSequence(tokens[batch.by_time], batch.step_sizes)
        states = self.layers(packed)[0].data
        return states.new_zeros(states.shape).index_copy(0, batch.by_time, states)
