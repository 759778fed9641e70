"""A source mapping is checked; what is wrong is told with its file and line."""

from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import SetupError
from jobs.reading.mapping import available, load_mapping, parse_mapping
from tests.jobs.corner_shop import CORNER_SHOP


@pytest.mark.parametrize("source", available())
def test_every_shipped_mapping_is_valid(source):
    assert load_mapping(source).source == source


def test_an_unknown_source_is_told_with_the_known_ones():
    with pytest.raises(SetupError, match=r"no mapping for source 'nowhere'.*cdnow, complete_journey"):
        load_mapping("nowhere")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    negative_returns: true",
            "    negatve_returns: true",
            r"corner_shop.yaml, line 17: a feed has no key 'negatve_returns'",
        ),
        ("sale: purchase", "sale: bought", r"line 16: no event type 'bought'; known: view, search"),
        ("      customer_id: customer\n", "", r"line 20: columns: customer_id is required"),
        ("      amount: paid", "      amont: paid", r"line 25: columns: no such target 'amont'; known: customer_id"),
        ("    files: ds={ds}/sales.csv.gz\n", "", r"line 11: a feed lacks 'files'"),
        ("timezone: Europe/Berlin", "timezone: Europe/Brelin", r"line 4: no time zone 'Europe/Brelin'"),
        ("[mon, tue, wed, thu, fri, sat]", "[mon, tue, wde]", r"line 9: no weekday \['wde'\]"),
        ("first: 2024-01-01", "first: January", r"line 7: first must be a date \(YYYY-MM-DD\), found 'January'"),
        ("shop: corner_shop\n", "", r"line 2: the mapping lacks 'shop'"),
        # Empty, or of another type.
        ("    columns:\n", "    columns: {}\n    closed:\n", r"a feed has no key 'closed'"),
        (
            '["%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]',
            "",
            r"line 13: time_formats must be a list of texts, not empty, found None",
        ),
        ('["%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]', "[]", r"line 13: time_formats must be a list"),
        ('["%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]', '"%Y-%m-%d"', r"line 13: time_formats must be a list"),
        ("currency: EUR", "currency: 1", r"line 5: currency must be a text .*, found 1"),
        ("shop: corner_shop", "shop: ", r"line 3: shop must be a text .*, found None"),
        ("negative_returns: true", "negative_returns: 1", r"line 17: negative_returns must be true or false, found 1"),
        ("customer_id: customer", "customer_id: ", r"line 20: columns: customer_id must name a column"),
        ("[rebate, coupon]", "[rebate, 7]", r"line 26: columns: discount_amount must name a column"),
        ("first: 2024-01-01", "first: 2024-02-30", r"line 7: '2024-02-30': day is out of range"),
        ("first: 2024-01-01", "first: 2025-01-01", r"line 7: first \(2025-01-01\) lies after last"),
        ("  first: 2024-01-01", "  closed: 2024-01-01", r"line 7: closed must be a list of dates"),
        # What a file cannot be read by.
        ("    negative_returns", "    delimiter: ;;\n    negative_returns", r"line 17: delimiter must be one ASCII"),
        (
            "    negative_returns",
            "    encoding: utf-99\n    negative_returns",
            r"line 17: encoding 'utf-99' is unknown",
        ),
        ("    negative_returns", "    encoding: utf-16\n    negative_returns", r"encoding 'utf-16' .* byte 10"),
        ("    negative_returns", "    encoding: base64\n    negative_returns", r"line 17: encoding 'base64'"),
        ('"%Y-%m-%d"]', '"%H:%M"]', r"line 13: time_formats: '%H:%M' must say a day"),
        ('"%Y-%m-%d"]', '"%Y-%m-%d %I"]', r"line 13: time_formats: '%Y-%m-%d %I' must say"),
        ('"%Y-%m-%d"]', '"%Y-%m-%d%z"]', r"line 13: time_formats: '%Y-%m-%d%z' must say"),
        # Which files.
        ("ds={ds}/sales", "ds={day}/sales", r"line 12: files: .* holds a placeholder that is not \{ds\}"),
        ("ds={ds}/sales", "ds={ds/sales", r"line 12: files: .* holds a placeholder"),
        ("ds={ds}/sales", "sales", r"line 12: files: 'sales.csv.gz' must hold \{ds\}"),
        ("ds={ds}/sales", "ds={ds:%Y-%m}/sales", r"line 12: files: .* must hold \{ds\}"),
        ("ds={ds}/sales", "../{ds}/sales", r"line 12: files: .* must be a path below the landing folder"),
        ("currency: EUR", "currency: EUR\ncurrency: USD", r"line 6: 'currency' stands there twice"),
        ("amount: paid", "amount: paid\n      amount: due", r"line 26: 'amount' stands there twice"),
        ("source: corner_shop", "source: corner", r"line 2: source 'corner' must be the file's name"),
        # What a target takes.
        ("quantity: pieces", "quantity: [pieces, more]", r"line 24: columns: quantity takes one column"),
        ("quantity: pieces", "unit_price: pieces", r"line 24: columns: unit_price is multiplied by quantity"),
        ("amount: paid", "amount: paid\n      unit_price: each", r"line 26: columns: unit_price is multiplied"),
        (
            "      values: {sale: purchase, refund: return, look: view}\n",
            "",
            r"line 15: event_type needs a default, or",
        ),
        ("{sale: purchase,", "{1: purchase,", r"line 16: values: 1 must be a text: write it in quotes"),
        (
            "      column: kind",
            "      when: [{column: a, prefix: b}]\n      column: kind",
            r"line 15: a when needs one of",
        ),
        ("currency: EUR", "currency: [", r"corner_shop.yaml is not YAML"),
    ],
)
def test_a_mistake_is_refused_with_its_line(old, new, message):
    text = CORNER_SHOP.replace(old, new)
    assert text != CORNER_SHOP
    with pytest.raises(SetupError, match=message):
        parse_mapping(text, "corner_shop.yaml")


def test_feeds_that_read_the_same_files_and_no_feeds_are_refused():
    head, feed = CORNER_SHOP.split("  - name: sales\n")
    for feeds, message in (
        (f"  - name: sales\n{feed}  - name: again\n{feed}", "line 10: two feeds have the same files"),
        ("", "line 10: feeds must be a list, not empty, found None"),
        ("  - sales\n", "line 10: a feed must be key: value pairs, found 'sales'"),
    ):
        with pytest.raises(SetupError, match=f"corner_shop.yaml, {message}"):
            parse_mapping(head + feeds, "corner_shop.yaml")


@pytest.mark.parametrize("text", ["", "3", "- a", "a: &a [*a]", "? [a]\n: b", "\0", "a: b\n---\nc: d"])
def test_what_is_no_mapping_is_told(text):
    with pytest.raises(SetupError, match=r"corner_shop\.yaml"):
        parse_mapping(text, "corner_shop.yaml")


@given(
    st.sampled_from(CORNER_SHOP.splitlines()), st.sampled_from(["", " ", " null", " []", " {}", " 3", " [a, {b: c}]"])
)
def test_whatever_stands_behind_a_key_is_taken_or_told(line, value):
    text = CORNER_SHOP.replace(line, line.split(":")[0] + ":" + value, 1)
    with suppress(SetupError):  # and nothing else
        parse_mapping(text, "corner_shop.yaml")


def test_open_days_are_weekdays_within_the_range_that_are_not_closed():
    expected = load_mapping("online_retail").expected
    assert expected.is_open(date(2011, 12, 9))  # a Friday
    assert not expected.is_open(date(2011, 12, 3))  # a Saturday
    assert not expected.is_open(date(2011, 8, 29))  # a bank holiday
    assert not expected.is_open(date(2011, 12, 12))  # after the last day
