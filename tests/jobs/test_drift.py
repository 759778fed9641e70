"""Checks against earlier days: what they measure, what they say at night, and that they say when they cannot judge."""

import json
import math
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.behaviour import FEATURES
from expectations.contract import Check
from expectations.dimensions import CAMPAIGNS
from expectations.events import EVENTS, INGEST_REPORT
from jobs.checks.drift import drift, stability_index
from jobs.checks.gate import gate_frame
from jobs.checks.measured import measure
from jobs.checks.sorted_keys import counts_if_unique
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema

DAY = date(2024, 3, 6)  # a Wednesday
BLANK = {pa.string(): "", pa.int32(): 0, pa.int64(): 0, pa.float64(): 0.0, pa.bool_(): True, pa.date32(): DAY,
         pa.timestamp("us", "UTC"): 0, pa.decimal128(18, 4): 0}  # fmt: skip


def write(home, table, day, rows):
    """Writes ``rows``; what a row leaves out is null where the contract allows it, else empty or 0."""
    schema = arrow_schema(table)
    empty = {f.name: None if f.nullable else BLANK[f.type] for f in schema} | {table.partition: day}
    LakeTable(home, table).write_arrow(day, pa.Table.from_pylist([empty | row for row in rows], schema=schema))


def report(home, day, **kept):
    """The day's ingest_report: ``sales=100`` is a file of the feed sales with 100 rows kept."""
    rows = [
        {"source": "s", "source_file": f"{feed}.csv", "feed": feed, "rows_read": n, "rows_kept": n}
        for feed, n in kept.items()
    ]
    write(home, INGEST_REPORT, day, rows)


def weeks_before(n):
    return DAY - timedelta(days=7 * n)


def found(home, table, label, *days):
    check = next(c for c in table.checks if c.label == label)
    return measure(home, table, [check], list(days) or [DAY])[label]


# -- the index -------------------------------------------------------------------------------------------------------

COUNTS = st.lists(st.integers(0, 10_000), min_size=1, max_size=12)


@given(COUNTS, st.randoms())
def test_the_index_is_the_textbook_sum_over_bins(reference, random):
    counts = [random.randint(0, 10_000) for _ in reference]
    n, m, k = sum(counts) + len(counts) / 2, sum(reference) + len(counts) / 2, 0.5
    expected = math.fsum(
        ((c + k) / n - (r + k) / m) * math.log(((c + k) / n) / ((r + k) / m))
        for c, r in zip(counts, reference, strict=True)
    )
    index = stability_index(np.array(reference), np.array(counts))
    assert index == pytest.approx(expected, abs=1e-12)
    assert index >= -1e-12
    # It does not matter which of the two is the reference.
    assert stability_index(np.array(counts), np.array(reference)) == pytest.approx(index)


def test_chance_stays_far_below_the_bound_and_a_shifted_population_above_it():
    random = np.random.default_rng(0)
    reference = random.normal(size=5000)
    assert drift(reference, random.normal(size=5000)) < 0.01
    # A shift by half a deviation: ∫ (p - q) ln(p/q) of two normals is 0.5² = 0.25; tenths lose a little of it.
    assert drift(reference, random.normal(0.5, size=5000)) == pytest.approx(0.25, abs=0.05)


def test_equal_values_are_one_bin_and_missing_ones_another():
    mostly_zero = np.array([0.0] * 950 + [1.0] * 50)
    assert drift(mostly_zero, mostly_zero) == 0
    assert drift(mostly_zero, np.where(np.arange(1000) < 500, np.nan, mostly_zero)) > 1
    # A column that was missing for all and still is has not drifted.
    assert drift(np.full(600, np.nan), np.full(600, np.nan)) == 0


# -- volume ----------------------------------------------------------------------------------------------------------


def test_volume_is_measured_against_the_last_four_same_weekdays(home):
    for n, rows in enumerate((9_000, 11_000, 9_480, 10_000, 500_000), start=1):  # the fifth week back is too old
        report(home, weeks_before(n), sales=rows)
    report(home, DAY - timedelta(days=1), sales=3)  # a Tuesday says nothing of Wednesdays
    report(home, DAY, sales=3_120)
    (sales,) = found(home, INGEST_REPORT, "volume_warn").measured
    assert sales.text == "sales: 3,120 against 9,870 expected (last four Wednesdays), 32%"
    assert (sales.of, round(sales.value, 3)) == ("sales", 0.316)


def test_a_closed_day_is_missing_and_one_known_weekday_is_not_enough(home):
    report(home, DAY, sales=100)
    report(home, weeks_before(1), sales=100)
    report(home, weeks_before(2))  # closed: no file was due
    assert found(home, INGEST_REPORT, "volume_fail") == found(home, INGEST_REPORT, "volume_warn")
    result = found(home, INGEST_REPORT, "volume_warn")
    assert not result.measured
    assert result.unjudged == ("sales: of the last four Wednesdays 1 known, too few to judge",)
    report(home, weeks_before(4), sales=300)
    (sales,) = found(home, INGEST_REPORT, "volume_warn").measured
    assert sales.text == "sales: 100 against 200 expected (2 of the last four Wednesdays), 50%"


def test_each_feed_has_a_volume_of_its_own_and_a_small_one_is_not_judged(home):
    for n in range(1, 5):
        report(home, weeks_before(n), sales=1_000, coupons=8)
    report(home, DAY, sales=1_000, coupons=0, reviews=70)
    result = found(home, INGEST_REPORT, "volume_fail")
    assert [item.of for item in result.measured] == ["sales"]
    assert result.unjudged == (
        "coupons: 8 rows expected, too few to judge",
        "reviews: of the last four Wednesdays none known, too few to judge",
    )


def test_a_day_on_which_nothing_was_due_is_not_judged(home):
    report(home, DAY)
    assert found(home, INGEST_REPORT, "volume_fail").unjudged == ("no file was due",)


# -- of the day alone ------------------------------------------------------------------------------------------------


def test_the_share_of_unknown_products_is_over_all_files(home):
    rows = [{"source_file": "a", "rows_kept": 60, "rows_unknown_product": 5}, {"source_file": "b", "rows_kept": 40}]
    write(home, INGEST_REPORT, DAY, rows)
    (share,) = found(home, INGEST_REPORT, "unknown_product_warn").measured
    assert (share.value, share.text) == (0.05, "5 of 100 (5.00%)")


def events(home, day, *dates, **columns):
    rows = [
        {"source_line": n + 1, "event_date": of} | {name: values[n] for name, values in columns.items()}
        for n, of in enumerate(dates)
    ]
    write(home, EVENTS, day, rows)


def test_freshness_is_the_age_of_the_newest_event_and_the_share_of_late_ones(home):
    events(home, DAY, DAY - timedelta(days=1), *[DAY - timedelta(days=3)] * 3)
    (newest,) = found(home, EVENTS, "freshness_warn").measured
    assert (newest.value, newest.text) == (1, "the newest is of 2024-03-05, 1 days before")
    (late,) = found(home, EVENTS, "late_warn").measured
    assert (late.value, late.text) == (0.75, "3 of 4 rows (75.00%), the oldest of 2024-03-03")


def test_a_campaign_must_have_been_delivered_by_the_day(home):
    # c1 was known before, c2 comes tomorrow, c3 never; events without a campaign do not count.
    events(home, DAY, *[DAY] * 5, campaign_id=["c1", "c1", "c2", "c3", None])
    assert found(home, EVENTS, "unknown_campaign_warn").unjudged == ("the shop has delivered no campaigns",)
    write(home, CAMPAIGNS, weeks_before(9), [{"campaign_id": "c1"}])
    write(home, CAMPAIGNS, DAY + timedelta(days=1), [{"campaign_id": "c2"}])
    (lost,) = found(home, EVENTS, "unknown_campaign_warn").measured
    assert (lost.value, lost.text) == (0.5, "2 of 4 rows (50.00%), 2 of 3 values")


# -- distributions ---------------------------------------------------------------------------------------------------


def typed(home, day, **counts):
    types = [name for name, n in counts.items() for _ in range(n)]
    events(home, day, *[day] * len(types), event_type=types)


def test_a_lost_feed_shows_in_the_mix_of_event_types_but_a_campaign_does_not(home):
    for n in (1, 2):
        typed(home, weeks_before(n), purchase=300, view=700)
    typed(home, DAY, purchase=300, view=700, campaign_send=5_000)
    (same,) = found(home, EVENTS, "event_type_drift_warn").measured
    assert same.value == pytest.approx(0, abs=1e-3)
    typed(home, DAY, purchase=600)
    (other,) = found(home, EVENTS, "event_type_drift_warn").measured
    assert other.value > 0.25
    assert other.text.endswith("(purchase 30.0% → 100.0%, view 70.0% → 0.0%)")


def test_few_rows_are_not_judged_by_their_mix(home):
    for day in (DAY, weeks_before(1), weeks_before(2)):
        typed(home, day, purchase=100)
    assert found(home, EVENTS, "event_type_drift_warn").unjudged == ("fewer than 500 rows",)


def test_a_column_that_is_no_longer_filled_leads_the_list(home):
    for n in (1, 2):
        events(home, weeks_before(n), *[weeks_before(n)] * 4, device=["a", "b", "c", None], brand=["x"] * 4)
    events(home, DAY, *[DAY] * 4, device=[None] * 4, brand=["x"] * 4)
    first, *rest = found(home, EVENTS, "null_shift_warn").measured
    assert (first.of, first.value) == ("device", 0.75)
    assert first.text == "device: 100.0% null, 25.0% in 2 of the last four Wednesdays"
    assert all(item.value == 0 for item in rest)


def features(home, day, recency, random):
    rows = [
        {"customer_key": f"{n:032x}", "recency_days": int(recency + random.integers(0, 30)), "event_count_90d": n}
        for n in range(600)
    ]
    write(home, FEATURES, day, rows)


def test_a_drifted_feature_leads_the_list_and_windows_that_were_not_full_are_left_out(home):
    random = np.random.default_rng(1)
    assert found(home, FEATURES, "drift_warn").unjudged == ("no features of 2024-02-07",)
    # The first day of data lies 60 days before the earlier snapshot: a window of 90 has grown since.
    events(home, DAY - timedelta(days=28 + 60), DAY - timedelta(days=28 + 60))
    features(home, DAY - timedelta(days=28), 0, random)
    features(home, DAY, 20, random)
    result = found(home, FEATURES, "drift_warn")
    assert result.measured[0].of == "recency_days"
    assert result.measured[0].value > 0.25
    assert all(item.value < 0.25 for item in result.measured[1:])
    names = {item.of for item in result.measured}
    assert "event_count_30d" in names
    assert not any(name.endswith("_90d") for name in names)
    (short,) = result.unjudged
    assert short.endswith("windows reached beyond the first day of data on 2024-02-07")


# -- verdicts --------------------------------------------------------------------------------------------------------


def gate(home, spark, table, day=DAY, last=None):
    days = [day + timedelta(days=n) for n in range(((last or day) - day).days + 1)]
    return gate_frame(home, table, LakeTable(home, table).read(spark, days), day, last=last)


def outcome(result, name):
    return next(o for o in result.outcomes if o.name == name)


def test_the_verdict_says_what_was_expected_and_keeps_the_numbers(home, spark):
    for n in (1, 2):
        report(home, weeks_before(n), sales=10_000, coupons=1_000)
    report(home, DAY, sales=900, coupons=1_000)
    result = gate(home, spark, INGEST_REPORT)
    assert [o.name for o in result.failed] == ["volume_fail"]
    volume = outcome(result, "volume_fail")
    assert volume.observed == "sales: 900 against 10,000 expected (2 of the last four Wednesdays), 9%"
    assert volume.expected == "rows_kept of each feed between 10% and 1,000% of its mean of the last four same weekdays"
    assert volume.measured == {"coupons": 1.0, "sales": 0.09}
    kept = json.loads(result.path.read_text())
    assert next(o for o in kept["outcomes"] if o["name"] == "volume_fail")["measured"] == volume.measured


def test_what_cannot_be_judged_neither_holds_nor_breaks_and_is_counted(home, spark):
    report(home, DAY, sales=100)
    result = gate(home, spark, INGEST_REPORT)
    assert result.passed
    volume = outcome(result, "volume_warn")
    assert volume.passed is None
    assert volume.observed == "not judged: sales: of the last four Wednesdays none known, too few to judge"
    assert result.summary().endswith("0 warned, 0 failed, 2 not judged")


def test_a_file_that_is_not_whole_fails_and_an_added_column_warns_each_by_name(home, spark):
    rows = [
        {"source_file": "a.csv", "is_complete": False, "rows_read": 1},
        {"source_file": "b.csv", "added_columns": "loyalty_id", "rows_read": 1},
    ]
    write(home, INGEST_REPORT, DAY, rows)
    result = gate(home, spark, INGEST_REPORT)
    assert [(o.name, o.observed) for o in result.failed] == [
        ("is_complete_fail", "a.csv: is_complete false"),
    ]
    assert outcome(result, "added_columns_warn").observed == "b.csv: added_columns loyalty_id"


def test_over_a_range_each_day_is_judged_by_its_own_past(home, spark):
    days = [DAY - timedelta(days=7 * n) for n in (3, 2, 1, 0)]
    for day in (days[0] + timedelta(days=n) for n in range((DAY - days[0]).days + 1)):
        report(home, day, **({"sales": 40 if day == DAY else 1_000} if day in days else {}))
    result = gate(home, spark, INGEST_REPORT, days[0], DAY)
    volume = outcome(result, "volume_fail")
    assert not volume.passed
    assert volume.observed.startswith(
        f"{DAY} sales: 40 against 1,000 expected (3 of the last four Wednesdays), 4%; not"
    )
    # The first two Wednesdays know fewer than two before them, and on every other day nothing was due.
    assert volume.measured == {f"{days[2]} sales": 1.0, f"{DAY} sales": 0.04}


def test_every_kind_of_check_is_described_and_measured():
    from typing import get_args, get_type_hints

    from expectations.check_texts import expected
    from expectations.contract import ROW_CHECKS
    from expectations.publication import PUBLICATION
    from jobs.checks.measured import _KINDS

    kinds = get_args(get_type_hints(Check)["kind"])
    audits = {check.kind for check in PUBLICATION.checks}  # measured in the warehouse
    assert set(kinds) == {*ROW_CHECKS, *_KINDS, *audits}
    for kind in kinds:
        check = Check(kind=kind, severity="warn", why="w", columns=("a", "b"), minimum=0.1, maximum=0.5, of="t", days=3)
        assert expected(check)


# -- unique keys -----------------------------------------------------------------------------------------------------

KEYS = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["f", "g", "h"]), st.integers(1, 4)), max_size=9)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KEYS)
def test_keys_are_unique_where_each_is_above_the_one_before(home, keys):
    rows = [{"source": source, "source_file": file, "source_line": line} for source, file, line in keys]
    write(home, EVENTS, DAY, rows)  # which sorts them by key
    found = counts_if_unique(LakeTable(home, EVENTS), [DAY])
    # A single key column may be constant, and then the others decide; all constant and two rows: the same key twice.
    assert found == ({DAY: len(keys)} if len(set(keys)) == len(keys) else None)


def test_keys_out_of_order_or_in_several_files_are_left_to_the_engine(home):
    write(home, EVENTS, DAY, [{"source_line": 1}, {"source_line": 2}])
    table = LakeTable(home, EVENTS)
    (file,) = table.folder(DAY).glob("*.parquet")
    rows = pq.read_table(file, partitioning=None)
    pq.write_table(rows.take([1, 0]), file)
    assert counts_if_unique(table, [DAY]) is None
    pq.write_table(rows, file)
    assert counts_if_unique(table, [DAY]) == {DAY: 2}
    pq.write_table(rows, file.with_name("part-1.parquet"))
    assert counts_if_unique(table, [DAY]) is None
