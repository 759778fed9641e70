"""The job: strategies by stage and tier, rows that fit the contract, equal bytes again, and a shop without products."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from expectations.behaviour import CUSTOMER_PRODUCT
from expectations.dimensions import PRODUCTS
from expectations.errors import SetupError
from expectations.offers import RECOMMENDATION_QUALITY, RECOMMENDATIONS
from expectations.segments import CUSTOMER_SEGMENTS
from jobs import recommend
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from tests.jobs.rows import filled

DAY = date(2024, 3, 10)


def write(home, table, day, rows):
    LakeTable(home, table).write_arrow(day, pa.Table.from_pylist(list(rows), arrow_schema(table)))


@pytest.fixture
def shop(home):
    """Two hundred customers who buy their own two products every week, and one who has bought nothing."""
    for week in range(16):
        day = DAY - timedelta(days=7 * week)
        rows = [
            filled(CUSTOMER_PRODUCT, customer_key=f"{n:03}", arrival_date=day, product_id=f"p{(n + k) % 30:02}",
                   category="food", purchase_count=1, purchase_amount=2, last_event_date=day)
            for n in range(200) for k in range(2)
        ]  # fmt: skip
        write(home, CUSTOMER_PRODUCT, day, rows)
    people = [("new", "new", "low"), ("000", "active", "low"), ("001", "loyal", "top"), ("nobody", "prospect", "low")]
    rows = [filled(CUSTOMER_SEGMENTS, snapshot_date=DAY, customer_key=key, lifecycle_stage=stage, value_tier=tier)
            for key, stage, tier in people]  # fmt: skip
    write(home, CUSTOMER_SEGMENTS, DAY, rows)
    for back, name in ((30, "Old bread"), (3, "Bread"), (-1, "Bread of tomorrow")):
        named = filled(PRODUCTS, source="corner_shop", product_id="p00", product_name=name)
        write(home, PRODUCTS, DAY - timedelta(days=back), [named | {"arrival_date": DAY - timedelta(days=back)}])
    return home


def made(home):
    recommend.main(recommend.arg_parser().parse_args(["--home", str(home.path), "--ds", str(DAY)]))
    tables = [LakeTable(home, table) for table in (RECOMMENDATIONS, RECOMMENDATION_QUALITY)]
    content = [file.read_bytes() for table in tables for file in sorted(table.folder(DAY).glob("*.parquet"))]
    return *(table.read_arrow([DAY]).to_pylist() for table in tables), content


def test_customers_are_shown_what_their_segments_strategy_says(shop):
    (shop.path / "settings.yaml").write_text("recommendations: {places: 4, top_tier: repeat}\n")
    rows, quality, content = made(shop)
    of = {key: [row for row in rows if row["customer_key"] == key] for key in ("000", "001", "new", "nobody")}
    assert {key: {row["strategy"] for row in mine} for key, mine in of.items()} == {
        "000": {"likeliest"}, "001": {"repeat"}, "new": {"likeliest"}, "nobody": {"popular"},
    }  # fmt: skip
    assert {row["product_id"] for row in of["000"][:2]} == {"p00", "p01"}
    assert [row["is_repeat"] for row in of["000"]] == [True, True, False, False]
    assert [row["rank"] for row in of["nobody"]] == [1, 2, 3, 4]
    assert {row["category"] for row in rows} == {"food"}
    assert all(0 <= row["probability"] <= 1 for row in rows)
    assert {row["product_name"] for row in rows if row["product_id"] == "p00"} == {"Bread"}  # the latest delivery's
    assert {row["product_name"] for row in rows if row["product_id"] != "p00"} == {None}
    assert sum(row["is_shipped"] for row in quality) == 1
    assert made(shop)[2] == content


def test_what_is_no_product_is_never_shown(shop):
    """Not even to who buys it every week, nor as what everybody buys."""
    (shop.path / "settings.yaml").write_text("recommendations: {places: 30, never: [p00, p02]}\n")
    rows, _, _ = made(shop)
    shown = {row["product_id"] for row in rows}
    assert "p01" in shown
    assert not shown & {"p00", "p02"}


def test_a_shop_whose_events_name_no_product_is_recommended_nothing(home, caplog):
    write(home, CUSTOMER_SEGMENTS, DAY, [filled(CUSTOMER_SEGMENTS, snapshot_date=DAY, customer_key="a")])
    rows, quality, _ = made(home)
    assert (rows, quality) == ([], [])
    assert "nothing is recommended on 2024-03-10: lake/customer_product names no product" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{loyal: dearest}", "loyal: no strategy 'dearest'; known: likeliest, repeat"),
        ("{places: 0}", "places must lie in 1 … 100"),
        ("{loyal: ''}", "loyal: no strategy ''"),
    ],
)
def test_what_is_no_strategy_is_refused(home, text, said):
    (home.path / "settings.yaml").write_text(f"recommendations: {text}\n")
    with pytest.raises(SetupError, match=said):
        made(home)
