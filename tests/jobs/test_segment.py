"""The job of segments over days: what follows from the day before, flows that add up, what a re-run leaves stale."""

import logging
import os
from collections import Counter
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.behaviour import FEATURES
from expectations.clusters import CUSTOMER_CLUSTERS
from expectations.errors import DataError
from expectations.lifecycle import GONE, LIFECYCLE_STAGES, STAGE_TRANSITIONS, UNSEEN
from expectations.segments import CUSTOMER_SEGMENTS, SCORES, SEGMENT_SETTINGS
from jobs import segment
from jobs.lake import RECIPE_FILE, LakeTable
from jobs.segments.shown import PARTS
from jobs.segments.snapshots import line_after, line_before, snapshot_before
from jobs.segments.transitions import stage_transitions
from ml.calibrate import Calibration, Curve
from ml.recalibrate import Recipe
from tests.jobs.segment_rows import DAY, NEVER, customer, table_of, write_day

DAYS = [DAY + timedelta(days=n) for n in range(4)]
SILENT = {"recency_days": 31}


def run(home, *argv):
    segment.main(segment.arg_parser().parse_args(["--home", str(home.path), *map(str, argv)]))


def of(home, day, *names):
    """Customer → these columns of the day's segments."""
    rows = LakeTable(home, CUSTOMER_SEGMENTS).read_arrow([day]).to_pylist()
    return {row["customer_key"]: tuple(row[name] for name in names) for row in rows}


def flows(home, day):
    rows = LakeTable(home, STAGE_TRANSITIONS).read_arrow([day]).to_pylist()
    return {(row["from_stage"], row["to_stage"]): (row["customers"], row["is_expected"]) for row in rows}


def content(home, day):
    """Every byte that the job wrote of the day."""
    tables = (CUSTOMER_SEGMENTS, SEGMENT_SETTINGS, STAGE_TRANSITIONS)
    files = [file for table in tables for file in sorted(LakeTable(home, table).folder(day).iterdir())]
    return [(file.parent.parent.name, file.name, file.read_bytes()) for file in files]


@pytest.fixture
def shop(home):
    """Four days scored and segmented: a falls asleep on the second and wakes on the fourth, b arrives on the third."""
    for day, changed in zip(DAYS, ({}, SILENT, SILENT, {"recency_days": 0}), strict=True):
        rows = [customer(customer_key="a", **changed), customer(customer_key="c")]
        write_day(home, day, *rows, *([customer(customer_key="b", first=0)] if day >= DAYS[2] else []))
    run(home, "--from", DAYS[0], "--to", DAYS[-1])
    return home


def test_stages_are_told_with_their_date_and_the_stage_before(shop):
    told = [of(shop, day, "lifecycle_stage", "lifecycle_phase", "stage_since", "previous_stage") for day in DAYS]
    assert [day["a"] for day in told] == [
        ("active", "retention", DAYS[0], None),
        ("dormant", "activation", DAYS[1], "active"),
        ("dormant", "activation", DAYS[1], "active"),
        ("reactivated", "retention", DAYS[3], "dormant"),
    ]
    assert [day["c"] for day in told] == [("active", "retention", DAYS[0], None)] * 4
    assert "b" not in told[1]
    assert told[3]["b"] == ("new", "conversion", DAYS[2], None)


def test_flows_of_each_day(shop):
    assert flows(shop, DAYS[0]) == {(UNSEEN, "active"): (2, True)}
    assert flows(shop, DAYS[1]) == {("active", "active"): (1, True), ("active", "dormant"): (1, True)}
    assert flows(shop, DAYS[2]) == {
        ("active", "active"): (1, True), ("dormant", "dormant"): (1, True), (UNSEEN, "new"): (1, True)
    }  # fmt: skip
    dates = [LakeTable(shop, STAGE_TRANSITIONS).read_arrow([day])["previous_snapshot_date"].to_pylist() for day in DAYS]
    assert [set(of_day) for of_day in dates] == [{None}, {DAYS[0]}, {DAYS[1]}, {DAYS[2]}]


def test_what_has_changed_in_the_past_is_counted_and_told(shop, caplog):
    # a has never bought, they say now, and c is erased.
    write_day(shop, DAYS[3], customer(customer_key="a", **NEVER), customer(customer_key="b", first=1))
    with caplog.at_level(logging.WARNING):
        run(shop, "--ds", DAYS[3])
    assert flows(shop, DAYS[3]) == {
        ("dormant", "prospect"): (1, False), ("active", GONE): (1, True), ("new", "new"): (1, True)
    }  # fmt: skip
    assert f"1 customers went from dormant to prospect between {DAYS[2]} and {DAYS[3]}" in caplog.text


KEYS = st.sampled_from("abcdefghij")
SNAPSHOT = st.dictionaries(KEYS, st.sampled_from(LIFECYCLE_STAGES), min_size=1)


@settings(max_examples=60, deadline=None)
@given(SNAPSHOT, SNAPSHOT)
def test_transitions_add_up_both_ways(earlier, later):
    before, now = (
        pa.table({"customer_key": list(known), "lifecycle_stage": list(known.values())}) for known in (earlier, later)
    )
    now = now.append_column("stage_before", pa.array([earlier.get(key) for key in later], pa.string()))
    rows = stage_transitions(now, before, DAYS[1], DAYS[0]).to_pylist()
    into, out_of = Counter(), Counter()
    for row in rows:
        assert row["customers"] > 0
        into[row["to_stage"]] += row["customers"]
        out_of[row["from_stage"]] += row["customers"]
    assert Counter(later.values()) == Counter({stage: n for stage, n in into.items() if stage != GONE})
    assert Counter(earlier.values()) == Counter({stage: n for stage, n in out_of.items() if stage != UNSEEN})
    assert into[GONE] == len(earlier.keys() - later.keys())
    assert out_of[UNSEEN] == len(later.keys() - earlier.keys())
    assert len({(row["from_stage"], row["to_stage"]) for row in rows}) == len(rows)


def test_a_day_again_gives_equal_bytes(shop):
    once = [content(shop, day) for day in DAYS]
    run(shop, "--from", DAYS[0], "--to", DAYS[-1])
    assert [content(shop, day) for day in DAYS] == once


def test_a_day_again_leaves_all_later_ones_stale_until_they_are_written_in_order(shop, caplog):
    assert all(segment.is_fresh(shop, day) for day in DAYS)
    with caplog.at_level(logging.WARNING):
        run(shop, "--ds", DAYS[1])
    assert f"2 later snapshots follow from {DAYS[1]} and are stale now" in caplog.text
    assert f"`python -m jobs segment --from {DAYS[2]} --to {DAYS[3]}`" in caplog.text
    assert f"publish again what is published of {DAYS[1]} to {DAYS[3]}" in caplog.text
    assert [segment.is_fresh(shop, day) for day in DAYS] == [True, True, False, False]
    run(shop, "--ds", DAYS[3])  # which stands on a stale one
    assert f"{DAYS[3]} follows from snapshots that are stale from {DAYS[2]} on" in caplog.text
    assert [segment.is_fresh(shop, day) for day in DAYS] == [True, True, False, False]
    caplog.clear()
    run(shop, "--from", DAYS[2], "--to", DAYS[3])
    assert all(segment.is_fresh(shop, day) for day in DAYS)
    assert "stale" not in caplog.text


def test_a_mended_day_reaches_the_later_ones(shop):
    # a did buy on the second day: nobody slept, so nobody is reactivated.
    write_day(shop, DAYS[1], customer(customer_key="a", recency_days=0), customer(customer_key="c"))
    write_day(shop, DAYS[2], *(customer(customer_key=key, recency_days=1) for key in "abc"))
    run(shop, "--from", DAYS[1], "--to", DAYS[-1])
    assert of(shop, DAYS[3], "lifecycle_stage", "stage_since", "previous_stage")["a"] == ("active", DAYS[0], None)


def test_a_snapshot_put_in_between_leaves_the_later_one_stale(home):
    for day in DAYS[:3]:
        write_day(home, day, customer())
    run(home, "--ds", DAYS[0])
    run(home, "--ds", DAYS[2])
    assert segment.is_fresh(home, DAYS[2])
    run(home, "--ds", DAYS[1])
    assert not segment.is_fresh(home, DAYS[2])


def test_a_snapshot_taken_away_leaves_the_later_one_stale(shop):
    folder = LakeTable(shop, CUSTOMER_SEGMENTS).folder(DAYS[2])
    folder.rename(shop.path / "away")
    assert not segment.is_fresh(shop, DAYS[3])


@pytest.mark.parametrize("table", [FEATURES, SCORES, CUSTOMER_CLUSTERS])
def test_newer_inputs_leave_the_day_stale(shop, table):
    clustered(shop, DAYS[3], "abc")
    run(shop, "--ds", DAYS[3])
    assert segment.is_fresh(shop, DAYS[3])
    os.utime(LakeTable(shop, table).folder(DAYS[3]))
    assert not segment.is_fresh(shop, DAYS[3])


@pytest.mark.parametrize("text", ["segment: {new_days: 5}", "segment: {value_rule: four_level}"])
def test_other_settings_leave_all_days_stale(shop, text):
    (shop.path / "settings.yaml").write_text(text)
    assert not any(segment.is_fresh(shop, day) for day in DAYS)


def test_the_line_of_snapshots_breaks_after_35_days(home):
    days = [DAY, DAY + timedelta(35), DAY + timedelta(71), DAY + timedelta(72)]
    for day in days:
        LakeTable(home, CUSTOMER_SEGMENTS).write_arrow(day, table_of(CUSTOMER_SEGMENTS, []))
    assert [snapshot_before(home, day) for day in days] == [None, days[0], None, days[2]]
    assert line_before(home, days[3]) == [days[2]]
    assert [line_after(home, day) for day in days] == [[days[1]], [], [days[3]], []]
    assert line_before(home, DAY - timedelta(1)) == []


def test_a_range_takes_the_days_that_are_scored(home, caplog):
    with pytest.raises(DataError, match=f"no day from {DAYS[0]} to {DAYS[3]} is scored: run"):
        run(home, "--from", DAYS[0], "--to", DAYS[3])
    for day in (DAYS[0], DAYS[2]):
        write_day(home, day, customer())
    with caplog.at_level(logging.INFO):
        run(home, "--from", DAYS[0], "--to", DAYS[3])
    assert LakeTable(home, CUSTOMER_SEGMENTS).days() == [DAYS[0], DAYS[2]]
    assert "2 of 4 days are not scored and left out" in caplog.text
    with pytest.raises(DataError, match=f"features has no partition for {DAYS[1]}"):
        run(home, "--ds", DAYS[1])


def test_features_and_scores_of_other_customers_are_refused(home):
    write_day(home, DAY, customer(customer_key="a"), customer(customer_key="b"))
    for keys in ("a", "ac", "abc", "aa"):
        LakeTable(home, SCORES).write_arrow(DAY, table_of(SCORES, [customer(customer_key=key) for key in keys]))
        with pytest.raises(DataError, match=r"not of the same customers \(features 2, scores .*: score the day again"):
            run(home, "--ds", DAY)
    assert not LakeTable(home, CUSTOMER_SEGMENTS).has(DAY)


def test_scores_in_another_order_are_joined_by_key(home):
    spends = {"a": 1.0, "b": 2.0, "c": 3.0}
    rows = [customer(customer_key=key, expected_spend_30d=spend, snapshot_date=DAY) for key, spend in spends.items()]
    write_day(home, DAY, *rows)
    LakeTable(home, SCORES).write_arrow(DAY, table_of(SCORES, rows[::-1]), is_sorted=True)
    run(home, "--ds", DAY)
    assert of(home, DAY, "expected_spend_30d") == {key: (spend,) for key, spend in spends.items()}


def test_a_snapshot_before_of_an_older_contract_is_told_with_the_range_that_mends_it(shop):
    for day in DAYS[:3]:
        file = LakeTable(shop, CUSTOMER_SEGMENTS).folder(day) / "part-0.parquet"
        pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["stage_since"]), file)
    with pytest.raises(DataError, match=f"(?s)lacks stage_since.*segment --from {DAYS[0]} --to {DAYS[2]}`"):
        run(shop, "--ds", DAYS[3])
    run(shop, "--from", DAYS[0], "--to", DAYS[3])


def clustered(home, day, keys):
    rows = [{"customer_key": key, "snapshot_date": day, "cluster_id": n + 1} for n, key in enumerate(keys)]
    LakeTable(home, CUSTOMER_CLUSTERS).write_arrow(day, table_of(CUSTOMER_CLUSTERS, rows))


def test_clusters_of_the_day_stand_beside_unless_they_are_older_than_its_scores(home, caplog):
    write_day(home, DAY, customer(customer_key="a"), customer(customer_key="b"))
    run(home, "--ds", DAY)
    assert of(home, DAY, "cluster_id") == {"a": (None,), "b": (None,)}
    clustered(home, DAY, "b")
    run(home, "--ds", DAY)
    assert of(home, DAY, "cluster_id") == {"a": (None,), "b": (1,)}
    os.utime(LakeTable(home, SCORES).folder(DAY))
    run(home, "--ds", DAY)
    assert of(home, DAY, "cluster_id") == {"a": (None,), "b": (None,)}
    assert f"the clusters of {DAY} are older than its scores and left out" in caplog.text


def test_settings_stand_beside_the_rows_they_made(home):
    (home.path / "settings.yaml").write_text("segment: {value_rule: four_level}")
    write_day(home, DAY, *(customer(customer_key=f"{n}", purchase_probability_30d=n / 10) for n in range(10)))
    run(home, "--ds", DAY)
    rows = {row["name"]: row for row in LakeTable(home, SEGMENT_SETTINGS).read_arrow([DAY]).to_pylist()}
    assert (rows["value_rule"]["text"], rows["value_rule"]["value"]) == ("four_level", None)
    assert rows["top_value_from"]["value"] == 0.9
    assert rows["high_value_from"]["value"] == pytest.approx((0.9 + 0.45) / 2)
    assert (rows["medium_value_from"]["value"], rows["medium_value_from"]["unit"]) == (0.45, "probability")
    tiers = Counter(tier for (tier,) in of(home, DAY, "value_tier").values())
    assert tiers == {"top": 1, "high": 2, "medium": 2, "low": 5}


def test_settings_of_the_other_parts_stand_there_too(home):
    write_day(home, DAY, customer())
    run(home, "--ds", DAY)
    (home.path / "settings.yaml").write_text("watch: {most_listed: 7}\nrecommendations: {never: [POST, '00']}\n")
    assert not segment.is_fresh(home, DAY)
    run(home, "--ds", DAY)
    rows = LakeTable(home, SEGMENT_SETTINGS).read_arrow([DAY]).to_pylist()
    by_name = {row["name"]: row for row in rows}
    assert len(by_name) == len(rows)
    assert {name.partition(".")[0] for name in by_name if "." in name} == PARTS.keys()
    assert (by_name["watch.most_listed"]["value"], by_name["watch.most_listed"]["unit"]) == (
        7.0,
        "customers",
    )
    assert all(row["unit"] for row in rows)
    never = by_name["recommendations.never"]
    assert (never["value"], never["text"], never["unit"]) == (None, "POST, 00", "word")


@pytest.mark.parametrize(("cutoff", "told"), [("2024-02-01", "2024-02-01"), (None, "as trained")])
def test_what_calibrated_the_scores_stands_there(home, cutoff, told):
    """A day is calibrated anew under the same model version."""
    write_day(home, DAY, customer())
    recipe = Recipe("m/1", cutoff, 9, Calibration((Curve(),), (1.0,), (1.0,)))
    (LakeTable(home, SCORES).folder(DAY) / RECIPE_FILE).write_text(str(recipe))
    run(home, "--ds", DAY)
    rows = {row["name"]: row for row in LakeTable(home, SEGMENT_SETTINGS).read_arrow([DAY]).to_pylist()}
    assert rows["score.calibrated_on"]["text"] == told


def test_dates_of_a_range_must_be_in_order(home):
    with pytest.raises(SystemExit):
        run(home, "--from", DAYS[1], "--to", DAYS[0])
    with pytest.raises(SystemExit):
        run(home, "--ds", date(2024, 1, 1), "--to", DAYS[0])
