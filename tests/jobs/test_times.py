"""Times that tell their own zone, parts of seconds, and counts from 1970: UTC as written, date and hour by the shop."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.dimensions import CUSTOMERS
from expectations.events import EVENTS
from jobs.ingest import ingest_days
from jobs.lake import LakeTable
from jobs.land import land_files
from jobs.reading.coded import Coded
from jobs.reading.fixed_times import has_places, read_fixed
from jobs.reading.mapping import parse_mapping
from jobs.reading.times import _by_parts, read_times, times
from tests.jobs.corner_shop import CORNER_SHOP, HEADER

BERLIN = "Europe/Berlin"
ISO = "%Y-%m-%dT%H:%M:%S"


def read(texts, *formats, zone=BERLIN, year=0):
    """Of each text (UTC, local date, local hour); None where it is no time."""
    found = read_times(Coded.of(pa.array(texts, pa.string())), formats, year, zone)
    rows = zip(found.utc.to_pylist(), found.date.to_pylist(), found.hour.to_pylist(), strict=True)
    assert found.unread.tolist() == [utc is None for utc in found.utc.to_pylist()]
    return [None if utc is None else (f"{utc:%Y-%m-%d %H:%M:%S.%f}", str(day), hour) for utc, day, hour in rows]


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        # An offset wins over the shop's zone; its date and hour are the shop's.
        (f"{ISO}%z", "2024-03-04T10:15:30+01:00", ("2024-03-04 09:15:30.000000", "2024-03-04", 10)),
        (f"{ISO}%z", "2024-03-04T10:15:30Z", ("2024-03-04 10:15:30.000000", "2024-03-04", 11)),
        (f"{ISO}%z", "2024-03-04T23:30:00Z", ("2024-03-04 23:30:00.000000", "2024-03-05", 0)),
        (f"{ISO}%z", "2024-03-04T23:30:00-0530", ("2024-03-05 05:00:00.000000", "2024-03-05", 6)),
        (f"{ISO}%z", "2024-01-01T00:30:00+14", ("2023-12-31 10:30:00.000000", "2023-12-31", 11)),
        # No place is further from UTC; no such minute, sign, day, year of two digits; an offset must be there.
        (f"{ISO}%z", "2024-03-04T10:15:30+14:01", None),
        (f"{ISO}%z", "2024-03-04T10:15:30-1500", None),
        (f"{ISO}%z", "2024-03-04T10:15:30+01:60", None),
        (f"{ISO}%z", "2024-03-04T10:15:30 01:00", None),
        (f"{ISO}%z", "2024-03-04T10:15:30+1:00", None),
        (f"{ISO}%z", "2024-03-04T10:15:30+01:0", None),
        (f"{ISO}%z", "2024-03-04T10:15:30z", None),
        (f"{ISO}%z", "2024-02-30T10:15:30Z", None),
        (f"{ISO}%z", "24-02-28T10:15:30Z", None),
        (f"{ISO}%z", "0024-02-28T10:15:30Z", None),
        (f"{ISO}%z", "2024-02-28T24:00:00Z", None),
        (f"{ISO}%z", "2024-03-04T10:15:30", None),
        (ISO, "2024-03-04T10:15:30Z", None),
        # Parts of a second, cut, not rounded, to microseconds.
        (f"{ISO}.%f", "2024-03-04T10:15:30.5", ("2024-03-04 09:15:30.500000", "2024-03-04", 10)),
        (f"{ISO}.%f", "2024-03-04T10:15:30.000001", ("2024-03-04 09:15:30.000001", "2024-03-04", 10)),
        (f"{ISO}.%f", "2024-03-04T23:59:59.999999999", ("2024-03-04 22:59:59.999999", "2024-03-04", 23)),
        (f"{ISO},%f", "2024-03-04T10:15:30,250", ("2024-03-04 09:15:30.250000", "2024-03-04", 10)),
        ("%Y%m%d%H%M%S%f", "20240304101530250", ("2024-03-04 09:15:30.250000", "2024-03-04", 10)),
        (f"{ISO}.%f", "2024-03-04T10:15:30.", None),
        (f"{ISO}.%f", "2024-03-04T10:15:30.5x", None),
        (f"{ISO}.%f", "2024-03-04T10:15:30", None),
        (f"{ISO}.%f%z", "2024-03-04T10:15:30.5+0100", ("2024-03-04 09:15:30.500000", "2024-03-04", 10)),
        # Names of months and single digits, which have no fixed place.
        ("%d/%b/%Y:%H:%M:%S %z", "04/Mar/2024:10:15:30 -0800", ("2024-03-04 18:15:30.000000", "2024-03-04", 19)),
        ("%d/%b/%Y:%H:%M:%S %z", "30/Feb/2024:10:15:30 -0800", None),
        ("%d/%b/%Y:%H:%M:%S %z", "04/Mar/2024:10:15:30", None),
        ("%-d.%-m.%y %I:%M:%S.%f %p", "4.3.24 11:15:30.25 PM", ("2024-03-04 22:15:30.250000", "2024-03-04", 23)),
        ("%-d.%-m.%y %I:%M:%S.%f %p", "4.3.24 13:15:30.25 PM", None),
        # Counts from 1970, written as a number is: no sign, no zero before it, no exponent.
        ("unix", "1709550000", ("2024-03-04 11:00:00.000000", "2024-03-04", 12)),
        ("unix", "1709596799.9999999", ("2024-03-04 23:59:59.999999", "2024-03-05", 0)),
        ("unix_ms", "1709550000123", ("2024-03-04 11:00:00.123000", "2024-03-04", 12)),
        ("unix_ms", "1709550000123.4567", ("2024-03-04 11:00:00.123456", "2024-03-04", 12)),
        ("unix", "0", ("1970-01-01 00:00:00.000000", "1970-01-01", 1)),
        *(("unix", text, None) for text in ("-1", "+1709550000", "01709550000", "1.7e9", "1709550000.", "x", "١")),
        # Milliseconds are no seconds: the year 56000.
        ("unix", "1709550000123", None),
        ("unix_ms", "9" * 30, None),
    ],
)
def test_a_time_that_tells_its_zone_or_parts_of_seconds(form, text, expected):
    assert read([text], form) == [expected]
    # The same among others of other lengths, and twice.
    assert read([text, "x", text, "2024-03-04T10:15:30.123456+01:00x"], form) == [expected, None, expected, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The clock of the shop shows 2:30 twice: the offset says which; without one it is the earlier.
        ("2024-10-27T02:30:00+02:00", ("2024-10-27 00:30:00.000000", "2024-10-27", 2)),
        ("2024-10-27T02:30:00+01:00", ("2024-10-27 01:30:00.000000", "2024-10-27", 2)),
        ("2024-10-27T02:30:00", ("2024-10-27 00:30:00.000000", "2024-10-27", 2)),
        # It never shows 2:30: an offset that the shop did not have then is still an offset.
        ("2024-03-31T02:30:00+01:00", ("2024-03-31 01:30:00.000000", "2024-03-31", 3)),
        # The last moment of winter time, and the first of summer time.
        ("2024-03-31T00:59:59Z", ("2024-03-31 00:59:59.000000", "2024-03-31", 1)),
        ("2024-03-31T01:00:00Z", ("2024-03-31 01:00:00.000000", "2024-03-31", 3)),
        # Before and after midnight of a summer's day.
        ("2024-06-30T21:59:59Z", ("2024-06-30 21:59:59.000000", "2024-06-30", 23)),
        ("2024-06-30T22:00:00Z", ("2024-06-30 22:00:00.000000", "2024-07-01", 0)),
    ],
)
def test_when_clocks_change_the_offset_says_which_hour_it_is(text, expected):
    assert read([text], f"{ISO}%z", ISO) == [expected]


def test_formats_with_and_without_an_offset_stand_side_by_side():
    texts = ["2024-03-04T10:00:00Z", "2024-03-04T10:00:00", "2024-03-04", "1709550000", None, "2024-03-04T10:00:00.5Z"]
    found = read_times(
        Coded.of(pa.array(texts)), (ISO, f"{ISO}%z", "%Y-%m-%d", "unix", f"{ISO}.%f%z"), 0, "America/New_York"
    )
    assert found.hour.to_pylist() == [5, 10, None, 6, None, 5]
    assert [f"{utc:%d %H}" if utc else None for utc in found.utc.to_pylist()] == (
        ["04 10", "04 15", "04 05", "04 11", None, "04 10"]
    )
    assert not found.unread.any()  # an empty value is missing, not wrong


def test_a_year_that_is_assumed_comes_before_an_offset():
    assert read(["02-29 23:30Z", "02-30 23:30Z"], "%m-%d %H:%M%z", year=2024) == (
        [("2024-02-29 23:30:00.000000", "2024-03-01", 0), None]
    )


def test_typed_times_with_a_zone_are_their_own_moment():
    # Both 2:30 of the night when the clocks go back, typed, stay an hour apart.
    moments = [datetime(2024, 10, 27, hour, 30, tzinfo=UTC) for hour in (0, 1)]
    found = read_times(pa.array([*moments, None], pa.timestamp("us", "UTC")), (), 0, BERLIN)
    assert found.utc.to_pylist() == [*moments, None]
    assert found.hour.to_pylist() == [2, 2, None]


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1905, 1, 1), datetime(2100, 1, 1), timezones=OFFSETS)  # noqa: DTZ001
ZONES = st.sampled_from([BERLIN, "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])


@settings(max_examples=200, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=8), ZONES, st.sampled_from(["seconds", "milliseconds", "microseconds"]))
def test_what_python_writes_is_read_as_python_reads_it(moments, zone, precision):
    texts = [moment.isoformat(timespec=precision) for moment in moments]
    found = times(pa.array(texts), (f"{ISO}%z" if precision == "seconds" else f"{ISO}.%f%z",), 0, zone)
    expected = [datetime.fromisoformat(text) for text in texts]
    assert found.utc.to_pylist() == expected
    local = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in expected]
    # Zone data of long ago differ between the two libraries; of clocks after 2037 Arrow knows no summer.
    if all(1970 < moment.year < 2037 for moment in moments):
        assert found.local.to_pylist() == local
        assert found.hour.to_pylist() == [moment.hour for moment in local]


@settings(max_examples=200, deadline=None)
@given(MOMENTS, st.lists(st.tuples(st.integers(0, 31), st.sampled_from("0123459 -+:.ZTé")), max_size=6))
def test_a_text_that_was_changed_is_read_as_python_reads_it_or_not_at_all(moment, changes):
    # One valid time, and the same with characters changed: the arithmetic takes nothing that python does not.
    texts = [moment.isoformat(timespec="microseconds")]
    for place, character in changes:
        texts.append(texts[-1][:place] + character + texts[-1][place + 1 :])
    form = f"{ISO}.%f%z"
    for text, value in zip(texts, times(pa.array(texts), (form,)).utc.to_pylist(), strict=True):
        if value is not None:
            assert value == datetime.fromisoformat(text)
    # The way of formats without fixed places reads the same.
    assert _by_parts(pa.array(texts), form).equals(pa.array(read_fixed(pa.array(texts), form), from_pandas=True))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 4_102_444_800_000), min_size=1), st.booleans())
def test_counts_from_1970_are_those_of_python(counts, is_whole):
    start = datetime(1970, 1, 1, tzinfo=UTC)
    expected = [start + timedelta(milliseconds=count) for count in counts]
    assert times(pa.array([str(n) for n in counts]), ("unix_ms",)).utc.to_pylist() == expected
    texts = [f"{n // 1000}.{n % 1000:03d}" for n in counts]
    assert times(pa.array(texts), ("unix",)).utc.to_pylist() == expected


def test_formats_of_digits_alone_need_no_parser():
    assert all(map(has_places, (ISO, f"{ISO}.%f%z", "%Y%m%d", "%d.%m.%Y %H:%M%z")))
    assert not any(map(has_places, ("%d %b %Y", "%-d.%m.%Y", "%y-%m-%d", "%H:%M", "%Y-%m-%d %Y", "%Y年%m%d", "unix")))
    # Texts that are a part of a longer array begin where the part begins.
    part = pa.array(["x", "2024-03-04", "2024-03-05"])[1:]
    assert read_fixed(part, "%Y-%m-%d").tolist() == np.array(["2024-03-04", "2024-03-05"], "M8[us]").tolist()


def test_events_are_dated_by_the_clock_of_the_shop(home, land):
    mapping = parse_mapping(CORNER_SHOP.replace('"%Y-%m-%d"]', f'"{ISO}.%f%z", "unix"]'), "corner_shop.yaml")
    day = date(2024, 3, 5)
    # Half past eleven in the evening of UTC is after midnight in Berlin; 23:00:00 UTC is its midnight.
    land(day, *(f"c{at[:2]},{at},look,,p1,,,," for at in ("2024-03-04T23:30:00.25Z", "1709593200", "1709593199")))
    ingest_days(home, [mapping], [day])
    events = LakeTable(home, EVENTS).read_arrow([day]).sort_by("event_time").to_pylist()
    assert [(event["event_time"], event["event_date"], event["event_hour"]) for event in events] == [
        (datetime(2024, 3, 4, 22, 59, 59, tzinfo=UTC), date(2024, 3, 4), 23),
        (datetime(2024, 3, 4, 23, tzinfo=UTC), day, 0),
        (datetime(2024, 3, 4, 23, 30, 0, 250_000, UTC), day, 0),
    ]


def test_a_history_is_split_and_dimensions_dated_by_the_clock_of_the_shop(home):
    mapping = parse_mapping(CORNER_SHOP.replace('"%Y-%m-%d"]', f'"{ISO}%z"]') + PEOPLE, "corner_shop.yaml")
    # 23:30 of UTC is the next day of the shop.
    (home.path / "all.csv").write_text(f"{HEADER}\nc1,2024-03-04T23:30:00Z,look,,p1,,,,\n")
    land_files(home.landing / "corner_shop", mapping.feeds[0], mapping.timezone, [home.path / "all.csv"])
    (home.landing / "corner_shop" / "people.csv").write_text("who,since\nc1,2024-01-31T23:30:00Z\n")
    assert ingest_days(home, [mapping], [date(2024, 3, 5)]) == []
    assert [str(e["event_date"]) for e in LakeTable(home, EVENTS).read_arrow([date(2024, 3, 5)]).to_pylist()] == (
        ["2024-03-05"]
    )
    (person,) = LakeTable(home, CUSTOMERS).read_arrow([date(2024, 1, 1)]).to_pylist()
    assert person["signup_date"] == date(2024, 2, 1)


PEOPLE = f"""
dimensions:
  - table: customers
    files: people.csv
    time_formats: ["{ISO}%z"]
    columns: {{customer_id: who, signup_date: since}}
"""
