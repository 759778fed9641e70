"""Event tokens against a slow loop over events."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ml.encoders.packing import FIELDS, NUMBERS
from ml.encoders.reader import Reader, in_order, shuffled
from tests.ml.encoder_rows import (
    LENGTHS,
    SMALL,
    make_inputs,
    network_of,
    random_events,
    read_all,
    write_sequences,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("made up")
    write_sequences(home, LENGTHS, random_events(LENGTHS))
    return home


def tokens_one_by_one(events: dict[str, np.ndarray], customer: int) -> list[dict]:
    """What each token of a customer is: codes of its events, and numbers of when and how much."""
    ends = np.cumsum(LENGTHS)
    found, previous = [], None
    for place in range(ends[customer] - LENGTHS[customer], ends[customer]):
        event = {name: values[place].item() for name, values in events.items()}
        if previous is None or event["event_seconds"] != previous:
            gap = 0 if previous is None else event["event_seconds"] - previous
            found.append({"codes": [], "amount": 0.0, "gap": gap, "first": previous is None, "event": event})
        previous = event["event_seconds"]
        price = event["price_bucket"]
        event["price_bucket"] = 0 if price == -1000 else min(1 + max(price + 160, 0) // 4, SMALL.price_bucket - 1)
        base = 0
        for name, size in zip(FIELDS, SMALL.sizes, strict=True):
            found[-1]["codes"].append(base + event[name] % size)
            base += size
        found[-1]["amount"] += event["amount"]
    return found


def test_tokens_are_those_of_a_loop_over_events(home):
    batch, events = read_all(home), random_events(LENGTHS)
    bounds = [*batch.bags.tolist(), len(batch.codes)]
    for customer in range(len(LENGTHS)):
        wanted = tokens_one_by_one(events, customer)
        first, end = batch.offsets[customer], batch.offsets[customer + 1]
        assert end - first == len(wanted)
        for token, one in zip(range(first, end), wanted, strict=True):
            assert batch.codes[bounds[token] : bounds[token + 1]].tolist() == one["codes"]
            numbers = dict(zip(NUMBERS, batch.numbers[token].tolist(), strict=True))
            event = one["event"]
            assert numbers["log_events"] == pytest.approx(np.log1p(len(one["codes"]) / len(FIELDS)))
            assert numbers["log_amount"] == pytest.approx(np.log1p(one["amount"]), rel=1e-5, abs=1e-6)
            assert numbers["log_gap_days"] == pytest.approx(np.log1p(one["gap"] / 86_400), rel=1e-5)
            assert numbers["is_first"] == one["first"]
            assert numbers["log_age_days"] == pytest.approx(np.log1p(event["age_days"]), rel=1e-6)
            assert numbers["weekday_sine"] == pytest.approx(np.sin(2 * np.pi * event["weekday"] / 7), abs=1e-6)
            # Without an hour, nothing is said of it: not that it was midnight.
            known = event["hour"] >= 0
            assert numbers["has_hour"] == known
            assert numbers["hour_cosine"] == pytest.approx(
                np.cos(2 * np.pi * event["hour"] / 24) if known else 0, abs=1e-6
            )


def test_codes_stay_within_their_tables(home):
    codes = read_all(home).codes.view(-1, len(FIELDS))
    ends = np.cumsum(SMALL.sizes)
    for n, end in enumerate(ends):
        assert (codes[:, n] >= end - SMALL.sizes[n]).all()
        assert (codes[:, n] < end).all()


def test_every_row_is_drawn_once(home):
    events = np.random.default_rng(0).integers(0, 50, 103)
    drawn = np.concatenate(list(shuffled(events, 8, np.random.default_rng(1))))
    assert sorted(drawn) == list(range(103))
    assert np.concatenate(list(in_order(103, 8))).tolist() == list(range(103))


def test_texts_reach_their_token(tmp_path):
    lengths = np.array([4, 3])
    events = random_events(lengths, baskets=0.0)
    events["text_row"][5] = 2
    write_sequences(tmp_path, lengths, events, texts=3)
    inputs = make_inputs(tmp_path, 2)
    batch = Reader(inputs, SMALL).read(np.arange(2))
    assert batch.text_tokens.tolist() == [5]
    assert np.array_equal(batch.texts.numpy()[0], np.random.default_rng(1).normal(size=(3, 5)).astype(np.float16)[2])
    network = network_of("gru", text_width=5)
    silent = replace(batch, texts=torch.zeros_like(batch.texts))
    with torch.no_grad():
        moved = (network.states(batch) - network.states(silent)).abs().sum(dim=1)
    assert moved[:5].sum() == 0
    assert moved[5] > 0
