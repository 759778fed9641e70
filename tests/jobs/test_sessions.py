"""Visits: a customer's events without a longer silence, or the source's own sessions; counted per event date."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.events import EVENTS, SESSION_TYPES
from jobs.ingest import ingest_days
from jobs.lake import LakeTable
from jobs.reading.mapping import parse_mapping
from jobs.reading.sessions import find_visits
from tests.jobs.corner_shop import CORNER_SHOP

DAY = date(2024, 3, 4)
HEADER = "customer,at,kind,order,product,pieces,paid,rebate,coupon,visit"
SECOND = 1_000_000


def look(customer, at, kind="look", visit=""):
    return f"{customer},{at},{kind},,p1,,{'' if kind == 'look' else 5},0,0,{visit}"


@pytest.fixture
def visits(home, land):
    """``visits(*lines, gap=30, own=False)``: the events of those lines, in order, as dicts."""

    def run(*lines, gap=30, own=False, header=HEADER):
        text = CORNER_SHOP.replace("currency: EUR", f"currency: EUR\nsession_gap_minutes: {gap}")
        text = text.replace("refund: return", "refund: return, help: support")
        text = text.replace("    columns:\n", "    columns:\n      session_id: visit\n") if own else text
        land(DAY, *lines, header=header)
        assert ingest_days(home, [parse_mapping(text, "corner_shop.yaml")], [DAY]) == []
        return LakeTable(home, EVENTS).read_arrow([DAY]).to_pylist()

    return run


def shape(events):
    return [(e["is_session_start"], e["is_bounce"], e["session_step_seconds"]) for e in events]


def test_a_silence_longer_than_the_gap_begins_a_session(visits):
    events = visits(
        look("c1", "2024-03-04 10:00:00"),
        look("c1", "2024-03-04 10:30:00"),  # as long as the gap: the same visit
        look("c1", "2024-03-04 11:00:01"),  # a second longer: another, and its only event
        look("c2", "2024-03-04 10:10:00"),  # another customer
    )
    assert shape(events) == [(True, False, 0), (False, False, 1800), (True, True, 0), (True, True, 0)]
    first, again, second, other = (e["session_id"] for e in events)
    assert first == again != second
    assert len({first, second, other}) == 3
    # Named by customer, source, day of delivery and number.
    assert first == f"{events[0]['customer_key'][:16]}-corner_shop-20240304-1"
    assert second.endswith("-2")


def test_events_are_put_in_order_of_time_not_of_lines(visits):
    events = visits(look("c1", "2024-03-04 10:20:00"), look("c1", "2024-03-04 10:00:00"))
    assert shape(events) == [(False, False, 1200), (True, False, 0)]


def test_what_is_not_done_in_a_visit_has_no_session_and_does_not_part_one(visits):
    events = visits(
        look("c1", "2024-03-04 10:00:00"), look("c1", "2024-03-04 10:10:00", "help"), look("c1", "2024-03-04 10:25:00")
    )
    assert [e["session_id"] is None for e in events] == [False, True, False]
    assert shape(events) == [(True, False, 0), (False, False, 0), (False, False, 1500)]


def test_without_a_time_of_day_there_is_no_hour_and_no_session(visits):
    (event,) = visits(look("c1", "2024-03-04"))
    assert (event["event_hour"], event["session_id"], *shape([event])[0]) == (None, None, False, False, 0)


def test_a_gap_of_nothing_makes_no_sessions(visits):
    (event,) = visits(look("c1", "2024-03-04 10:00:00"), gap=0)
    assert (event["session_id"], event["event_hour"], event["is_session_start"]) == (None, 10, False)


def test_the_sources_own_session_counts_whatever_the_silence(visits):
    events = visits(
        look("c1", "2024-03-04 10:00:00", visit="v1"),
        look("c1", "2024-03-04 10:05:00", visit="v2"),
        look("c1", "2024-03-04 20:00:00", visit="v1"),
        look("c1", "2024-03-04 10:06:00"),  # without one, it is made by the gap among its like
        own=True,
    )
    assert [e["session_id"] for e in events[:3]] == ["v1", "v2", "v1"]
    assert events[3]["session_id"].endswith("-1")
    assert shape(events) == [(True, False, 0), (True, True, 0), (False, False, 36000), (True, True, 0)]


def test_a_visit_over_midnight_starts_anew_on_its_second_date(visits):
    # So that the counts of a date need that date alone; the session's name stays.
    events = visits(
        look("c1", "2024-03-03 23:50:00"), look("c1", "2024-03-04 00:00:00"), look("c1", "2024-03-04 00:01:00")
    )
    assert len({e["session_id"] for e in events}) == 1
    assert shape(events) == [(True, True, 0), (True, False, 0), (False, False, 60)]


def oracle(rows, gap):
    """Sessions by walking through each customer's events; (start, bounce, step, label) by row."""
    out = dict.fromkeys(range(len(rows)), (False, False, 0, None))
    walks = {}
    for n in sorted(range(len(rows)), key=lambda n: (rows[n][2], n)):
        customer, own, time, _, in_visit = rows[n]
        if in_visit and (own is not None or gap):
            walks.setdefault((customer, own), []).append((time, n))
    for (customer, own), walk in walks.items():
        sessions = []
        for time, n in walk:
            if not sessions or (own is None and time - sessions[-1][-1][0] > gap * 60 * SECOND):
                sessions.append([])
            sessions[-1].append((time, n))
        for number, session in enumerate(sessions):
            dates = {}
            for time, n in session:
                dates.setdefault(rows[n][3], []).append((time, n))
            for of_date in dates.values():
                for place, (time, n) in enumerate(of_date):
                    step = (time - of_date[place - 1][0]) // SECOND if place else 0
                    out[n] = (place == 0, len(of_date) == 1, step, (customer, own, number))
    return [out[n] for n in range(len(rows))]


_rows = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from([None, None, 0, 1]), st.integers(0, 3 * 86400).map(lambda s: s * SECOND),
        st.booleans(),
    ), max_size=40,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(_rows, st.sampled_from([0, 1, 30, 600]))
def test_sessions_are_those_of_a_walk_through_each_customers_events(drawn, gap):
    rows = [(who, own, time, time // (86400 * SECOND), visit) for who, own, time, visit in drawn]
    columns = [
        np.array([{None: -1}.get(row[n], row[n]) for row in rows], kind) for n, kind in enumerate("qqqqb") if n < 4
    ]
    found = find_visits(*columns, np.array([row[4] for row in rows], bool), gap)
    expected = oracle(rows, gap)
    got = zip(found.is_start.tolist(), found.is_bounce.tolist(), found.step_seconds.tolist(), strict=True)
    assert list(got) == [row[:3] for row in expected]
    # The same rows share a session; none has a number where it should have none.
    pairs = {(label, number) for (*_, label), number in zip(expected, found.session.tolist(), strict=True)}
    assert len({label for label, _ in pairs}) == len({number for _, number in pairs}) == len(pairs)
    assert all((label is None) == (number == -1) for label, number in pairs)


def test_session_measures_add_up_over_the_feeds_of_a_day(home, land):
    # Two feeds of one source: a visit goes on from one file into the other.
    feed = CORNER_SHOP.split("feeds:\n")[1]
    text = CORNER_SHOP + feed.replace("name: sales", "name: more").replace("sales.csv", "more.csv")
    path = land(DAY, look("c1", "2024-03-04 10:00:00"), header=HEADER)
    path.rename(path.with_name("more.csv.gz"))
    land(DAY, look("c1", "2024-03-04 10:01:00"), header=HEADER)
    assert ingest_days(home, [parse_mapping(text, "corner_shop.yaml")], [DAY]) == []
    events = LakeTable(home, EVENTS).read_arrow([DAY]).to_pylist()
    assert len({e["session_id"] for e in events}) == 1
    assert sum(e["session_step_seconds"] for e in events) == 60
    assert {e["event_time"] for e in events if e["is_session_start"]} == {datetime(2024, 3, 4, 9, tzinfo=UTC)}
    assert set(SESSION_TYPES) >= {e["event_type"] for e in events}
    assert events[0]["event_time"] - events[1]["event_time"] == -timedelta(minutes=1)
