"""The churn watch list: who is on it, in which order, what changed in a week, and the model's own reasons."""

import os
import shutil
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.behaviour import FEATURE_NAMES, FEATURES
from expectations.segments import CUSTOMER_SEGMENTS, SCORES
from expectations.watch import CHURN_WATCHLIST
from jobs import watch_churn
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from jobs.watch_churn import WatchSettings, changes, comparable, listed, reasons, watched, with_places
from ml.calibrate import Calibrated, Calibration, Curve
from ml.cohorts import INPUT_COLUMNS
from ml.models import make
from ml.predict import Predictor
from ml.recalibrate import Recipe, under
from tests.ml.told_rows import CUTOFF, told_examples

DAY = date(2024, 4, 30)
WEEK = timedelta(days=7)
SETTINGS = WatchSettings()


def rows_of(table, rows: list[dict]) -> pa.Table:
    """``rows`` with a value for everything they do not say."""
    blank = {"string": "x", "int32": 1, "int64": 1, "double": 0.5, "date": DAY, "bool": True}
    filled = [{c.name: row.get(c.name, blank[c.type]) for c in table.columns} for row in rows]
    return pa.Table.from_pylist(filled, arrow_schema(table))


def customer(key: str, probability: float, spend: float, **more: object) -> dict:
    band = "high" if probability >= 2 / 3 else "medium"
    return {"customer_key": key, "churn_probability": probability, "purchase_amount_365d": spend,
            "return_amount_365d": 0.0, "churn_band": band, "lifecycle_stage": "active", **more}  # fmt: skip


def keys(rows: list[dict], **settings: float) -> list[str]:
    return listed(rows_of(CUSTOMER_SEGMENTS, rows), WatchSettings(**settings))["customer_key"].to_pylist()


def test_the_most_money_at_stake_comes_first_and_equals_by_key():
    rows = [customer("c", 0.6, 100), customer("b", 0.6, 100), customer("a", 0.9, 50), customer("d", 0.5, 900)]
    assert keys(rows) == ["d", "b", "c", "a"]
    assert keys(rows, most_listed=2) == ["d", "b"]


def test_what_was_refunded_is_not_at_stake():
    table = rows_of(CUSTOMER_SEGMENTS, [customer("a", 0.5, 900, return_amount_365d=880), customer("b", 0.5, 100)])
    assert listed(table, SETTINGS).select(["customer_key", "spend_at_risk"]).to_pylist() == [
        {"customer_key": "b", "spend_at_risk": 50.0},
        {"customer_key": "a", "spend_at_risk": 10.0},
    ]


@pytest.mark.parametrize(
    "row",
    [
        customer("a", 0.49, 900),
        customer("a", 0.9, 900, is_eligible=False),
        customer("a", 0.9, 0),
        customer("a", 0.9, 900, return_amount_365d=901),
        customer("a", 0.9, 900, lifecycle_stage="churned"),
    ],
    ids=["stays", "not of the population", "paid nothing in a year", "sent it all back", "has left already"],
)
def test_who_is_not_watched(row):
    assert keys([row]) == []


def test_band_high_is_watched_whatever_the_bound():
    assert keys([customer("a", 0.7, 10)], probability_from=0.9) == ["a"]


def write_scores(home, day: date, version: int, **probability: float) -> None:
    rows = [{"customer_key": key, "snapshot_date": day, "churn_probability": value, "model_name": "m",
             "model_version": version} for key, value in probability.items()]  # fmt: skip
    LakeTable(home, SCORES).write_arrow(day, rows_of(SCORES, rows))


def test_a_week_before_is_the_newest_of_the_second_week_by_the_same_version(home):
    for back, version in ((15, 3), (9, 3), (8, 2), (3, 3)):
        write_scores(home, DAY - timedelta(days=back), version, a=0.1)
    assert comparable(home, DAY, ("m", 3)) == DAY - timedelta(days=9)
    assert comparable(home, DAY, ("m", 2)) == DAY - timedelta(days=8)
    assert comparable(home, DAY, ("m", 4)) is None
    write_scores(home, DAY - WEEK, 3, a=0.1)
    assert comparable(home, DAY, ("m", 3)) == DAY - WEEK


def test_the_change_is_null_for_whom_the_earlier_day_did_not_know():
    rows = listed(rows_of(CUSTOMER_SEGMENTS, [customer("a", 0.7, 90), customer("b", 0.6, 10)]), SETTINGS)
    before = pa.table({"customer_key": ["x", "a"], "churn_probability": [0.9, 0.45]})
    told = changes(rows, before, DAY - WEEK).select(["churn_probability_change", "compared_with"]).to_pylist()
    assert told[0] == {"churn_probability_change": pytest.approx(0.25), "compared_with": DAY - WEEK}
    assert told[1] == {"churn_probability_change": None, "compared_with": None}


@pytest.fixture(scope="module")
def examples():
    return told_examples()


@pytest.fixture(scope="module")
def features(examples) -> pa.Table:
    """The rows of lake/features that the examples stand for."""
    inputs = examples.inputs
    columns = {name: inputs.features[:, n] for n, name in enumerate(FEATURE_NAMES)}
    columns |= {"customer_key": inputs.customer_keys, "first_purchase_date": [CUTOFF.item()] * len(inputs)}
    columns |= {name: inputs.life[name] for name in INPUT_COLUMNS if name in inputs.life and name not in columns}
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})


def explained(name: str, home, examples, features: pa.Table) -> list[list[str | None]]:
    """Reasons of two quiet customers by a fitted model, as their columns."""
    model = Calibrated(make(name))
    model.fit(examples, told_examples(seed=1))
    predictor = Predictor(f"{name}/1", model, about=None)
    return reasons(predictor, home, CUTOFF.item(), pa.chunked_array([examples.inputs.customer_keys[[5, 2]]]), features)


def test_the_planted_cause_is_the_first_reason_in_the_customers_own_numbers(home, examples, features):
    words = explained("recency_rule", home, examples, features)
    assert words == [["no purchase for 62 days (usual gap 12)"] * 2, [None] * 2, [None] * 2]


def test_a_model_without_reasons_says_so_in_words_and_once_in_the_log(home, examples, features, caplog):
    words = explained("past_spend", home, examples, features)
    assert words == [["past_spend gives no reasons"] * 2, [None] * 2, [None] * 2]
    (line,) = caplog.records
    assert line.getMessage().endswith("stands without reasons: past_spend gives no reasons")


def test_rows_are_those_of_the_contract():
    rows = listed(rows_of(CUSTOMER_SEGMENTS, [customer("b", 0.7, 90), customer("a", 0.7, 10)]), SETTINGS)
    found = with_places(changes(rows, None, None), [["why", "so"], [None, "x"], [None, None]])
    assert found.column_names == CHURN_WATCHLIST.column_names
    assert found.select(["rank", "customer_key", "reason_1"]).to_pylist() == [
        {"rank": 1, "customer_key": "b", "reason_1": "why"},
        {"rank": 2, "customer_key": "a", "reason_1": "so"},
    ]


def test_a_day_on_which_nobody_leaves_has_an_empty_list(home):
    LakeTable(home, CUSTOMER_SEGMENTS).write_arrow(DAY, rows_of(CUSTOMER_SEGMENTS, [customer("a", 0.1, 50)]))
    watch_churn.main(watch_churn.arg_parser().parse_args(["--home", str(home.path), "--ds", str(DAY)]))
    assert len(LakeTable(home, CHURN_WATCHLIST).read_arrow([DAY])) == 0


def test_medians_leave_out_who_has_no_value(features):
    told = dict(zip(FEATURE_NAMES, watch_churn.medians(features), strict=True))
    assert told["age"] == np.nanmedian(features["age"].to_numpy())


BEFORE = DAY - WEEK


@pytest.fixture
def line(home, examples, features, monkeypatch):
    """A home whose customers are the same on BEFORE and DAY, scored by one version under two calibrations.

    Only the registry is passed over.
    """
    model = Calibrated(make("recency_rule"))
    model.fit(examples, told_examples(seed=1))
    predictor = Predictor("m/3", model, about=None)
    own = [1, 2, 200, 201]
    for day, shift in ((BEFORE, 0.0), (DAY, 2.0)):
        write_features(home, day, features.take(own))
        calibration = shifted(model.calibration, shift)
        told = under(predictor, calibration).score(LakeTable(home, FEATURES).read_arrow([day]), day, home.path)
        keyed = zip(examples.inputs.customer_keys[own], told["churn_probability"].to_pylist(), strict=True)
        made = {"snapshot_date": day, "model_name": "m", "model_version": 3}
        known = [{**customer(key, probability, 90), "churn_band": "high", **made} for key, probability in keyed]
        LakeTable(home, SCORES).write_arrow(day, rows_of(SCORES, known), str(Recipe("m/3", None, 0, calibration)))
    LakeTable(home, CUSTOMER_SEGMENTS).write_arrow(DAY, rows_of(CUSTOMER_SEGMENTS, known))
    monkeypatch.setattr("ml.predict.load_predictor", lambda *_: predictor)
    return home


def shifted(calibration: Calibration, by: float) -> Calibration:
    """Every chance of a purchase lower by ``by`` in logits."""
    return replace(calibration, curves=tuple(Curve(shift=-by) for _ in calibration.curves))


def write_features(home, day: date, rows: pa.Table) -> None:
    rows = [{**row, "snapshot_date": day} for row in rows.to_pylist()]
    LakeTable(home, FEATURES).write_arrow(day, rows_of(FEATURES, rows))


def probabilities(home, day: date) -> list[float]:
    return LakeTable(home, SCORES).read_arrow([day])["churn_probability"].to_pylist()


def test_a_changed_calibration_alone_changes_nobody(line):
    assert min(np.subtract(probabilities(line, DAY), probabilities(line, BEFORE))) > 0.01
    found = watched(line, DAY, SETTINGS)
    assert found["churn_probability_change"].to_pylist() == [0] * 4
    assert found["compared_with"].to_pylist() == [BEFORE] * 4


def test_who_fell_silent_changes_by_the_calibration_of_today(line, features):
    lively = features.take([1, 2, 200])
    recency = lively["recency_days"].to_pylist()
    lively = lively.set_column(lively.column_names.index("recency_days"), "recency_days", [[3.0, *recency[1:]]])
    write_features(line, BEFORE, lively)  # the first had bought by then, the last was not known
    found = {row["customer_key"]: row["churn_probability_change"] for row in watched(line, DAY, SETTINGS).to_pylist()}
    assert found.pop(features["customer_key"][1].as_py()) > 0.1
    assert found.pop(features["customer_key"][201].as_py()) is None
    assert list(found.values()) == [0, 0]


@pytest.mark.parametrize("why", ["gone", "of another contract"])
def test_without_the_features_of_then_the_change_is_null(line, why, caplog):
    folder = LakeTable(line, FEATURES).folder(BEFORE)
    if why == "gone":
        shutil.rmtree(folder)
    else:
        (file,) = folder.glob("*.parquet")
        pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["recency_days"]), file)
    found = watched(line, DAY, SETTINGS)
    assert found["churn_probability_change"].to_pylist() == found["compared_with"].to_pylist() == [None] * 4
    assert f"the watch list tells no changes since {BEFORE}: " in caplog.text


def test_a_list_is_stale_once_the_features_of_then_are_written_anew(line):
    watch_churn.main(watch_churn.arg_parser().parse_args(["--home", str(line.path), "--ds", str(DAY)]))
    assert watch_churn.is_fresh(line, DAY)
    os.utime(LakeTable(line, FEATURES).folder(BEFORE))
    assert not watch_churn.is_fresh(line, DAY)
