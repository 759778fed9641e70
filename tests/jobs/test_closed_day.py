"""A day on which the corner shop is closed, as the daily line notes it, and the day after it."""

from datetime import date

from expectations.behaviour import CUSTOMER_DAY, FEATURES
from expectations.events import EVENTS, INGEST_REPORT
from jobs import aggregate, build_features, open_day, validate
from jobs.lake import LakeTable

SATURDAY, SUNDAY, MONDAY = date(2024, 6, 1), date(2024, 6, 2), date(2024, 6, 3)


def test_a_closed_day_is_noted_as_empty_and_the_next_day_follows(home, land, ingest, spark, monkeypatch, corner_shop):
    """The Sunday's tasks up to `aggregate` write empty partitions, without which Monday's features would be refused."""
    land(SATURDAY, "anna,2024-06-01 10:00:00,sale,o1,bread,1,2.00,0,0")
    land(MONDAY, "bert,2024-06-03 10:00:00,sale,o2,bread,1,2.00,0,0")
    monkeypatch.setattr(open_day, "load_mapping", lambda source: corner_shop)
    for day in (SATURDAY, SUNDAY, MONDAY):
        assert ingest(day) == []
        assert all(validate.gate_partitions(home, table, spark, [day]).passed for table in (EVENTS, INGEST_REPORT))
        aggregate.aggregate(spark, home, [day])
        assert open_day.is_closed(home, day) is (day == SUNDAY)
    assert LakeTable(home, CUSTOMER_DAY).row_count(SUNDAY) == 0
    build_features.build(spark, home, MONDAY, build_features.known_days(home, MONDAY))
    rows = LakeTable(home, FEATURES).read_arrow([MONDAY], ["recency_days"])["recency_days"].to_pylist()
    # Both customers, and the closed day has aged the one who came before it.
    assert sorted(rows) == [0, 2]
