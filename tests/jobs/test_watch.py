"""The churn watch list: who is on it, in which order, what changed in a week, and the model's own reasons."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from expectations.behaviour import FEATURE_NAMES
from expectations.segments import CUSTOMER_SEGMENTS, SCORES
from expectations.watch import CHURN_WATCHLIST
from jobs import watch_churn
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from jobs.watch_churn import WatchSettings, changes, comparable, listed, reasons, with_places
from ml.calibrate import Calibrated
from ml.cohorts import INPUT_COLUMNS
from ml.models import make
from ml.predict import Predictor
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
