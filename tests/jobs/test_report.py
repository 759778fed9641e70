"""The page of the day: it says what the tables say, opens without a network, and escapes what customers wrote."""

import re
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from html.parser import HTMLParser
from itertools import pairwise

import pyarrow as pa
import pytest

from expectations.errors import DataError
from expectations.lifecycle import STAGE_TRANSITIONS
from expectations.offers import NEXT_ACTIONS, RECOMMENDATIONS
from expectations.outcomes import COHORT_RETENTION, DATA_QUALITY, MODEL_PERFORMANCE
from expectations.portraits import SEGMENT_PORTRAITS
from expectations.segments import CUSTOMER_SEGMENTS, SEGMENT_SETTINGS
from expectations.watch import CHURN_WATCHLIST, RISK_ALERTS
from jobs import report
from jobs.day_report.facts import read_day
from jobs.day_report.svg import TALL, sankey
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from tests.jobs.rows import filled

DAY, BEFORE = date(2024, 3, 10), date(2024, 3, 9)
WRITTEN = "<script>alert('x')</script> & co"


class Pieces(HTMLParser):
    """Tags that are open at the end, addresses outside the page, and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "path", "rect", "br"):
            self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def write(home, monkeypatch):
    """``write(table, *rows)``: the day's partition. The corner shop's mapping is no file of the project."""
    mapping = type("Mapping", (), {"simulated": True, "currency": "EUR"})
    monkeypatch.setattr("jobs.reading.mapping.load_mapping", lambda source: mapping)

    def partition(table, *rows):
        told = [filled(table, **({"snapshot_date": DAY} | row)) for row in rows]
        LakeTable(home, table).write_arrow(DAY, pa.Table.from_pylist(told, arrow_schema(table)))

    return partition


def customer(key, tier="low", stage="active", **more):
    return {"customer_key": key, "value_tier": tier, "lifecycle_stage": stage, "is_eligible": True, "churn_days": 30,
            "model_name": "m", "model_version": 3, **more}  # fmt: skip


def made(home):
    report.main(report.arg_parser().parse_args(["--home", str(home.path), "--ds", str(DAY)]))
    text = (home.path / "reports" / f"ds={DAY}.html").read_text("utf-8")
    pieces = Pieces()
    pieces.feed(text)
    return text, pieces


def test_a_full_day_is_told_in_every_section(home, write):
    write(CUSTOMER_SEGMENTS, customer("a", "top", "loyal", expected_spend_30d=40.0, purchase_amount_365d=900.0,
          churn_band="high"), customer("b", purchase_amount_365d=100.0))  # fmt: skip
    flow = {"previous_snapshot_date": BEFORE, "is_expected": True}
    write(STAGE_TRANSITIONS, {"from_stage": "active", "to_stage": "loyal", "customers": 1, **flow},
          {"from_stage": "active", "to_stage": "active", "customers": 1, **flow})  # fmt: skip
    write(
        SEGMENT_PORTRAITS,
        {"segment_kind": "cluster", "segment": "7", "fact": "summary", "rank": 1, "words": "They browse."},
    )
    cohort = {"cohort_month": date(2024, 1, 1), "customers": 4}
    write(COHORT_RETENTION, cohort | {"buyers": 4, "retention": 1.0, "is_complete": True},
          cohort | {"months_since": 1, "buyers": 1, "retention": 0.25})  # fmt: skip
    write(CHURN_WATCHLIST, {"rank": 1, "customer_key": "a", "churn_probability": 0.81, "spend_at_risk": 729.0,
          "value_tier": "top", "reason_1": WRITTEN, "churn_probability_change": 0.05})  # fmt: skip
    write(
        RISK_ALERTS,
        {"customer_key": "b", "kind": "bot", "rank": 1, "score": 0.9, "risk_band": "high", "reason_1": "400 views"},
    )
    write(NEXT_ACTIONS, {"customer_key": "a", "action": "personal_offer", "channel": "phone", "is_due": True})
    write(RECOMMENDATIONS, {"customer_key": "a", "rank": 1, "product_id": "p", "reason": "repeat", "is_repeat": True})
    write(MODEL_PERFORMANCE, {"horizon_days": 7, "scored_on": date(2024, 3, 3), "model_name": "m", "model_version": 3,
          "customers": 2, "predicted_buyers": 1.2, "actual_buyers": 1, "auc": 0.75, "brier_score": 0.2})  # fmt: skip
    write(
        DATA_QUALITY,
        {"table_name": "events", "check_name": "volume_warn", "severity": "warn", "has_held": False, "words": "half"},
    )
    text, pieces = made(home)
    told = " ".join(pieces.text)
    for words in ("corner_shop, 2024-03-10", "simulated data", "1,000", "They browse.", "25%", "81%",
                  "+5 pp", "400 views", "personal_offer", "0.750", "volume_warn", "not published",
                  "1 customer moved",
                  "1 not held", "of 1; 1 of severity warn"):  # fmt: skip
        assert words in told, words
    assert "Nothing to show" not in told
    assert WRITTEN in told
    assert "<script" not in text
    assert pieces.open == []
    assert [address for address in pieces.addresses if not address.startswith(("#", "data:"))] == []
    assert not re.search(r"url\(|@import|https?://", text)


def test_a_day_of_segments_alone_says_what_is_not_there(home, write):
    write(CUSTOMER_SEGMENTS, customer("a"))
    text, pieces = made(home)
    assert "There is no snapshot before this one" in text
    assert "Nothing to show for this day." in text
    assert "held." not in text  # no check was judged
    assert "what became of its rows" not in text
    assert pieces.open == []


def test_times_are_told_in_the_zone_they_are_said_to_be_in(home, write):
    write(CUSTOMER_SEGMENTS, customer("a"))
    at = datetime(2024, 3, 11, 1, 30, tzinfo=timezone(timedelta(hours=2)))  # as a session of that zone reads it
    assert "published 2024-03-10 23:30 UTC" in report.page(replace(read_day(home, DAY), published_at=at))


def test_the_headline_is_the_sum_of_the_tiers_below(home, write):
    """Who is not of the population is in a tier too."""
    write(CUSTOMER_SEGMENTS, customer("a", "top", expected_spend_30d=40.0),
          customer("b", is_eligible=False, expected_spend_30d=21.0))  # fmt: skip
    _, pieces = made(home)
    place = pieces.text.index("expected in 30 days")
    assert "61" in pieces.text[place - 2 : place + 3]


def test_who_is_new_has_not_moved(home, write):
    write(CUSTOMER_SEGMENTS, customer("a"))
    flow = {"previous_snapshot_date": BEFORE, "is_expected": True}
    write(STAGE_TRANSITIONS, {"from_stage": "unseen", "to_stage": "new", "customers": 5, **flow},
          {"from_stage": "active", "to_stage": "loyal", "customers": 3, **flow},
          {"from_stage": "dormant", "to_stage": "gone", "customers": 2, **flow})  # fmt: skip
    assert "3 customers moved" in " ".join(made(home)[1].text)


def test_the_checks_are_told_by_severity_and_a_delivery_in_one_line(home, write):
    write(CUSTOMER_SEGMENTS, customer("a"))
    held = {"table_name": "events", "severity": "fail", "has_held": True}
    fate = {"table_name": "shop/till", "severity": "info", "has_held": None}
    fates = {"rows_kept": 1_200.0, "rows_read": 1_207.0, "rows_dropped": 4.0, "rows_quarantined": 3.0}
    write(DATA_QUALITY, held | {"check_name": "a"}, held | {"check_name": "b"},
          *(fate | {"check_name": name, "observed": n} for name, n in fates.items()))  # fmt: skip
    text, pieces = made(home)
    assert "all held of 2" in " ".join(pieces.text)
    assert "2 checks held, 0 did not." in text
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", text[text.index('id="quality"') :])
    assert cells == ["shop/till", "1,207", "1,200", "3", "4"]


def test_a_card_of_a_narrow_page_says_what_each_cell_is(home, write):
    write(CUSTOMER_SEGMENTS, customer("a"))
    write(CHURN_WATCHLIST, {"rank": 1, "customer_key": "a", "spend_at_risk": 729.0, "value_tier": "top"})
    listed = made(home)[0].split('id="churn"')[1]
    assert re.search(r'<table class="cards">.*<td class="n" data-head="money at risk">729 EUR</td>', listed)


def test_a_shop_that_knows_nobody_yet_has_a_page(home, write):
    write(CUSTOMER_SEGMENTS)
    text, pieces = made(home)
    assert "No customer is known yet; not published." in text
    assert pieces.open == []


@pytest.mark.parametrize(("rule", "said"), [("four_level", "how likely customers are to buy"), ("fixed", "amounts")])
def test_the_page_says_what_tiers_go_by(home, write, rule, said):
    write(CUSTOMER_SEGMENTS, customer("a"))
    write(SEGMENT_SETTINGS, {"name": "value_rule", "text": rule}, {"name": "cluster.method", "text": "kmeans"})
    assert said in made(home)[0]


def test_a_day_without_segments_is_refused(home, write):
    with pytest.raises(DataError, match="customer_segments has no partition for 2024-03-10"):
        made(home)


def test_bands_of_the_flows_are_as_thick_as_their_customers_are_many():
    drawn = sankey([("active", "loyal", 30), ("active", "active", 60), ("unseen", "new", 10)],
                   ("unseen", "new", "active", "loyal"), ("a", "b"))  # fmt: skip
    found = dict(re.findall(r'stroke-width="([\d.]+)"><title>(\S+ → \S+):', drawn))
    thick = {flow: float(width) for width, flow in found.items()}
    assert thick == {"active → loyal": 0.3 * TALL, "active → active": 0.6 * TALL, "unseen → new": 0.1 * TALL}
    assert sankey([], (), ("a", "b")) == ""


def test_names_of_thin_bars_do_not_stand_in_each_others_way():
    order = ("prospect", "new", "active", "unseen")
    flows = [("active", "active", 10_000), ("new", "new", 1), ("prospect", "prospect", 1), ("unseen", "new", 1)]
    drawn = sankey(flows, order, ("a", "b"))
    told = re.findall(r'<text x="[\d.]+" y="([\d.]+)" text-anchor="end">(\w+) ', drawn)
    assert tuple(name for _, name in told) == order
    heights = [16.0, *(float(y) for y, _ in told)]  # the day stands above
    assert all(below - above >= 14 for above, below in pairwise(heights))
