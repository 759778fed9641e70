"""Cohorts, realised predictions and data quality, against hand-counted rows."""

import json
from datetime import date, timedelta

import pyarrow as pa
import pytest

from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_MONTH
from expectations.events import EVENTS, INGEST_REPORT
from expectations.outcomes import COHORT_RETENTION
from expectations.segments import SCORES
from jobs import measure_outcomes
from jobs.checks.outcomes import CheckOutcome, GateResult, keep, result_path
from jobs.frames import checked
from jobs.lake import LakeTable
from jobs.outcomes.cohorts import arrivals, cohort_retention, monthly_purchases
from jobs.outcomes.performance import performance
from jobs.outcomes.quality import quality
from jobs.schemas import arrow_schema
from tests.jobs.rows import DAY, filled


def write(home, table, day, *rows):
    LakeTable(home, table).write_arrow(day, pa.Table.from_pylist(list(rows), arrow_schema(table)))


def bought(home, arrived, *purchases):
    """A partition of customer_day: (customer, event date, amount) each."""
    rows = [
        filled(CUSTOMER_DAY, customer_key=who, event_date=on, arrival_date=arrived, purchase_count=1,
               purchase_amount=amount)
        for who, on, amount in purchases
    ]  # fmt: skip
    write(home, CUSTOMER_DAY, arrived, *rows)


def month(n):
    return date(2024, n, 1)


def test_cohorts_are_counted_by_calendar_month(home, spark):
    bought(home, date(2024, 1, 5), ("a", date(2024, 1, 5), 10), ("b", date(2024, 1, 5), 5))
    bought(home, date(2024, 1, 6), ("a", date(2024, 1, 6), 1))  # the same month: one buyer
    bought(home, date(2024, 2, 9), ("c", date(2024, 2, 9), 7))
    bought(home, date(2024, 3, 1), ("a", date(2024, 3, 1), 20), ("c", date(2024, 2, 29), 3))  # c's is a late one
    bought(home, date(2024, 3, 11), ("b", date(2024, 3, 2), 99))  # not known on the day yet
    frame = cohort_retention(monthly_purchases(spark, home, DAY), DAY)
    rows = sorted(
        checked(frame, COHORT_RETENTION).toArrow().to_pylist(), key=lambda r: (r["cohort_month"], r["months_since"])
    )
    found = [(r["cohort_month"], r["months_since"], r["customers"], r["buyers"], r["purchase_amount"]) for r in rows]
    assert found == [
        (month(1), 0, 2, 2, 16.0), (month(1), 1, 2, 0, 0.0), (month(1), 2, 2, 1, 20.0),
        (month(2), 0, 1, 1, 10.0), (month(2), 1, 1, 0, 0.0),
    ]  # fmt: skip
    assert [r["retention"] for r in rows] == [1.0, 0.0, 0.5, 1.0, 0.0]
    assert [r["is_complete"] for r in rows] == [True, True, False, True, False]


def test_a_month_is_over_on_its_last_day(home, spark):
    bought(home, date(2024, 2, 9), ("a", date(2024, 2, 9), 7))
    for day, over in ((date(2024, 2, 28), [False]), (date(2024, 2, 29), [True]), (date(2024, 3, 1), [True, False])):
        rows = cohort_retention(monthly_purchases(spark, home, day), day).toArrow().sort_by("months_since")
        assert rows["is_complete"].to_pylist() == over


def test_a_rolled_up_month_tells_the_same_as_its_days(home, spark):
    bought(home, date(2024, 1, 5), ("a", date(2024, 1, 5), 10))
    bought(home, date(2024, 2, 9), ("a", date(2024, 2, 9), 7), ("a", date(2024, 1, 30), 2))
    by_days = monthly_purchases(spark, home, DAY).toArrow().sort_by("month").to_pylist()
    rolled = [
        filled(CUSTOMER_MONTH, customer_key="a", arrival_month=month(2), period_start_date=start, purchase_count=1,
               purchase_amount=amount)
        for start, amount in ((month(2), 7), (date(2024, 1, 30), 2))
    ]  # fmt: skip
    write(home, CUSTOMER_MONTH, month(2), *rolled)
    assert monthly_purchases(spark, home, DAY).toArrow().sort_by("month").to_pylist() == by_days


def test_every_arrival_is_read_once_and_none_from_after_the_day():
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(100)]
    closed, single = arrivals([month(1), month(2), month(3)], days, DAY)
    assert closed == [month(1), month(2)]  # March is not over on the 10th, rolled up or not
    assert single == [date(2024, 3, n) for n in range(1, 11)]
    assert arrivals([], days, DAY) == ([], [day for day in days if day <= DAY])


def score(who, chance, spend, eligible=True, cutoff=DAY - timedelta(days=7)):
    return filled(SCORES, customer_key=who, snapshot_date=DAY - timedelta(days=7), is_eligible=eligible,
                  purchase_probability_7d=chance, expected_spend_30d=spend, model_name="m", model_version=4,
                  churn_days=30, model_cutoff_date=cutoff)  # fmt: skip


def test_predictions_are_held_against_what_came(home):
    scored = DAY - timedelta(days=7)
    for n in range(1, 8):
        bought(home, scored + timedelta(days=n))
    bought(home, scored + timedelta(days=3), ("a", scored + timedelta(days=3), 4), ("b", scored, 9))  # b's was before
    people = [score("a", 0.75, 3), score("b", 0.25, 2), score("c", 0.5, 1), score("out", 0.9, 9, eligible=False)]
    write(home, SCORES, scored, *people)
    (row,) = performance(home, DAY).to_pylist()  # 14 days and more were not scored
    assert (row["horizon_days"], row["scored_on"], row["model_version"]) == (7, scored, 4)
    assert (row["customers"], row["predicted_buyers"], row["actual_buyers"]) == (3, 1.5, 1)
    assert row["auc"] == 1.0
    assert row["brier_score"] == pytest.approx((0.25**2 + 0.25**2 + 0.5**2) / 3)
    assert (row["predicted_spend"], row["actual_spend"]) == (None, None)  # no spend is foretold for 7 days


def test_hindsight_is_no_forecast(home, caplog):
    scored = DAY - timedelta(days=7)
    for n in range(1, 8):
        bought(home, scored + timedelta(days=n))
    write(home, SCORES, scored, score("a", 0.75, 3))  # by a model that knows of nothing after that day
    assert performance(home, DAY).num_rows == 1
    write(home, SCORES, scored, score("a", 0.75, 3, cutoff=scored + timedelta(days=1)))
    with caplog.at_level("INFO"):
        assert performance(home, DAY).num_rows == 0
    assert "learned from days up to 2024-03-04: no forecast" in caplog.text


def test_a_window_with_a_day_missing_is_left_out_and_said_so(home, caplog):
    scored = DAY - timedelta(days=7)
    bought(home, DAY)  # six days before it are not in the lake
    write(home, SCORES, scored, score("a", 0.5, 1))
    assert performance(home, DAY).num_rows == 0
    assert "what was foretold for 7 days up to 2024-03-10 cannot be judged" in caplog.text


def test_quality_tells_every_check_and_the_fate_of_every_row(home):
    held = CheckOutcome("amount_missing", "fail", True, "as expected", "not null", "money")
    broken = CheckOutcome("volume_warn", "warn", False, "0.40", "0.5 … 2", "half", measured={"web": 0.4})
    unjudged = CheckOutcome("drift_warn", "warn", None, "not judged: no rows", "at most 0.25", "drift")
    path = result_path(home, EVENTS, DAY, DAY)
    keep(GateResult("events", DAY, DAY, 3, (held, broken, unjudged), path, "digest"))
    report = {"source": "shop", "feed": "web", "arrival_date": DAY}
    write(home, INGEST_REPORT, DAY, *(
        filled(INGEST_REPORT, source_file=name, rows_read=10, rows_kept=8, rows_quarantined=2 - dropped,
               rows_dropped=dropped, **report)
        for dropped, name in enumerate(("1.csv", "2.csv"))
    ))  # fmt: skip
    rows = {(r["table_name"], r["check_name"]): r for r in quality(home, DAY).to_pylist()}
    assert rows["events", "amount_missing"]["has_held"] is True
    assert rows["events", "volume_warn"]["observed"] == 0.4
    assert rows["events", "volume_warn"]["words"] == "expected 0.5 … 2; found 0.40"
    assert rows["events", "drift_warn"]["has_held"] is None
    fates = {name: rows["shop/web", name]["observed"] for name in ("rows_read", "rows_kept", "rows_quarantined")}
    assert fates == {"rows_read": 20, "rows_kept": 16, "rows_quarantined": 3}
    told = [rows["shop/web", name]["words"] for name in ("rows_kept", "rows_dropped")]
    assert told == ["16 rows kept", "1 row left out by a policy"]
    assert json.loads(path.read_text())["passed"] is True


def test_the_job_writes_equal_bytes_again(home):
    bought(home, DAY, ("a", DAY, 10), ("b", DAY, 1))
    arguments = measure_outcomes.arg_parser().parse_args(["--home", str(home.path), "--ds", str(DAY)])

    def made():
        measure_outcomes.main(arguments)
        folders = [LakeTable(home, t).folder(DAY) for t in measure_outcomes.WRITES]
        return [file.read_bytes() for folder in folders for file in sorted(folder.glob("*.parquet"))]

    first = made()
    assert len(first) == 3
    assert made() == first
