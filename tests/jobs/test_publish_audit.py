"""The audit of a day over its tables: who is missing, who is too many, what has moved too far since the day before."""

import pytest

from expectations.clusters import CLUSTERS
from expectations.errors import DataError
from expectations.publication import PUBLICATION
from expectations.tables import PUBLISHED, TABLES
from expectations.views import VIEWS
from jobs import publish
from jobs.marts import publish_audit, warehouse
from tests.jobs.published import DAY, FEW, NEXT, ROWS, action, empty_warehouse, only, segments, write

MANY = [
    ROWS[n % 3] | {"customer_key": f"{n:04}", "value_tier": "low" if n % 2 else "high", "lifecycle_stage": "active"}
    for n in range(600)
]


@pytest.fixture(autouse=True, scope="module")
def few_tables():
    with only(*FEW):
        yield


@pytest.fixture
def home(warehouse_home, tmp_path):
    return empty_warehouse(warehouse_home, tmp_path)


def moved(rows, share, **changes):
    """The first ``share`` of the rows changed."""
    most = round(share * len(rows))
    return [row | changes if n < most else row for n, row in enumerate(rows)]


def test_shares_that_move_far_warn_and_very_far_fail(home):
    write(home, segments(rows=MANY))
    assert publish.publish(home, DAY).checks_warned == 0
    write(home, segments(NEXT, moved(MANY, 0.12, lifecycle_stage="loyal")), NEXT)
    assert publish.publish(home, NEXT).checks_warned == 1
    write(home, segments(NEXT, moved(MANY, 0.51, lifecycle_stage="loyal")), NEXT)
    with pytest.raises(DataError) as raised:
        publish.publish(home, NEXT)
    expected = (
        "stage_share_shift_fail: expected share of each lifecycle_stage at most 50% off that of the last day published "
        "before; observed active: 100.0% on 2017-12-30, now 49.0%; loyal: 0.0% on 2017-12-30, now 51.0%"
    )
    assert expected in str(raised.value)
    assert "nothing was published; the refused rows are in staging." in str(raised.value)
    with warehouse.connect(home, "bi_reader") as connection:
        query = "select lifecycle_stage, count(*) from marts.customer_segments group by 1 order by 1"
        assert connection.execute(query).fetchall() == [("active", 528), ("loyal", 72)]


def test_the_bounds_are_settings(home):
    write(home, segments(rows=MANY))
    publish.publish(home, DAY)
    write(home, segments(NEXT, moved(MANY, 0.7, value_tier="low")), NEXT)
    (home.path / "settings.yaml").write_text("checks: {publication.tier_share_shift_warn: {maximum: 0.4}}\n")
    try:
        assert publish.publish(home, NEXT).checks_warned == 0  # high went from 50 % to 15 %
    finally:
        (home.path / "settings.yaml").unlink()


def test_few_customers_are_not_held_against_the_day_before(home):
    write(home, segments())
    publish.publish(home, DAY)
    write(home, segments(NEXT, moved(ROWS, 1, lifecycle_stage="new")), NEXT)
    assert publish.publish(home, NEXT).checks_warned == 0


def test_every_broken_table_is_told(home):
    write(home, segments(recency_days=-1), cut=float("nan"))
    with pytest.raises(DataError) as raised:
        publish.publish(home, DAY)
    assert "customer_segments of 2017-12-30 broke 1 of" in str(raised.value)
    assert "segment_settings of 2017-12-30 broke 1 of" in str(raised.value)
    assert "value_not_finite" in str(raised.value)


# Table → rows that no longer fit the three customers, and what the audit says of them.
STRANGER = {"snapshot_date": DAY, "customer_key": "stranger"}
MISFITS = {
    "customer_tags": (
        [STRANGER | {"tag": "night_shopper", "tag_group": "night_shopper", "evidence": "9 of 10 visits"}],
        "no_orphans: .*customer_tags.customer_key: 1 of 1 rows",
    ),
    "next_actions": (
        [action(DAY, row) for row in segments()[:2]],
        "everyone_has_an_action: .*2 rows, 3 customers",
    ),
    "stage_transitions": (
        [
            {
                "snapshot_date": DAY, "previous_snapshot_date": None, "from_stage": "unseen", "to_stage": stage,
                "customers": 2, "is_expected": True,
            }
            for stage in ("loyal", "prospect")
        ],
        "transitions_add_up: .*prospect: 1 customers, 2 by stage_transitions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", MISFITS)
def test_tables_that_do_not_fit_one_another_are_refused(home, table):
    rows, message = MISFITS[table]
    with only(*FEW, TABLES[table]):
        refused(home, message, **{table: rows})


def refused(home, message, rows=None, **others):
    write(home, rows or segments(), **others)
    with pytest.raises(DataError, match=f"(?s){message}.*nothing was published"):
        publish.publish(home, DAY)


def test_a_cluster_that_the_day_does_not_have_is_refused(home):
    with only(*FEW, CLUSTERS):
        refused(home, r"no_orphans: .*customer_segments.cluster_id: 3 of 3 rows", segments(cluster_id=7))


def test_every_check_of_the_publication_is_measured(home):
    with only(*PUBLISHED):
        write(home, segments())
        staged = {each.table: each for each in publish.stage_all(home, DAY)}
    with warehouse.connect(home) as connection:
        found = publish_audit.findings(connection, DAY, staged, 3)
    assert found.keys() == {check.label for check in PUBLICATION.checks}


def test_every_table_of_a_day_is_published_with_it(home):
    with only(*PUBLISHED):
        write(home, segments())
        log = publish.publish(home, DAY)
    assert log.checks_warned == 0
    with warehouse.connect(home, "bi_reader") as connection:
        shown = {view: connection.execute(f"select count(*) from marts.{view}").fetchone()[0] for view in VIEWS}
    assert shown == dict.fromkeys(VIEWS, 0) | {
        "customer_segments": 3, "customer_segments_history": 3, "segment_settings": 1, "segment_summary": 2,
        "stage_transitions": 2, "next_actions": 3, "next_actions_history": 3, "segment_portraits": 1, "publish_log": 1,
    }  # fmt: skip
