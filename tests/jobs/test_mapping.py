"""A source mapping is checked; what is wrong is told with its file and line."""

from datetime import date

import pytest

from expectations.errors import SetupError
from jobs.mapping import available, load_mapping, parse_mapping
from tests.jobs.corner_shop import CORNER_SHOP


@pytest.mark.parametrize("source", available())
def test_every_shipped_mapping_is_valid(source):
    assert load_mapping(source).source == source


def test_an_unknown_source_is_told_with_the_known_ones():
    with pytest.raises(SetupError, match=r"no mapping for source 'nowhere'.*complete_journey, online_retail"):
        load_mapping("nowhere")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    negative_returns: true",
            "    negatve_returns: true",
            r"m.yaml, line 17: a feed has no key 'negatve_returns'",
        ),
        ("sale: purchase", "sale: bought", r"line 15: no event type 'bought'; known: view, search"),
        ("      customer_id: customer\n", "", r"line 11: columns: customer_id is required"),
        ("      amount: paid", "      amont: paid", r"line 25: columns: no such target 'amont'; known: customer_id"),
        ("    files: ds={ds}/sales.csv.gz\n", "", r"line 11: a feed lacks 'files'"),
        ("timezone: Europe/Berlin", "timezone: Europe/Brelin", r"no time zone 'Europe/Brelin'"),
        ("[mon, tue, wed, thu, fri, sat]", "[mon, tue, wde]", r"line 7: no weekday \['wde'\]"),
        ("first: 2024-01-01", "first: January", r"line 7: 'January' is not a date"),
        ("shop: corner_shop\n", "", r"line 2: the mapping lacks 'shop'"),
        ("currency: EUR", "currency: [", r"m.yaml is not YAML"),
    ],
)
def test_a_mistake_is_refused_with_its_line(old, new, message):
    text = CORNER_SHOP.replace(old, new)
    assert text != CORNER_SHOP
    with pytest.raises(SetupError, match=message):
        parse_mapping(text, "m.yaml")


def test_open_days_are_weekdays_within_the_range_that_are_not_closed():
    expected = load_mapping("online_retail").expected
    assert expected.is_open(date(2011, 12, 9))  # a Friday
    assert not expected.is_open(date(2011, 12, 3))  # a Saturday
    assert not expected.is_open(date(2011, 8, 29))  # a bank holiday
    assert not expected.is_open(date(2011, 12, 12))  # after the last day
