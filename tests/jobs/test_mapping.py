"""A source mapping is checked; what is wrong is told with its file and line."""

import re
from contextlib import suppress
from dataclasses import fields
from datetime import date
from pathlib import Path

import pytest

from expectations.dimensions import DIMENSIONS
from expectations.errors import SetupError
from jobs.reading.clean_ids import IdRule
from jobs.reading.dimension import Dimension
from jobs.reading.feed import FILLABLE, EventTypeRule, Feed
from jobs.reading.mapping import Expected, Mapping, available, load_mapping, parse_mapping
from tests.jobs.corner_shop import CORNER_SHOP

LAST = "    negative_returns"


@pytest.mark.parametrize("source", available())
def test_every_shipped_mapping_is_valid(source):
    assert load_mapping(source).source == source


PAGE = Path(__file__).resolve().parents[2] / "docs" / "sources.md"


def test_the_page_tells_every_key_and_its_first_example_works():
    text = PAGE.read_text()
    assert (
        parse_mapping(re.search("```yaml\n(.*?)```", text, re.DOTALL)[1], "corner_shop.yaml").feeds[0].name == "sales"
    )
    keys = {
        field.name for kind in (Mapping, Expected, Feed, EventTypeRule, IdRule, Dimension) for field in fields(kind)
    }
    targets = {*FILLABLE, *(c.name for table in DIMENSIONS for c in table.columns)}
    told = set(re.findall(r"\b([a-z_]+):", text))
    assert keys - told == {"digest"}
    assert targets - told == {"source", "arrival_date", "customer_key"} - told


def test_an_unknown_source_is_told_with_the_known_ones():
    with pytest.raises(SetupError, match=r"no mapping for source 'nowhere'.*cdnow, cdnow_master, complete_journey"):
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
        # An offset or parts of a second belong to a time of day; what counts from 1970 names its own year.
        ('"%Y-%m-%d"]', '"%Y-%m-%d %H:%M.%f"]', r"line 13: time_formats: '%Y-%m-%d %H:%M.%f' must say"),
        ('"%Y-%m-%d"]', '"%Y-%m-%d %H%z%z"]', r"line 13: time_formats: '%Y-%m-%d %H%z%z' must say"),
        ('"%Y-%m-%d"]', '"unix_us"]', r"line 13: time_formats: 'unix_us' must .* from 1970 is unix or unix_ms"),
        (
            '["%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]',
            '["unix"]\n    assumed_year: 2014',
            r"line 14: assumed_year is for formats without a year, 'unix' has one",
        ),
        # What needs quotes in YAML.
        (
            "ds={ds}/sales.csv.gz",
            "{ds}.csv",
            r"is not YAML: (?s:.*) needs quotes around it, .* here: files: \{ds\}.csv",
        ),
        ('["%Y-%m-%d %H', "[%Y-%m-%d %H", r"is not YAML: (?s:.*) begins with \{ or % needs quotes"),
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
        # What each part of the format takes; {..} stands for a line of the feed before `negative_returns`.
        ("{}", "customer_id_suffix: x", r"line 17: a feed has no key 'customer_id_suffix'"),
        ("{}", "format: xml", r"line 17: no format 'xml'; known: csv, jsonl, parquet"),
        ("{}", "format: jsonl\n    delimiter: ;", r"line 18: delimiter is for format csv, this one is jsonl"),
        ("{}", "format: parquet\n    encoding: ascii", r"line 18: encoding is for texts"),
        ("{}", "header: false", r"column_names are for a csv with header: false"),
        ("{}", "column_names: [a, b]", r"line 17: column_names are for a csv with header: false"),
        ("{}", "header: false\n    column_names: [at, at]", r"line 18: column_names: a name stands there twice"),
        ("{}", "header: false\n    column_names: [at, kind]", r"line 18: no column customer, order, .* at, kind"),
        ("{}", "header: no way", r"line 17: header must be true or false"),
        ("{}", "assumed_year: 2014", r"line 17: assumed_year is for formats without a year"),
        ("{}", "assumed_year: 14.5", r"line 17: assumed_year must be a whole number"),
        ('"%Y-%m-%d"]', '"%m-%d"]', r"line 13: time_formats: '%m-%d' must say a day .* assumed_year does"),
        ('["%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]', '["%m-%d"]\n    assumed_year: 20014', r"line 14: assumed_year must lie"),
        ("{}", "constants: {colour: red}", r"line 17: constants: no such target 'colour'; known: category, brand"),
        ("{}", "constants: {customer_id: me}", r"line 17: constants: no such target 'customer_id'"),
        ("{}", "constants: {amount: 0}", r"line 17: constants: amount is filled by a column already"),
        ("{}", "constants: {channel: 1}", r"line 17: constants: channel must be a text"),
        ("{}", "constants: {price: cheap}", r"line 17: constants: price must be a number, found 'cheap'"),
        ("{}", "constants: {price: true}", r"line 17: constants: price must be a number"),
        ("{}", "constants: web", r"line 17: constants must be target: value pairs"),
        ("{}", "ids: {order_id: C}", r"line 17: ids: order_id must be key: value pairs, found 'C'"),
        ("{}", "ids: {campaign_id: {prefix: C}}", r"line 17: ids: 'campaign_id' is no id that columns fill"),
        ("{}", "ids: {order_id: {prefx: C}}", r"line 17: ids: order_id has no key 'prefx'; known: suffix, prefix"),
        ("{}", "ids: {order_id: {case: title}}", r"line 17: ids: case must be one of upper, lower"),
        ("{}", "ids: {order_id: {zeros: keep}}", r"line 17: ids: zeros must be strip"),
        ("{}", "rating_scale: [1, 5]", r"line 17: rating_scale: columns name no rating"),
        ("{}", "rating_scale: [5, 1]", r"line 17: rating_scale must be the lowest and the highest"),
        ("{}", "rating_scale: 5", r"line 17: rating_scale must be the lowest and the highest"),
        ("currency: EUR", "currency: EUR\nsession_gap_minutes: half", r"line 6: session_gap_minutes must be a whole"),
        ("      amount: paid\n", "", r"line 20: columns: a purchase needs an amount: name amount, or unit_price"),
        ("amount: paid", "unit_price: paid\n      price: paid", r"line 26: columns: unit_price fills price too"),
        ("product_id: product", "product_id: [a, b]", r"product_id takes one column; discount_amount adds up several"),
    ],
)
def test_a_mistake_is_refused_with_its_line(old, new, message):
    text = CORNER_SHOP.replace(*((old, new) if old != "{}" else (LAST, f"    {new}\n{LAST}")))
    assert text != CORNER_SHOP
    with pytest.raises(SetupError, match=message):
        parse_mapping(text, "corner_shop.yaml")


GOODS = """
dimensions:
  - table: products
    files: goods.csv
    columns:
      product_id: sku
      list_price: price
    values: {list_price: {free: 0}}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("table: products", "table: goods", r"line 29: no table 'goods'; known: products, customers, campaigns"),
        ("    files: goods.csv\n", "", r"line 29: a dimension lacks 'files'"),
        ("goods.csv", "/goods.csv", r"line 30: files: '/goods.csv' must be a path below the landing folder"),
        ("goods.csv", "goods{day}.csv", r"line 30: files: .* holds a placeholder that is not \{ds\}"),
        ("goods.csv", "goods-{ds:%Y}.csv", r"line 30: files: .* must hold \{ds\}"),
        ("      product_id: sku\n", "", r"columns: product_id is required"),
        (
            "list_price: price",
            "amount: price",
            r"line 33: columns: no such target 'amount'; known: product_id, category",
        ),
        ("list_price: price", "arrival_date: price", r"line 33: columns: no such target 'arrival_date'"),
        ("list_price: price", "list_price: [a, b]", r"line 33: columns: list_price takes one column; category joins"),
        ("{free: 0}", "{free: nothing}", r"line 34: values: list_price: 'free' must mean a number, found 'nothing'"),
        ("{free: 0}", "{1: 0}", r"line 34: values: 1 must be a text: write it in quotes"),
        ("{free: 0}", "{}", r"line 34: values: list_price must be text of the file: meaning pairs"),
        ("list_price: {free", "brand: {free", r"line 34: values: 'brand' is no target that columns fill"),
        ("list_price: {free", "product_id: {free", r"line 34: values: 'product_id' is no target .* or the key itself"),
        ("files: goods.csv", "files: goods.csv\n    ids: {customer_id: {suffix: a}}", r"'customer_id' is no id that"),
        ("files: goods.csv", "files: goods.csv\n    header: false", r"column_names are for a csv with header: false"),
        ("files: goods.csv", "files: goods.csv\n    event_type: view", r"line 31: a dimension has no key 'event_type'"),
        ("table: products", "table: campaigns", r"line 32: columns: no such target 'product_id'; known: campaign_id"),
    ],
)
def test_a_mistake_in_a_dimension_is_refused_with_its_line(old, new, message):
    parse_mapping(CORNER_SHOP + GOODS, "corner_shop.yaml")
    with pytest.raises(SetupError, match=message):
        parse_mapping(CORNER_SHOP + GOODS.replace(old, new, 1), "corner_shop.yaml")


def test_dimensions_as_a_whole_are_checked():
    twice = GOODS + GOODS.replace("dimensions:\n", "")
    with pytest.raises(SetupError, match=r"line 28: two dimensions have the same table: products, products"):
        parse_mapping(CORNER_SHOP + twice, "corner_shop.yaml")
    with pytest.raises(SetupError, match=r"line 27: .* known from expected.first, which is missing"):
        parse_mapping(CORNER_SHOP.replace("  first: 2024-01-01\n", "") + GOODS, "corner_shop.yaml")
    with pytest.raises(SetupError, match=r"line 28: dimensions must be a list, found 'products'"):
        parse_mapping(CORNER_SHOP + "\ndimensions: products\n", "corner_shop.yaml")
    dates = (
        GOODS.replace("products", "customers").replace("product_id", "customer_id").replace("list_price", "signup_date")
    )
    dates = dates.split("    values")[0]
    with pytest.raises(SetupError, match=r"line 31: signup_date: time_formats must say how dates are written"):
        parse_mapping(CORNER_SHOP + dates, "corner_shop.yaml")


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


RICH = (
    (CORNER_SHOP + GOODS)
    .replace(
        LAST,
        """    ids: {order_id: {prefix: C, zeros: strip}}
    constants: {channel: web}
    format: csv
    header: true
    encoding: utf-8
    assumed_year: 0
    rating_scale: [1, 5]
"""
        + LAST,
    )
    .replace("      amount: paid", "      amount: paid\n      rating: stars\n      category: [dept, class]")
)


@pytest.mark.parametrize(
    "value", ["", " null", " []", " {}", " 3", " [a, {b: c}]", " {a: [b]}", " true", " 2024-01-01", " a"]
)
def test_whatever_stands_behind_a_key_is_taken_or_told(value):
    parse_mapping(RICH, "corner_shop.yaml")
    for line in RICH.strip().splitlines():
        text = RICH.replace(line, line.split(":")[0] + ":" + value, 1)
        with suppress(SetupError):  # and nothing else
            parse_mapping(text, "corner_shop.yaml")


def test_open_days_are_weekdays_within_the_range_that_are_not_closed():
    expected = load_mapping("online_retail").expected
    assert expected.is_open(date(2011, 12, 9))  # a Friday
    assert not expected.is_open(date(2011, 12, 3))  # a Saturday
    assert not expected.is_open(date(2011, 8, 29))  # a bank holiday
    assert not expected.is_open(date(2011, 12, 12))  # after the last day
