"""Sections model and promotion of settings.yaml: what they move, and what is refused with its place."""

import os
import subprocess
import sys

import pytest

from expectations.errors import SetupError
from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.segments.settings import SegmentSettings
from jobs.settings import load_settings
from ml.settings import (
    ModelSettings,
    PromotionSettings,
    load_model_settings,
    load_promotion_settings,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {horizon: 3}", r"settings.yaml: model has no setting 'horizon'; known: edges_days, churn_days"),
        ("model: {edges_days: 30}", "model.edges_days must be a list of whole numbers, found 30"),
        ("model: {edges_days: [7, 14.5]}", "model.edges_days must be a list of whole numbers"),
        ("model: {models: gru}", "model.models must be a list of texts, found 'gru'"),
        ("model: {edges_days: [30, 14]}", "edges_days must rise from above 0"),
        ("model: {churn_days: 120}", "churn_days must lie within 1 … 90"),
        ("model: {spend_days: [90]}", "edges_days and spend_days must hold 30"),
        ("model: {spend_days: [90, 30]}", r"spend_days must rise, each once: \(90, 30\)"),
        ("model: {max_train: 0}", "step_days and max_train must be 1 or more"),
        ("model: [1]", "model must hold `setting: value` pairs"),
        ("model: {", "settings.yaml is not YAML"),
        (
            "models: {churn_days: 14}",
            r"no section 'models'; known: segment, .*, promotion, due$",
        ),
        ("churn_days: 14", r"no section 'churn_days'"),
        ("- model", r"settings.yaml, line 1: the file must be key: value pairs"),
        ("model: {}\nmodel: {churn_days: 14}", r"settings.yaml, line 2: 'model' stands there twice"),
    ],
)
def test_what_is_not_known_or_contradicts_itself_is_refused(tmp_path, text, message):
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(SetupError, match=message):
        load_model_settings(tmp_path)


def test_what_is_said_is_what_is_meant(tmp_path):
    assert load_model_settings(tmp_path) == ModelSettings()
    text = "segment: {new_days: 45}\nmodel: {edges_days: [14, 30, 60], churn_days: 60, spend_days: [30, 60]}\n"
    (tmp_path / "settings.yaml").write_text(text + "promotion: {is_automatic: false, deciding_metric: auc}\n")
    found = load_model_settings(tmp_path)
    assert found == ModelSettings((14, 30, 60), 60, (30, 60))
    assert (found.horizons.judged_days, found.population.max_silent_days) == (60, None)
    assert load_promotion_settings(tmp_path) == PromotionSettings(False, "auc")
    # The jobs read the same file and know these sections too.
    assert load_settings(Home(tmp_path), "model", ModelSettings) == found
    assert load_settings(Home(tmp_path), "segment", SegmentSettings).new_days == 45


def test_commands_of_both_rooms_refuse_a_section_with_the_same_words(tmp_path):
    (tmp_path / "shop.json").write_text('{"shop": "corner", "simulated": false, "sources": [], "landing": {}}')
    (tmp_path / "settings.yaml").write_text("# mistyped\nmodels: {churn_days: 14}\n")
    said = []
    for command in (("ml", "train", "--cutoff", "2020-07-28"), ("jobs", "build_sequences", "--ds", "2020-07-28")):
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, cwd=REPOSITORY,
            env=os.environ | {"LIFESTAGE_HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == SetupError.exit_code
        said.append(done.stderr.removeprefix(f"{command[1]}: "))
    assert said[0] == said[1]
    assert "settings.yaml: no section 'models'; known: " in said[0]
