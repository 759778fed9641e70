"""Fast scoring: long batches of rows, one thread each, as many at a time as there are cores.

A batch is computed by one thread wherever it runs, so that the number of cores changes no bit of a score.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from ml.encoders.network import CustomerNetwork
from ml.encoders.reader import Reader, in_order
from ml.encoders.train import device_here
from ml.examples import Inputs

BATCH_ROWS = 2048


@dataclass(frozen=True)
class Scored:
    """float32, in the order of the inputs: hazard (rows, intervals), spend and sigma (rows, windows), embedding."""

    hazard: np.ndarray
    spend: np.ndarray
    sigma: np.ndarray
    embedding: np.ndarray


def score(network: CustomerNetwork, inputs: Inputs, batch_rows: int = BATCH_ROWS) -> Scored:
    """What ``network``, which is left where it was, says of ``inputs``."""
    device, reader, heads = device_here(), Reader(inputs, network.config.buckets), network.heads
    network = network.to(device).eval()
    intervals, windows = heads.hazard.out_features, heads.log_mean.shape[0]
    widths = (intervals, windows, windows, network.config.hidden[-1])
    out = Scored(*(np.empty((len(inputs), width), np.float32) for width in widths))

    @torch.inference_mode()
    def one(rows: np.ndarray) -> None:
        batch = reader.read(rows)
        places = batch.rows.numpy()
        aggregates = torch.from_numpy(inputs.features[places].astype(np.float32)).to(device)
        outputs, embedding = network(batch.to(device), aggregates)
        spend, sigma = heads.spend_if_purchase(outputs)
        hazard = torch.sigmoid(outputs.hazard_logits)
        for values, kept in ((hazard, out.hazard), (spend, out.spend), (sigma, out.sigma), (embedding, out.embedding)):
            kept[places] = values.float().cpu().numpy()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _each(one, in_order(len(inputs), batch_rows), threads if device.type == "cpu" else 1)
    finally:
        torch.set_num_threads(threads)
        network.cpu()
    return out


def _each(work: Callable[[np.ndarray], None], batches: Iterator[np.ndarray], threads: int) -> None:
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in pool.map(work, batches):
            pass
