"""Gated recurrent units (Cho et al. 2014)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from ml.encoders.packing import Batch
from ml.encoders.recurrent import Recurrent


class GRU(Recurrent):
    """On CUDA as PyTorch does it; on the CPU by steps of our own, which take half the time."""

    kind = nn.GRU

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        if tokens.is_cuda or torch.is_autocast_enabled("cpu"):
            return super().forward(tokens, batch)
        values, sizes = tokens[batch.by_time], batch.step_sizes.tolist()
        for layer in range(self.layers.num_layers):
            if layer:
                values = dropout(values, self.layers.dropout, self.training)
            weights = (
                getattr(self.layers, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            values = PackedGRU.apply(values, sizes, *weights)
        return values.new_zeros(values.shape).index_copy(0, batch.by_time, values)


class PackedGRU(torch.autograd.Function):
    """One layer over tokens ordered by time, (tokens, inputs) → (tokens, width), as nn.GRU over a PackedSequence.

    PyTorch's own backward pass on the CPU fills and adds a gradient as large as all tokens at every step. Here a step
    touches its own rows alone, and gradients of weights are one product over all steps.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        values: Tensor,
        sizes: list[int],
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> Tensor:
        width = weight_hh.shape[1]
        gates = torch.addmm(bias_ih, values, weight_ih.T)
        before, states = (values.new_zeros(len(values), width) for _ in range(2))
        recalled = values.new_empty(len(values), width)
        state, start, turned = values.new_zeros(sizes[0], width), 0, weight_hh.T.contiguous()
        for size in sizes:
            step, state = slice(start, start + size), state[:size]
            past = torch.addmm(bias_hh, state, turned)
            reset_update = gates[step, : 2 * width].add_(past[:, : 2 * width]).sigmoid_()
            reset, update = reset_update[:, :width], reset_update[:, width:]
            new = gates[step, 2 * width :].addcmul_(reset, past[:, 2 * width :]).tanh_()
            before[step], recalled[step] = state, past[:, 2 * width :]
            state = torch.lerp(new, state, update)
            states[step] = state
            start += size
        ctx.sizes = sizes
        ctx.save_for_backward(values, weight_ih, weight_hh, gates, before, recalled)
        return states

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, of_states: Tensor) -> tuple[Tensor | None, ...]:
        values, weight_ih, weight_hh, gates, before, recalled = ctx.saved_tensors
        width = weight_hh.shape[1]
        reset, update, new = gates.split(width, dim=1)
        # What each gate's input gets for a gradient of 1 in the state: taken for all tokens at once.
        to_new = (1 - update) * (1 - new * new)
        to_update = (before - new) * update * (1 - update)
        to_reset = recalled * reset * (1 - reset)
        of_past = torch.empty_like(gates)
        end, carried = len(values), of_states.new_zeros(0, width)
        for size in reversed(ctx.sizes):
            step = slice(end - size, end)
            of_state = of_states[step].clone()
            of_state[: len(carried)] += carried
            mine, of_new = of_past[step], of_state * to_new[step]
            torch.mul(of_new, to_reset[step], out=mine[:, :width])
            torch.mul(of_state, to_update[step], out=mine[:, width : 2 * width])
            torch.mul(of_new, reset[step], out=mine[:, 2 * width :])
            to_new[step] = of_new
            carried = torch.addmm(of_state.mul_(update[step]), mine, weight_hh)
            end -= size
        of_gates = torch.cat([of_past[:, : 2 * width], to_new], dim=1)
        of_weights = of_gates.T @ values, of_past.T @ before
        return of_gates @ weight_ih, None, *of_weights, of_gates.sum(dim=0), of_past.sum(dim=0)
