"""Tags: each rule by rows on either side of its bound, and gifts found by their words."""

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pyarrow as pa
import pytest

from expectations.behaviour import CUSTOMER_PRODUCT, FEATURES, PREFERENCES
from expectations.dimensions import PRODUCTS
from expectations.tags import CUSTOMER_TAGS
from jobs import tag
from jobs.lake import LakeTable
from jobs.profiles import tagging
from jobs.profiles.gifts import WINDOW_DAYS, gift_lines
from jobs.profiles.tag_rules import RULES, TagSettings
from jobs.schemas import arrow_schema
from tests.jobs.rows import filled

DAY = date(2024, 3, 10)
NAMES = [*tagging.FEATURE_COLUMNS, *tagging.PREFERENCE_COLUMNS[1:], *tagging.DERIVED]


def customers(*rows):
    """Frame with every column that rules ask for; what a row does not say is missing."""
    return pd.DataFrame([{"customer_key": f"{n}"} | row for n, row in enumerate(rows)]).reindex(columns=NAMES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.tag)
def test_every_rule_holds_at_its_bound_and_not_beyond(rule):
    bound, step = getattr(TagSettings(), rule.tag), 0.01
    rule, bound = (replace(rule, is_rank=False), 3.0) if rule.is_rank else (rule, bound)
    rests_on = {rule.least[0]: rule.least[1]}
    subject = {rule.subject: "X"} if rule.subject else {}
    at = rests_on | subject | {rule.column: bound}
    beyond = at | {rule.column: bound + (step if rule.is_upper else -step)}
    missing = rests_on | subject
    unfounded = at | ({rule.least[0]: rule.least[1] - 1} if rule.least[0] != rule.column else {rule.column: -9})
    # Rules that rest on the very number they judge have no row that is founded and missing at once.
    missing = {} if rule.least[0] == rule.column else missing
    others = [{rule.subject: f"other {n}"} for n in range(8)] if rule.subject else []
    held = tagging.holds(customers(at, beyond, missing, unfounded, *others), rule, bound)
    assert held.tolist() == [True, False, False, False] + [False] * len(others)


def test_a_rank_takes_the_share_of_those_whose_numbers_are_founded():
    rule = next(rule for rule in RULES if rule.tag == "explorer")
    people = [{"category_diversity_365d": n, "purchase_count_365d": 5} for n in range(1, 11)]
    few = [{"category_diversity_365d": 99, "purchase_count_365d": 4}] * 5
    held = tagging.holds(customers(*people, *few), rule, 0.9)
    assert held.tolist() == [n >= 9 for n in range(1, 11)] + [False] * 5
    assert not tagging.holds(customers(*few), rule, 0.9).any()


def test_a_rank_that_most_reach_is_no_trait():
    rule = next(rule for rule in RULES if rule.tag == "bulk_buyer")
    pieces = [1.0] * 9 + [2.0]
    people = [{"items_per_line_365d": n, "purchase_count_365d": 5} for n in pieces]
    assert not tagging.holds(customers(*people), rule, 0.9).any()  # the quantile is 1 piece, which everybody buys
    assert tagging.holds(customers(*people, people[-1]), rule, 0.9).tolist() == [False] * 9 + [True] * 2


def test_what_most_customers_favour_is_no_trait():
    brands = pd.Series(["big"] * 6 + ["small"] * 3 + [None])
    assert tagging.is_trait(brands).tolist() == [False] * 6 + [True] * 3 + [False]


def test_a_tag_says_what_it_speaks_of_and_its_evidence():
    reader = {"favourite_category": "BOOKS", "favourite_category_share": 0.75, "purchase_count_180d": 9}
    people = customers(reader, {"favourite_category": "FOOD"})
    (row,) = tagging.tags(people, TagSettings()).to_pylist()
    assert row == {
        "customer_key": "0", "tag": "category:BOOKS", "tag_group": "category",
        "evidence": "75% of what was wanted in 180 days",
    }  # fmt: skip


def test_numbers_that_no_feature_holds_are_derived():
    told = {"gap_deviation_days": 2.0, "gap_mean_days": 8.0, "view_count_90d": 60, "purchase_count_90d": 0}
    people = customers({**told, "purchase_count_180d": 4}, {**told, "purchase_count_90d": 1, "purchase_count_180d": 0})
    found = tagging.with_derived(people, pd.Series({"0": 3}))
    assert found["gap_variation"].tolist() == [0.25, 0.25]
    assert found["views_without_purchase_90d"].tolist() == [60, 0]
    assert found["gift_share_180d"].iloc[0] == 0.75
    assert found["gift_share_180d"].isna().tolist() == [False, True]  # nothing bought: no share


def write(home, table, day, *rows):
    LakeTable(home, table).write_arrow(day, pa.Table.from_pylist(list(rows), arrow_schema(table)))


def bought(product, category=None, lines=1, who="a"):
    return filled(CUSTOMER_PRODUCT, customer_key=who, arrival_date=DAY, product_id=product, category=category,
                  purchase_count=lines)  # fmt: skip


def test_gifts_are_found_by_name_and_category_within_the_window(home):
    bag, spade = (
        filled(PRODUCTS, product_id=f"p{n}", product_name=name) for n, name in ((1, "Red GIFT bag"), (2, "Spade"))
    )
    write(home, PRODUCTS, DAY - timedelta(days=400), bag, spade)
    write(
        home,
        PRODUCTS,
        DAY + timedelta(days=1),
        spade | {"product_name": "gift spade"},
    )
    write(
        home,
        CUSTOMER_PRODUCT,
        DAY,
        bought("p1", lines=2),
        bought("p2"),
        bought("p3", "Home.Gifts", 3),
        bought("p1", who="b"),
    )
    write(home, CUSTOMER_PRODUCT, DAY - timedelta(days=WINDOW_DAYS), bought("p1", who="c"))
    write(home, CUSTOMER_PRODUCT, DAY + timedelta(days=1), bought("p1", who="d"))
    assert gift_lines(home, DAY, ("gift",)).to_dict() == {"a": 5, "b": 1}
    assert gift_lines(home, DAY, ("a.b",)).to_dict() == {}  # words, not patterns
    assert gift_lines(home, DAY, ()).empty


def test_the_job_tags_by_the_homes_settings_and_writes_equal_bytes_again(home):
    coupons = [filled(FEATURES, customer_key=key, snapshot_date=DAY, frequency_days=1, coupon_count_365d=n)
               for key, n in (("a", 2), ("b", 5))]  # fmt: skip
    write(home, FEATURES, DAY, *coupons)
    write(home, PREFERENCES, DAY)
    (home.path / "settings.yaml").write_text("tags: {coupon_user: 4}\n")

    def made():
        tag.main(tag.arg_parser().parse_args(["--home", str(home.path), "--ds", str(DAY)]))
        table = LakeTable(home, CUSTOMER_TAGS)
        return table.read_arrow([DAY]).to_pylist(), [f.read_bytes() for f in table.folder(DAY).glob("*.parquet")]

    rows, content = made()
    assert [(row["customer_key"], row["tag"], row["evidence"]) for row in rows] == [
        ("b", "coupon_user", "5 coupons redeemed in 365 days")
    ]
    assert made()[1] == content
