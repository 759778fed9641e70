"""The ten queries of docs/queries on two published days, each by the answer an analyst should get."""

from datetime import date
from decimal import Decimal

import pytest

from expectations.lifecycle import STAGE_TRANSITIONS
from expectations.outcomes import COHORT_RETENTION, DATA_QUALITY, MODEL_PERFORMANCE
from expectations.portraits import SEGMENT_PORTRAITS
from expectations.tags import CUSTOMER_TAGS
from expectations.version import REPOSITORY
from expectations.watch import CHURN_WATCHLIST
from jobs import publish, sql
from jobs.marts import warehouse
from tests.jobs.published import DAY, NEXT, ROWS, action, empty_warehouse, segments, write
from tests.jobs.rows import filled

QUERIES = sorted((REPOSITORY / "docs" / "queries").glob("*.sql"))
PEOPLE = [ROWS[1] | {"customer_key": f"{n:03}", "expected_spend_30d": 1.0, "purchase_amount_365d": 10.0}
          for n in range(100)]  # fmt: skip


def rows_of(table, *rows, day=NEXT):
    return [filled(table, **({"snapshot_date": day} | row)) for row in rows]


def flows(day, before, *told):
    common = {"previous_snapshot_date": before, "is_expected": True}
    rows = [common | {"from_stage": source, "to_stage": target, "customers": n} for source, target, n in told]
    return rows_of(STAGE_TRANSITIONS, *rows, day=day)


def second_day(segments):
    """Every other table of the day, by name. On the watch list: one who is due, one who cools down, one held out, one
    whom no strategy reaches, one to be reviewed for risk."""
    listed = {"churn_probability": 0.8, "spend_at_risk": 8.0, "reason_1": "silent"}
    coupon = {"tag": "coupon_user", "tag_group": "coupon_user", "evidence": "4"}
    portrait = {"segment_kind": "cluster", "segment": "1", "rank": 1}
    facts = {"fact": "summary", "words": "They browse."}, {"fact": "size", "value": 60.0}
    carried = {"segment_kind": "value_tier", "segment": "high", "fact": "tag", "high": 0.3}
    tags = [("coupon_user", 0.25, 0.2, 0.1), ("gifting", 0.2, 0.1, 0.12), ("night_shopper", 0.1, 0.05, 0.2)]
    cohort = {"customers": 100, "is_complete": True}
    buyers = [(date(2017, month, 1), k, (90, 20, 40)[month - 1]) for month in (1, 2, 3) for k in (1, 2)]
    nobody = {"action": "none", "channel": None, "is_due": False}
    special = {1: {"is_due": False}, 2: {"is_held_out": True}, 3: nobody, 4: {"risk_band": "high"}}
    window = {"horizon_days": 7, "scored_on": date(2017, 12, 24), "model_name": "m", "model_version": 1}
    check = {"table_name": "events", "severity": "warn"}
    return {
        "stage_transitions": flows(NEXT, DAY, ("loyal", "loyal", 90), ("loyal", "dormant", 10)),
        "customer_tags": rows_of(CUSTOMER_TAGS, *(coupon | {"customer_key": f"{n:03}"} for n in range(40, 60))),
        "churn_watchlist": rows_of(
            CHURN_WATCHLIST, *(listed | {"customer_key": f"{n:03}", "rank": n + 1} for n in range(5))
        ),
        "next_actions": [
            action(NEXT, row, **({"action": "call", "channel": "phone", "is_due": True} | special.get(n, {})))
            for n, row in enumerate(segments)
        ],
        "segment_portraits": rows_of(
            SEGMENT_PORTRAITS,
            *(portrait | fact for fact in (*facts, {"fact": "revenue_share", "value": 0.25})),
            *(
                carried | {"rank": n, "item": item, "value": value, "low": low, "others": others}
                for n, (item, value, low, others) in enumerate(tags, start=1)
            ),
        ),
        "cohort_retention": rows_of(
            COHORT_RETENTION,
            *(cohort | {"cohort_month": m, "months_since": k, "buyers": b, "retention": b / 100} for m, k, b in buyers),
        ),
        "model_performance": rows_of(
            MODEL_PERFORMANCE, window | {"customers": 90, "predicted_buyers": 60.0, "actual_buyers": 50}
        ),
        "data_quality": rows_of(
            DATA_QUALITY,
            check | {"check_name": "volume_warn", "has_held": False, "words": "half"},
            check | {"check_name": "types", "has_held": True},
            check | {"check_name": "drift_warn", "has_held": None, "words": "not judged"},
            check | {"check_name": "rows_read", "has_held": None, "severity": "info"},
        ),
    }


@pytest.fixture(scope="module")
def home(warehouse_home, tmp_path_factory):
    """Hundred loyal customers; on the second day ten of them are dormant, and five are on the watch list."""
    home = empty_warehouse(warehouse_home, tmp_path_factory.mktemp("aside"))
    write(home, segments(rows=PEOPLE), stage_transitions=flows(DAY, None, ("unseen", "loyal", 100)))
    publish.publish(home, DAY)
    asleep = {"lifecycle_stage": "dormant", "value_tier": "low"}
    later = segments(NEXT, [row | (asleep if n < 10 else {}) for n, row in enumerate(PEOPLE)])
    later[-1]["value_tier"] = "top"
    for n, row in enumerate(later):
        row |= {"stage_since": NEXT, "previous_stage": "loyal"} if n < 10 else {"stage_since": DAY}
    write(home, later, NEXT, **second_day(later))
    publish.publish(home, NEXT)
    return home


def answer(home, name):
    """Rows of a query as bi_reader, by the names of its columns."""
    with warehouse.connect(home, "bi_reader") as connection:
        found = connection.execute((REPOSITORY / "docs" / "queries" / f"{name}.sql").read_text())
        names = [column.name for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]


def test_there_are_ten_and_the_page_lists_them_all():
    page = (REPOSITORY / "docs" / "queries" / "README.md").read_text()
    assert len(QUERIES) == 10
    assert all(f"({path.name})" in page for path in QUERIES)
    assert all(path.read_text().startswith("-- ") for path in QUERIES)  # the question it answers


def test_who_moved(home):
    (row,) = answer(home, "who_moved")
    assert (row["previous_stage"], row["lifecycle_stage"], row["customers"]) == ("loyal", "dormant", 10)
    assert row["paid_365d"] == Decimal(100)


def test_flows_of_the_week_leave_out_who_stayed(home):
    found = [(r["from_stage"], r["to_stage"], r["customers"]) for r in answer(home, "flows_of_the_week")]
    assert found == [("loyal", "dormant", 10)]


def test_what_leaving_costs(home):
    (row,) = answer(home, "what_leaving_costs")
    assert (row["lifecycle_stage"], row["customers"], row["paid_in_the_year_before"]) == ("dormant", 10, Decimal(100))
    churn = 1 - PEOPLE[0]["purchase_probability_30d"]
    assert float(row["spend_at_risk"]) == pytest.approx(100 * churn, abs=0.01)


def test_the_leaking_cohort_comes_first_and_the_first_of_the_data_is_left_out(home):
    rows = answer(home, "which_cohort_leaks")
    # January holds who bought before the data begin: it is no measure of newcomers. March keeps more than is usual.
    assert [row["cohort_month"].month for row in rows] == [2, 2]
    assert float(rows[0]["against_usual"]) == pytest.approx(-0.1)


def test_who_to_call_leaves_out_who_cools_down_is_held_out_or_is_risky(home):
    row, unreached = answer(home, "who_to_call_today")
    assert (row["customer_key"], row["action"], row["reason_1"]) == ("000", "call", "silent")
    assert (unreached["customer_key"], unreached["action"]) == ("003", "none")


def test_value_by_tier_and_day_adds_up(home):
    rows = answer(home, "value_by_tier_and_day")
    assert [(r["snapshot_date"], r["value_tier"], r["customers"]) for r in rows] == [
        (DAY, "high", 100), (NEXT, "top", 1), (NEXT, "high", 89), (NEXT, "low", 10)
    ]  # fmt: skip
    assert sum(row["customer_share"] for row in rows) == 2


def test_tags_of_the_best_beside_all_others(home):
    # gifting may be chance, and night owls are rarer among the best.
    (row,) = answer(home, "audience_by_tags")
    assert (row["value_tier"], row["tag"], row["share"]) == ("high", "coupon_user", Decimal("0.25"))
    assert (row["share_of_others"], row["times_as_often"]) == (Decimal("0.1"), Decimal("2.5"))


def test_clusters_in_words(home):
    assert answer(home, "clusters_in_words") == [
        {"cluster_id": "1", "customers": 60.0, "revenue_share": 0.25, "words": "They browse."}
    ]


def test_did_the_model_hold(home):
    (row,) = answer(home, "did_the_model_hold")
    assert (row["horizon_days"], row["actual_buyers"]) == (7, 50)
    assert row["buyers_bias"] == pytest.approx(0.2)


def test_can_i_trust_today_names_what_did_not_hold_or_was_not_judged(home):
    rows = answer(home, "can_i_trust_today")
    assert {row["snapshot_date"] for row in rows} == {NEXT}
    assert [(row["check_name"], row["words"]) for row in rows] == [
        ("drift_warn", "not judged"),
        ("volume_warn", "half"),
    ]


def test_a_file_is_run_by_the_sql_command(home, capsys):
    file = str(REPOSITORY / "docs" / "queries" / "who_moved.sql")
    sql.main(sql.arg_parser().parse_args(["--home", str(home.path), "--file", file]))
    assert "dormant" in capsys.readouterr().out
