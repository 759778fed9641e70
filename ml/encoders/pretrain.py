"""Next-event pre-training: an encoder first learns what customers do next, and when, from events without labels."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, mse_loss

from ml.encoders.network import CustomerNetwork
from ml.encoders.packing import FIELDS, NUMBERS, Batch
from ml.encoders.reader import Reader, shuffled

GRADIENT_NORM = 5.0
TOLD = ("event_type", "category_hash")
"""What of the next token is foretold, beside its numbers."""


class NextToken(nn.Module):
    """Batch and states (tokens, width) → nats a token: what states say of the token after them in the same row."""

    def __init__(self, network: CustomerNetwork) -> None:
        super().__init__()
        self.network = [network]  # in a list: its weights are not this module's
        sizes = dict(zip(FIELDS, network.config.buckets.sizes, strict=True))
        bases = dict(zip(FIELDS, np.concatenate([[0], np.cumsum(network.config.buckets.sizes)]).tolist(), strict=False))
        self.codes = {name: (FIELDS.index(name), bases[name]) for name in TOLD}
        self.heads = nn.ModuleDict({name: nn.Linear(network.config.width, sizes[name]) for name in TOLD})
        self.numbers = nn.Linear(network.config.width, len(NUMBERS))

    def forward(self, batch: Batch, states: Tensor) -> Tensor:
        has_next = batch.row_of[:-1] == batch.row_of[1:]
        before, after = states[:-1][has_next], torch.nonzero(has_next).flatten() + 1
        if not len(after):
            return states.sum() * 0.0
        tokens = self.network[0].tokens
        loss = mse_loss(self.numbers(before), ((batch.numbers - tokens.mean) * tokens.scale)[after])
        events = torch.diff(batch.bags, append=batch.bags.new_tensor([len(batch.codes)])) // len(FIELDS)
        token_of = torch.repeat_interleave(torch.arange(len(events), device=states.device), events)
        place = torch.full((len(states),), -1, device=states.device)
        place[after] = torch.arange(len(after), device=states.device)
        told = place[token_of] >= 0
        # Each event of the next token counts as its share of the token: a big basket is not more than one visit.
        share = 1.0 / events[token_of][told]
        for name, (column, base) in self.codes.items():
            codes = batch.codes.view(-1, len(FIELDS))[:, column].long() - base
            logs = log_softmax(self.heads[name](before), dim=1)
            loss = loss - (share * logs[place[token_of][told], codes[told]]).sum() / len(after)
        return loss


def pretrain(
    network: CustomerNetwork, reader: Reader, epochs: int, learning_rate: float, batch_rows: int, seed: int
) -> list[float]:
    """Trains tokens and encoder of ``network``, where it is, on rows of ``reader``; nats a token by epoch."""
    device = network.tokens.table.device
    task = NextToken(network).to(device)
    weights = [*network.tokens.parameters(), *network.encoder.parameters(), *task.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=learning_rate, fused=device.type == "cuda")
    generator, losses = np.random.default_rng(seed), []
    for _ in range(epochs):
        network.train()
        total, tokens = torch.zeros((), device=device), 0
        for rows in shuffled(reader.events, batch_rows, generator):
            batch = reader.read(rows).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                states = network.states(batch)
            loss = task(batch, states.float())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, GRADIENT_NORM)
            optimiser.step()
            total += loss.detach() * len(batch.row_of)
            tokens += len(batch.row_of)
        losses.append(float(total) / max(tokens, 1))
    return losses
