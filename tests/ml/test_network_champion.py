"""A network that reads sequences as champion: trained, registered, asked without pickle, its day scored."""

import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from expectations.segments import EMBEDDINGS, SCORES
from expectations.sequences import SEQUENCES
from jobs import build_sequences, score
from jobs.home import Home
from jobs.lake import LakeTable
from ml import train
from ml.cohorts import load_parts
from ml.comparing.store import data_digest
from ml.registry import MODEL_NAME, champion
from ml.settings import load_model_settings, training_cutoffs
from tests.ml.encoder_rows import random_events, write_sequences

FIRST, CUTOFF = date(2020, 1, 1), date(2020, 7, 28)


def run(module, *arguments: str) -> None:
    module.main(module.arg_parser().parse_args([*arguments]))


@pytest.fixture
def home(shop_home: Path, shop, tmp_path: Path) -> Path:
    """The simulated shop with an MLflow of its own, two training cutoffs, and sequences that tell nothing."""
    for name in ("customer_day", "features"):
        (tmp_path / "lake").mkdir(exist_ok=True)
        os.symlink(shop_home / "lake" / name, tmp_path / "lake" / name)
    (tmp_path / "shop.json").write_text((shop_home / "shop.json").read_text())
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "tracking_uri").write_text(f"sqlite:///{tmp_path}/mlflow/mlflow.db\n")
    (tmp_path / "settings.yaml").write_text("model: {max_train: 2, models: [gru]}")
    lengths = np.random.default_rng(0).integers(0, 6, len(shop.keys))
    for cutoff in training_cutoffs(CUTOFF, FIRST, tmp_path):
        write_sequences(tmp_path, lengths, random_events(lengths), cutoff)
    return tmp_path


def test_sequences_are_data_to_the_models_that_read_them_and_to_no_other(home):
    parts = load_parts(load_model_settings(home).protocol(CUTOFF, FIRST), home)
    network, rule = data_digest(parts, ("recency_rule", "gru")), data_digest(parts, ("recency_rule",))
    assert network != rule
    for cutoff in training_cutoffs(CUTOFF, FIRST, home):
        file = home / "lake" / SEQUENCES.folder(cutoff) / "amount.npy"
        kept, amounts = file.read_bytes(), np.load(file)
        amounts[-1] += 1
        np.save(file, amounts)
        assert data_digest(parts, ("gru",)) != network
        assert data_digest(parts, ("recency_rule",)) == rule
        file.write_bytes(kept)
    assert data_digest(parts, ("gru",)) == network


def test_a_network_scores_and_keeps_its_embedding(home, monkeypatch, capsys):
    run(train, "--home", str(home), "--cutoff", str(CUTOFF))
    assert capsys.readouterr().out.endswith(f"{MODEL_NAME}/1 (gru) is champion\n")
    assert champion(home) == 1
    built = []
    monkeypatch.setattr(build_sequences, "main", lambda args: built.append((args.ds, args.skip_unchanged)))
    parts = []
    for _ in range(2):
        run(score, "--home", str(home), "--ds", str(CUTOFF), "--model", f"{MODEL_NAME}/1")
        parts.append(
            [file.read_bytes() for t in (SCORES, EMBEDDINGS) for file in (home / "lake" / t.folder(CUTOFF)).iterdir()]
        )
    assert parts[0] == parts[1]
    # What the version reads is built by the job that asks it, if it is not there.
    assert built == [([CUTOFF], True)] * 2
    scores, places = (LakeTable(Home(home), table).read_arrow([CUTOFF]) for table in (SCORES, EMBEDDINGS))
    assert places["customer_key"] == scores["customer_key"]
    assert len({len(place) for place in places["embedding"].to_pylist()}) == 1
    assert set(places["model_version"].to_pylist()) == {1}
