"""Products, customers and campaigns: cleaned and keyed as events are, and what events take from the products."""

from datetime import date
from decimal import Decimal

import pytest

from expectations.dimensions import CAMPAIGNS, CUSTOMERS, PRODUCTS
from expectations.events import EVENTS, INGEST_REPORT
from jobs.ingest import ingest_days
from jobs.lake import LakeTable
from jobs.reading.hashes import hash31
from jobs.reading.keys import CustomerKeys
from jobs.reading.mapping import parse_mapping
from tests.jobs.corner_shop import CORNER_SHOP

FIRST, DAY, NEXT = date(2024, 1, 1), date(2024, 3, 4), date(2024, 3, 5)
SHOP = CORNER_SHOP.replace(
    "    columns:\n", '    ids: {customer_id: {suffix: ".0"}, product_id: {case: upper}}\n    columns:\n'
)
PRODUCT_LINES = """
dimensions:
  - table: products
    files: goods.csv
    ids: {product_id: {case: upper}}
    columns: {product_id: sku, category: [dept, class], brand: maker, list_price: price}
"""
GOODS = "sku,dept,class,maker,price\np1,Toys,Dolls,Acme,9.5\nP2,Toys,,,\n"
CUSTOMER_LINES = """
  - table: customers
    files: people.csv
    time_formats: ["%Y-%m-%d"]
    ids: {customer_id: {suffix: ".0"}}
    columns: {customer_id: who, age: age, gender: sex, signup_date: since}
    values: {age: {"19-24": 21.5, "65+": 72}, gender: {F: female}}
"""


def sale(product, day=DAY, customer="c1.0"):
    return f"{customer},{day} 10:00:00,sale,o1,{product},2,10,0,0"


@pytest.fixture
def shop(home, land):
    """``shop(mapping text, files by name, *days)`` delivers the files and ingests the days; returns the problems."""

    def run(dimensions, files, *days, **options):
        for name, text in files.items():
            path = home.landing / "corner_shop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return ingest_days(home, [parse_mapping(SHOP + dimensions, "corner_shop.yaml")], list(days), **options)

    return run


def rows(home, table, day=DAY):
    return LakeTable(home, table).read_arrow([day]).to_pylist()


def test_events_take_category_and_brand_from_the_products(home, land, shop):
    land(DAY, sale("p1"), sale("P2"), sale("p3"), sale(""), sale("P1").replace("sale", "theft"))
    assert shop(PRODUCT_LINES, {"goods.csv": GOODS}, DAY) == []
    # Ids meet once both are cleaned. P3 stands in no file; one event names no product.
    assert [(e["product_id"], e["category"], e["brand"]) for e in rows(home, EVENTS)] == [
        ("P1", "Toys.Dolls", "Acme"), ("P2", "Toys", None), ("P3", None, None), (None, None, None)]  # fmt: skip
    first = rows(home, EVENTS)[0]
    assert (first["category_hash"], first["brand_hash"]) == (hash31("Toys.Dolls"), hash31("Acme"))
    # Only rows that are kept count as of an unknown product.
    assert rows(home, INGEST_REPORT)[0]["rows_unknown_product"] == 1
    # A file without a day is known from the first day that the shop is expected to deliver.
    products = rows(home, PRODUCTS, FIRST)
    assert [(p["product_id"], p["list_price"], p["arrival_date"]) for p in products] == [
        ("P1", Decimal("9.5"), FIRST), ("P2", None, FIRST)]  # fmt: skip


def test_what_an_event_says_of_its_product_goes_before_the_products(home, land, shop):
    header = "customer,at,kind,order,product,pieces,paid,rebate,coupon,kindof"
    text = SHOP.replace("product_id: product\n", "product_id: product\n      category: kindof\n")
    land(DAY, sale("p1") + ",Gifts", sale("p1") + ",", sale("p9") + ",Gifts", header=header)
    (home.landing / "corner_shop" / "goods.csv").write_text(GOODS)
    assert ingest_days(home, [parse_mapping(text + PRODUCT_LINES, "corner_shop.yaml")], [DAY]) == []
    assert [(e["category"], e["brand"]) for e in rows(home, EVENTS)] == [
        ("Gifts", "Acme"), ("Toys.Dolls", "Acme"), ("Gifts", None)]  # fmt: skip


def test_a_day_sees_the_latest_delivery_up_to_it(home, land, shop):
    daily = PRODUCT_LINES.replace("files: goods.csv", "files: ds={ds}/goods.csv\n    optional: true")
    monday, tuesday = (GOODS.replace("Dolls", kind) for kind in ("Bears", "Cars"))
    land(DAY, sale("p1"))
    land(NEXT, sale("p1", NEXT))
    land(date(2024, 3, 6), sale("p1", date(2024, 3, 6)))
    files = {f"ds={DAY}/goods.csv": monday, f"ds={NEXT}/goods.csv": tuesday}
    days = [date(2024, 3, 2), DAY, NEXT, date(2024, 3, 6)]
    land(days[0], sale("p1", days[0]))
    assert shop(daily, files, *days) == []
    assert [rows(home, EVENTS, day)[0]["category"] for day in days] == [None, "Toys.Bears", "Toys.Cars", "Toys.Cars"]
    # In another order, one at a time, the same.
    for day in reversed(days):
        assert shop(daily, {}, day) == []
    assert [rows(home, EVENTS, day)[0]["category"] for day in days] == [None, "Toys.Bears", "Toys.Cars", "Toys.Cars"]


def test_other_products_make_a_day_anew_and_the_same_ones_do_not(home, land, shop):
    land(DAY, sale("p1"))
    shop(PRODUCT_LINES, {"goods.csv": GOODS}, DAY)
    events, products = LakeTable(home, EVENTS), LakeTable(home, PRODUCTS)
    written = events.written_at(DAY), products.written_at(FIRST)
    shop(PRODUCT_LINES, {}, DAY, skip_unchanged=True)
    assert (events.written_at(DAY), products.written_at(FIRST)) == written
    shop(PRODUCT_LINES, {"goods.csv": GOODS.replace("Dolls", "Bears")}, DAY, skip_unchanged=True)
    assert rows(home, EVENTS)[0]["category"] == "Toys.Bears"


def test_customers_are_keyed_as_in_events_and_bands_become_numbers(home, land, shop):
    land(DAY, sale("p1"))
    people = "who,age,sex,since\nc1,19-24,F,2020-05-17\nc2.0,30,m,\nc1.0,65+,,2021-01-01\n"
    assert shop("\ndimensions:" + CUSTOMER_LINES, {"people.csv": people}, DAY) == []
    found = {row["customer_key"]: row for row in rows(home, CUSTOMERS, FIRST)}
    keys = CustomerKeys.of(home)
    # Of two rows on one customer the last counts.
    assert found.keys() == {keys.key("c1"), keys.key("c2")}
    assert rows(home, EVENTS)[0]["customer_key"] in found
    assert [(found[keys.key(who)][name]) for who in ("c1", "c2") for name in ("age", "gender", "signup_date")] == [
        72.0, None, date(2021, 1, 1), 30.0, "m", None]  # fmt: skip


def test_a_bad_row_costs_itself_and_many_cost_the_file(home, land, shop, caplog):
    land(DAY, sale("p1"))
    good = "".join(f"c{n},{n},F,2020-01-01\n" for n in range(10, 30))
    head = "who,age,sex,since\n"
    assert shop("\ndimensions:" + CUSTOMER_LINES, {"people.csv": head + good + "x,old,F,\n"}, DAY) == []
    assert len(rows(home, CUSTOMERS, FIRST)) == 20
    assert "1 of 21 rows refused (age_not_a_number 1), the first in line 22" in caplog.text
    # A file that is mostly wrong replaces nothing; the events are read all the same.
    bad = head + "c1,200,F,\nc2,3,F,1-1-2020\nc3,4\n,5,F,\nc4,6,F,\n"
    (problem,) = shop("\ndimensions:" + CUSTOMER_LINES, {"people.csv": bad}, DAY)
    for rule in ("4 of 5 rows", "age_above_120 1", "since_not_a_time 1", "field_count 1", "customer_key_missing 1"):
        assert rule in problem
    assert len(rows(home, CUSTOMERS, FIRST)) == 20
    assert len(rows(home, EVENTS)) == 1


def test_a_missing_dimension_is_told_and_an_optional_one_is_none(home, land, shop):
    land(DAY, sale("p1"))
    (problem,) = shop(PRODUCT_LINES, {}, DAY)
    assert "goods.csv: missing" in problem
    assert rows(home, INGEST_REPORT)[0]["rows_unknown_product"] == 0
    assert shop(PRODUCT_LINES.replace("files:", "optional: true\n    files:"), {}, DAY) == []


def test_campaigns_are_read_with_their_dates(home, land, shop):
    land(DAY, sale("p1"))
    lines = """
dimensions:
  - table: campaigns
    files: mails.jsonl
    format: jsonl
    time_formats: ["%d.%m.%Y"]
    columns: {campaign_id: id, campaign_name: name, channel: by, start_date: from, end_date: to}
"""
    mails = '{"id": 7, "name": "Spring", "by": "email", "from": "01.03.2024"}\n'
    assert shop(lines, {"mails.jsonl": mails}, DAY) == []
    (campaign,) = rows(home, CAMPAIGNS, FIRST)
    assert (campaign["campaign_id"], campaign["start_date"], campaign["end_date"]) == ("7", date(2024, 3, 1), None)
