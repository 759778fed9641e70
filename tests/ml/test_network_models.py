"""The value network, the stack and next-event pre-training."""

import json
import pickle
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from expectations.behaviour import FEATURE_NAMES
from ml.encoders.channels import WEEKS
from ml.encoders.heads import UNKNOWN
from ml.encoders.network import Config, CustomerNetwork
from ml.encoders.packing import Buckets
from ml.encoders.pretrain import NextToken
from ml.encoders.reader import Reader
from ml.encoders.train import reproducible
from ml.models import MODELS, SEQUENCE_MODELS, kind
from ml.models.sequence import Sequence
from ml.models.stack import FOLDS, Stack, folds
from ml.models.value_network import ValueNetwork
from tests.ml.encoder_rows import HORIZONS, make_examples, make_inputs, random_events, write_sequences

CUSTOMERS = 90
LENGTHS = np.random.default_rng(2).integers(0, 9, CUSTOMERS)
SMALL = Buckets(product_hash=64, category_hash=32, brand_hash=16)
BRIEF = {"max_epochs": (2,), "width": (16,), "hidden": ((16, 8),), "batch_rows": (32,)}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("made up")
    write_sequences(home, LENGTHS, random_events(LENGTHS))
    return home


@pytest.fixture
def examples(home):
    return make_examples(make_inputs(home, CUSTOMERS))


def test_all_are_registered():
    assert {name: kind(name) for name in ("cnn", "lstm", "gru", "transformer")} == dict.fromkeys(
        ("cnn", "lstm", "gru", "transformer"), Sequence
    )
    assert kind("value_network") is ValueNetwork
    assert kind("stack") is Stack
    # Told by name, since to import them takes seconds.
    assert [name for name in MODELS if kind(name).uses_sequences] == list(SEQUENCE_MODELS)


def network_of(**changes) -> CustomerNetwork:
    with reproducible(3):
        return CustomerNetwork(FEATURE_NAMES, HORIZONS, Config(buckets=SMALL, width=16, **changes)).eval()


def test_channels_count_events_of_a_week(home):
    network = network_of(encoder="channels")
    counts = network.channels.counts(Reader(make_inputs(home, CUSTOMERS), SMALL).read(np.arange(CUSTOMERS)))
    events = random_events(LENGTHS)
    owner = np.repeat(np.arange(CUSTOMERS), LENGTHS)
    wanted = np.zeros((CUSTOMERS, SMALL.event_type + 1, WEEKS))
    for place, customer in enumerate(owner):
        week = events["age_days"][place] // 7
        if week < WEEKS:
            wanted[customer, events["event_type"][place], week] += 1
            wanted[customer, -1, week] += events["amount"][place]
    np.testing.assert_allclose(counts.numpy(), np.log1p(wanted), rtol=1e-4, atol=1e-5)


def test_groups_of_value_are_quantiles_of_training(examples):
    network = network_of(encoder="channels", groups=4)
    network.heads.fit(examples)
    paid = examples.spend[:, 1][examples.spend[:, 1] > 0]
    spend = np.array([[1, 0.0], [1, paid.min()], [1, np.median(paid) * 1.001], [1, paid.max()], [1, np.nan]])
    groups = network.heads.groups_of(torch.tensor(spend, dtype=torch.float32)).tolist()
    assert groups == [0, 1, 3, 4, UNKNOWN]


def test_groups_of_value_are_of_the_longest_window_that_matured(examples):
    # As on CDNOW, whose 273 days no training cutoff is followed by: the head must not be left without a label.
    short = replace(examples, spend=np.column_stack([examples.spend[:, 0], np.full(len(examples), np.nan)]))
    network = network_of(encoder="channels", groups=4)
    network.heads.fit(short)
    groups = network.heads.groups_of(torch.tensor(short.spend, dtype=torch.float32))
    buys = short.spend[:, 0] > 0
    assert (groups[~buys] == 0).all()
    counts = torch.bincount(groups[buys], minlength=5)
    assert counts[0] == 0
    assert counts[1:].min() >= buys.sum() // 4 - 1


class BriefValue(ValueNetwork):
    space: ClassVar = BRIEF


class BriefStack(Stack):
    network_space = staticmethod(lambda: BRIEF)
    classifier_space: ClassVar = {"max_iter": (5,)}
    regressor_space: ClassVar = {"max_iter": (5,), "alpha": (0.03,)}


@pytest.mark.parametrize("model_class", [BriefValue, BriefStack])
def test_saved_without_pickle_and_the_same_to_the_bit(home, examples, model_class, tmp_path, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    name = "stack" if model_class is BriefStack else "value_network"
    model, again, inputs = model_class(name), model_class(name), make_inputs(home, CUSTOMERS, seed=4)
    model.fit(examples, examples)
    again.fit(examples, examples)
    wanted = model.predict(inputs)
    for word in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, word, refused)
    monkeypatch.setattr(torch, "load", refused)
    model.save(tmp_path / "model")
    loaded = model_class.load(tmp_path / "model")
    for name in ("hazard", "spend_if_purchase", "spend_sigma", "embedding"):
        assert np.array_equal(getattr(wanted, name), getattr(again.predict(inputs), name))
        assert np.array_equal(getattr(wanted, name), getattr(loaded.predict(inputs), name))
    assert wanted.embedding.shape == (CUSTOMERS, 8)
    assert loaded.params() == model.params()
    assert json.dumps(model.params())


def test_the_stack_is_told_of_nobody_by_who_saw_them(home, examples):
    model, inputs = BriefStack("stack"), examples.inputs
    model.fit(examples, examples)
    fold = folds(inputs)
    # The same customers' labels turned round: what networks of other folds say of them must change, theirs must not.
    turned = replace(
        examples,
        days_to_purchase=np.where((fold == 0) & np.isfinite(examples.days_to_purchase), np.inf, 3.0),
    )
    turned = replace(turned, days_to_purchase=np.where(fold == 0, turned.days_to_purchase, examples.days_to_purchase))
    other = BriefStack("stack")
    # Validation on others, or it would choose the number of epochs by them.
    quiet = examples.rows(fold == 1)
    model.fit(examples, quiet)
    other.fit(turned, quiet)
    mine = inputs.rows(fold == 0)
    for n in range(FOLDS):
        same = np.array_equal(model.networks[n].predict(mine).hazard, other.networks[n].predict(mine).hazard)
        assert same == (n == 0)


def test_what_comes_next_is_learned_and_off_by_default(home, examples):
    class Told(Sequence):
        space: ClassVar = BRIEF | {"pretrain_epochs": (6,), "learning_rate": (1e-2,)}

    class Untold(Sequence):
        space: ClassVar = BRIEF

    told, untold = Told("gru"), Untold("gru")
    told.fit(examples, examples)
    untold.fit(examples, examples)
    assert untold.history["pretrain_loss"] == []
    assert told.history["pretrain_loss"][-1] < told.history["pretrain_loss"][0] - 0.1


def test_next_token_is_asked_of_the_state_before_it(home):
    # Only the state before a token may speak of it, and never that of another customer.
    network = network_of()
    batch = Reader(make_inputs(home, CUSTOMERS), SMALL).read(np.arange(CUSTOMERS))
    states = torch.zeros(len(batch.row_of), 16, requires_grad=True)
    with reproducible(0):
        NextToken(network)(batch, states).backward()
    is_last = torch.cat([batch.row_of[:-1] != batch.row_of[1:], torch.tensor([True])])
    assert (states.grad[is_last] == 0).all()
    assert (states.grad[~is_last] != 0).any(dim=1).all()
