"""Whether a training is due: each reason alone, on a shop whose truth is known."""

import argparse
import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from expectations.behaviour import CUSTOMER_DAY, FEATURE_NAMES
from expectations.errors import SetupError
from expectations.segments import SCORES
from ml import cutoff, due, due_checks
from ml.cohorts import load_inputs
from ml.drift import Reference
from ml.due_checks import changed_settings, drifted_features, findings, new_labels, outcomes
from ml.horizons import Horizons
from ml.plan import KIND, asked_for
from ml.protocols import Population
from ml.realised import came_true
from ml.saved import About
from ml.settings import DueSettings, load_due_settings, load_model_settings
from ml.tracking import open_run

FIRST, CUTOFF = date(2020, 1, 1), date(2020, 7, 28)
ABOUT = About("gru", 0, str(CUTOFF), Horizons(), Population())
SETTINGS = DueSettings()


def reference_of(features: np.ndarray) -> dict[str, Reference]:
    return {name: Reference.of(column) for name, column in zip(FEATURE_NAMES, features.T, strict=True)}


@pytest.mark.parametrize(("later", "is_due"), [(30, False), (57, False), (58, True), (90, True)])
def test_labels_that_matured_since_the_champions_cutoff(later, is_due):
    # The window of its own cutoff takes 30 days; 28 more are due.
    found = new_labels(CUTOFF + timedelta(days=later), ABOUT, SETTINGS, CUTOFF)
    assert found.is_due == is_due
    assert f"{later - 30} days of labels have matured since the newest training's cutoff 2020-07-28" in found.why
    # A challenger that was not promoted has used them up.
    assert not new_labels(CUTOFF + timedelta(days=later), ABOUT, SETTINGS, CUTOFF + timedelta(days=later - 40)).is_due


@pytest.fixture
def new_shop(tmp_path):
    """A home with an MLflow of its own and nothing trained."""
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "shop.json").write_text(json.dumps({"shop": "pets", "simulated": True, "sources": ["pets"]}))
    (tmp_path / "mlflow" / "tracking_uri").write_text(f"sqlite:///{tmp_path}/mlflow/mlflow.db\n")
    return tmp_path


def test_other_settings_than_the_champion_was_trained_for(new_shop):
    assert not changed_settings(ABOUT, 5, new_shop).is_due
    (new_shop / "settings.yaml").write_text("model: {churn_days: 14, min_purchase_days: 2}\n")
    found = changed_settings(ABOUT, 5, new_shop)
    assert found.is_due
    assert "churn_days=14" in found.why
    assert "population: Population(min_purchase_days=1" in found.why


def test_a_later_version_for_the_settings_calls_for_no_other(new_shop):
    """It waits where promotion is a person's, and where a person went back from it: else each day would train anew."""
    (new_shop / "settings.yaml").write_text("model: {churn_days: 14}\n")
    tags = {"lifestage.kind": KIND, "lifestage.cutoff": str(CUTOFF), "lifestage.model_version": "lifestage_behaviour/6"}
    with open_run(f"training {CUTOFF}", tags, asked_for(load_model_settings(new_shop)), new_shop):
        pass
    found = changed_settings(ABOUT, 5, new_shop)
    assert not found.is_due
    assert found.why.endswith("to promote it `python -m ml promote lifestage_behaviour/6`")
    assert changed_settings(ABOUT, 6, new_shop).is_due  # settings that were changed back since
    (new_shop / "settings.yaml").write_text("model: {churn_days: 7}\n")
    assert changed_settings(ABOUT, 5, new_shop).is_due


TRAINED = CUTOFF - timedelta(days=37)
"""Labels take 30 days, so that a week of them is new as of CUTOFF: a quarter of what calls for a training by itself."""


def test_drift_counts_features_that_moved(shop_home):
    features = load_inputs(CUTOFF, shop_home, Population()).features
    same = drifted_features(CUTOFF, ABOUT, reference_of(features), SETTINGS, TRAINED, shop_home)
    assert not same.is_due
    assert f"0 of {len(FEATURE_NAMES)} features have drifted beyond 0.25" in same.why
    varying = np.flatnonzero([len(np.unique(c[~np.isnan(c)])) > 20 for c in features.T])
    moved = features.copy()
    moved[:, varying] += 3 * np.nanstd(features[:, varying], axis=0)
    found = drifted_features(CUTOFF, ABOUT, reference_of(moved), SETTINGS, TRAINED, shop_home)
    assert found.is_due == (len(varying) > 0.1 * len(FEATURE_NAMES)) is True
    assert f"{len(varying)} of {len(FEATURE_NAMES)}" in found.why
    # It stays so until a challenger is promoted, and does not call for a training each day.
    waiting = drifted_features(CUTOFF, ABOUT, reference_of(moved), SETTINGS, TRAINED + timedelta(days=1), shop_home)
    assert not waiting.is_due
    assert waiting.why.endswith("; 6 days of labels are new since the newest training, a training for drift takes 7")
    lenient = DueSettings(max_drifted_share=1.0)
    assert not drifted_features(CUTOFF, ABOUT, reference_of(moved), lenient, TRAINED, shop_home).is_due


def test_a_handful_of_customers_tells_no_drift(shop_home):
    nobody = About("gru", 0, str(CUTOFF), Horizons(), Population(max_silent_days=0))
    found = drifted_features(CUTOFF, nobody, {}, SETTINGS, TRAINED, shop_home)
    assert not found.is_due
    assert "are too few to tell drift from chance" in found.why


@pytest.fixture
def scored(shop_home, shop, write_partition):
    """``scored(day, more=1.0, dearer=1.0)``: scores of that day by version 5, the truth times so much."""
    written = []

    def write(day: date, more: float = 1.0, dearer: float = 1.0, version: int = 5) -> None:
        probability = np.clip(shop.true_probability * more, 0, 1)
        row = {column.name: 1 for column in SCORES.columns}
        frame = pd.DataFrame(row, index=range(len(shop.keys)))
        frame["customer_key"], frame["snapshot_date"], frame["is_eligible"] = shop.keys, day, True
        frame["model_cutoff_date"] = day
        frame["model_name"], frame["model_version"] = "lifestage_behaviour", version
        frame["is_clv_extrapolated"] = True
        frame["purchase_probability_30d"] = probability
        frame["expected_spend_30d"] = 30 * shop.daily_probability * shop.mean_spend * dearer
        write_partition(shop_home, SCORES, day, frame)
        written.append(shop_home / "lake" / SCORES.folder(day))

    yield write
    for folder in written:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


DAYS = [date(2020, 6, n) for n in (1, 2, 3)]
AS_OF, SEEN = date(2020, 7, 10), date(2020, 6, 1)


def test_outcomes_of_the_truth_stay_within_their_intervals(shop_home, shop, scored):
    for day in DAYS:
        scored(day)
    found = outcomes(AS_OF, 5, DueSettings(total_tolerance=0.0), SEEN, shop_home)
    assert not found.is_due, found.why
    n = (DAYS[-1] - FIRST).days + 1
    bought = shop.bought[:, n : n + 30].any(axis=1)
    start = f"no total left the interval in the 30 days after 2020-06-03: buyers {bought.sum():,}, foretold "
    assert found.why.startswith(start)
    came, spend = came_true(DAYS[-1], 30, pd.Series(shop.keys), shop_home)
    assert (came == bought).all()
    np.testing.assert_allclose(spend, shop.spent[:, n : n + 30].sum(axis=1), atol=1e-6)


@pytest.mark.parametrize(("more", "dearer", "what"), [(0.7, 1.0, "buyers"), (1.0, 1.6, "spend")])
def test_outcomes_that_left_their_intervals_call_for_a_training(shop_home, scored, more, dearer, what):
    scored(DAYS[0], more, dearer)
    found = outcomes(AS_OF, 5, SETTINGS, SEEN, shop_home)
    assert found.is_due
    assert found.why.startswith(f"{what} left the interval in the 30 days after 2020-06-01: buyers ")
    # A shop may bear more.
    assert not outcomes(AS_OF, 5, DueSettings(total_tolerance=0.6), SEEN, shop_home).is_due
    # What a training has seen without a better model coming of it calls for no other; it is told.
    told = outcomes(AS_OF, 5, SETTINGS, SEEN + timedelta(days=1), shop_home)
    assert not told.is_due
    assert told.why.endswith("; the newest training knew outcomes up to 2020-06-02")


def test_windows_that_overlap_are_not_counted_twice(shop_home, scored):
    # Two bad days before, a good one last: the newest window alone is judged, and they are nearly the same windows.
    for day in DAYS[:2]:
        scored(day, more=0.5)
    assert outcomes(AS_OF, 5, SETTINGS, SEEN, shop_home).is_due
    scored(DAYS[2])
    assert not outcomes(AS_OF, 5, SETTINGS, SEEN, shop_home).is_due


def test_only_matured_days_of_the_champion_count(shop_home, scored):
    scored(DAYS[0], more=0.5, version=4)  # another version's
    scored(AS_OF - timedelta(days=29), more=0.5)  # not matured
    scored(AS_OF - timedelta(days=60), more=0.5)  # matured long since
    found = outcomes(AS_OF, 5, SETTINGS, SEEN, shop_home)
    assert (found.is_due, found.why) == (False, "no day the champion scored has matured in the last 30 days")


def test_the_cutoff_is_so_long_ago_as_labels_of_the_settings_take(tmp_path, capsys, write_partition):
    def told(day: date = date(2017, 12, 30)):
        cutoff.main(argparse.Namespace(home=tmp_path, ds=day))
        return capsys.readouterr().out

    for day in (30, 31):
        write_partition(tmp_path, CUSTOMER_DAY, date(2017, 12, day), pd.DataFrame(columns=CUSTOMER_DAY.column_names))
    # Labels are the 30 days after a cutoff: those of 30 November end with 30 December.
    assert told() == "2017-11-30\n"
    assert told(date(2026, 1, 1)) == "2017-12-01\n"  # a run by hand, years after the shop's last day
    (tmp_path / "settings.yaml").write_text("model: {edges_days: [30, 90], churn_days: 90}\n")
    assert told() == "2017-10-01\n"


def test_without_champion_a_training_is_due(shop_home):
    (found,) = findings(AS_OF, None, shop_home)
    assert found.is_due


def test_the_command_tells_reasons_and_a_last_line_to_branch_on(shop_home, monkeypatch, capsys):
    told = [due_checks.Finding("labels", False, "few."), due_checks.Finding("drift", True, "much.")]
    monkeypatch.setattr(due_checks, "findings", lambda *_: told)
    monkeypatch.setattr("ml.registry.champion", lambda _: 7)
    assert due.main(due.arg_parser().parse_args(["--home", str(shop_home)])) is None
    assert capsys.readouterr().out.splitlines() == ["labels: no, few.", "drift: yes, much.", "due: yes"]
    due.main(due.arg_parser().parse_args(["--home", str(shop_home), "--json", "--ds", "2020-08-01"]))
    found = json.loads(capsys.readouterr().out)
    assert (found["due"], found["as_of"], found["champion"]) == (True, "2020-08-01", "lifestage_behaviour/7")
    assert [one["is_due"] for one in found["findings"]] == [False, True]
    # Labels of days that are not there have not matured, whatever today's date is.
    due.main(due.arg_parser().parse_args(["--home", str(shop_home), "--json", "--ds", "2026-08-01"]))
    assert json.loads(capsys.readouterr().out)["as_of"] == "2020-08-27"


def test_bounds_are_settings_of_the_home(tmp_path):
    (tmp_path / "settings.yaml").write_text("due: {after_days: 7, max_psi: 0.5}")
    assert load_due_settings(tmp_path) == DueSettings(after_days=7, max_psi=0.5)
    (tmp_path / "settings.yaml").write_text("due: {after: 7}")
    with pytest.raises(SetupError, match="due has no setting 'after'; known: after_days"):
        load_due_settings(tmp_path)
