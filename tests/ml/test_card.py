"""Model card and compare page: numbers are the metrics', limits follow from facts, pages need no network."""

import json
import re
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.behaviour import FEATURES
from ml.card import About, description, write_card
from ml.card.document import Block, html, markdown
from ml.card.groups import groups_of
from ml.card.limits import limits
from ml.cohorts import Parts
from ml.comparing.rows import Row
from ml.examples import STRATA
from ml.home import partition_folder
from ml.judging import measure
from ml.lifetime import Lifetime
from ml.pages.compare_page import write_compare_page
from ml.protocols import Protocol
from tests.ml.told_rows import HORIZONS, told_examples, true_forecast

PROTOCOL = Protocol((date(2020, 12, 1),), date(2021, 1, 1), (date(2021, 3, 1),), HORIZONS)
ABOUT = About("gru", "pets (simulated)", 0, "d" * 64, "0123abc", 0.4, {"learning_rate": 0.002, "odd|name": "<b>"})


@pytest.fixture(scope="module")
def parts():
    return Parts(told_examples(seed=1), told_examples(400, seed=2), (told_examples(600, seed=3),))


@pytest.fixture(scope="module")
def card(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    write_card(folder, ABOUT, PROTOCOL, parts, true_forecast(parts.tests[0].inputs))
    return (folder / "model_card.md").read_text(), (folder / "model_card.html").read_text()


def line_of(text: str, title: str) -> list[str]:
    return [
        cell.strip() for cell in next(x for x in text.splitlines() if x.startswith(f"| {title} |")).split("|")[1:-1]
    ]


def test_numbers_are_those_of_the_metrics(card, parts):
    test = parts.tests[0]
    found = measure(test, true_forecast(test.inputs), ABOUT.threshold)
    assert line_of(card[0], "AUC")[1].startswith(f"{found['auc']:.4f} [")
    assert line_of(card[0], "AUC")[4] == f"{found['auc_repeat']:.4f}"
    assert line_of(card[0], "calibration error")[1] == f"{found['calibration_error']:.4f}"
    assert line_of(card[0], "normalised Gini of spend")[2] == f"{found['normalised_gini_new']:.4f}"
    assert line_of(card[0], "bias of total spend")[1] == f"{found['total_bias']:+.1%}"
    strata = [f"{(test.inputs.stratum == stratum).sum():,}" for stratum in STRATA]
    assert "| customers | 600 | " + " | ".join(strata) + " |" in card[0]


def test_a_runs_description_begins_with_the_numbers(card):
    told = description(card[0])
    assert told.startswith("On 600 customers of pets (simulated) as of 2021-03-01: AUC ")
    assert "## Limits" in told
    assert "learning_rate" not in told


def test_groups_are_told_by_their_own_numbers(card, parts):
    test = parts.tests[0]
    groups = groups_of(test.inputs)
    assert "age unknown" in groups
    assert not any(name.startswith("gender") for name in groups)
    assert sum(rows.sum() for rows in groups.values()) == len(test)
    some = groups["age unknown"]
    found = measure(test.rows(some), true_forecast(test.inputs).rows(some), ABOUT.threshold)
    told = line_of(card[0], "age unknown")
    assert told[1] == f"{some.sum():,}"
    assert told[2].startswith(f"{found['auc']:.4f} [")


def test_gender_is_read_from_the_features_of_the_cutoff(tmp_path):
    inputs = told_examples(4, 1).inputs
    folder = partition_folder(FEATURES, inputs.cutoffs[0].item(), tmp_path)
    folder.mkdir(parents=True)
    # The last customer is in no row, the third told nothing.
    rows = {"customer_key": list(inputs.customer_keys[:3]), "gender": ["f", "m", None]}
    pq.write_table(pa.table(rows), folder / "part-0.parquet")
    groups = groups_of(replace(inputs, home=tmp_path))
    assert groups["gender f"].tolist() == [True, False, False, False]
    assert groups["gender unknown"].tolist() == [False, False, True, True]


def test_what_it_was_made_from_is_told(card):
    text, page = card
    for told in (
        ABOUT.data_digest, "0123abc", "2020-12-01", "2021-03-01", "1,500 rows of 1,500 customers", "learning_rate",
        "no purchase within 30 days", "Python", "load_predictor",
    ):  # fmt: skip
        assert told in text, told
        assert told in page, told
    assert "the data are simulated" in text


def test_pages_take_what_comes_from_outside_as_text(card):
    assert "&lt;b&gt;" in card[1]
    assert "<b>" not in card[1]
    assert "odd\\|name" in card[0]


def test_limits_follow_from_facts(parts):
    test = parts.tests[0]
    told = " ".join(limits(parts, true_forecast(test.inputs), PROTOCOL, is_simulated=False))
    assert "simulated" not in told
    assert "Lifetime value" not in told, "none goes with it"
    assert "off by" not in told
    assert "extrapolated: no training window" not in told
    # One that says half of what comes, trained on windows of 30 days, tested on customers of another kind.
    forecast = true_forecast(test.inputs)
    timid = replace(forecast, hazard=forecast.hazard / 2)
    short = replace(parts.train, observed_days=np.full(len(parts.train), 30))
    elsewhere = replace(test, inputs=replace(test.inputs, features=test.inputs.features * 10))
    told = " ".join(limits(Parts(short, parts.valid, (elsewhere,)), timid, PROTOCOL, is_simulated=True))
    assert "The data are simulated" in told
    assert "Purchases beyond 30 days are extrapolated" in told
    assert "In total they are too low" in told
    assert re.search(r"\d+ of \d+ features had shifted", told)


@pytest.mark.parametrize(("known_days", "is_told"), [(120, True), (365, False)])
def test_lifetime_value_is_extrapolated_where_the_scores_say_so(parts, known_days, is_told):
    lifetime = Lifetime(60, known_days, 1.0, 4.0, None)
    told = " ".join(limits(parts, true_forecast(parts.tests[0].inputs), PROTOCOL, False, lifetime=lifetime))
    assert lifetime.is_extrapolated == is_told
    assert ("extrapolated: no customer's spend had been seen for longer than 120 days" in told) == is_told


def test_a_document_reads_the_same_both_ways():
    blocks = [Block.of("h2", "Head"), Block.of("list", "one", "two"), Block.of("table", ("a", "b"), (1, 2))]
    assert markdown(blocks) == "## Head\n\n- one\n- two\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    assert "<tr><td class=s>1</td><td class=s>2</td></tr>" in html("t", blocks)


# ---- compare page

ROWS = [
    Row("pets", "mean", "churn_30d", "gru", "all", "auc", 0.81234567, 0.79, 0.83),
    Row("pets", "mean", "churn_30d", "</script><b>", "all", "auc", 0.7, float("nan"), float("nan")),
    Row("pets", "mean", "churn_30d", "gru", "all", "auc_minus_bg_nbd", 0.1, 0.05, 0.15),
    Row("pets", "mean", "churn_30d", "outcome", "all", "customers", 321.0),
]


def test_the_compare_page_carries_every_number(tmp_path):
    file = tmp_path / "compare.html"
    write_compare_page(file, ROWS, "pets: models compared", "gru")
    page = file.read_text()
    data = json.loads(re.search(r"id='data'>(.*?)</script>", page)[1])
    models = data["tables"]["churn_30d"]["mean"]["all"]
    assert models["gru"]["auc"] == [0.81235, 0.79, 0.83]
    assert models["</script><b>"]["auc"] == [0.7]
    assert data["champion"] == "gru"
    assert data["outcomes"]["churn_30d|mean|all"]["customers"] == 321
    # Differences to others than the champion would drown the rest.
    assert "auc_minus_bg_nbd" not in models["gru"]


def test_rows_may_be_what_was_read_from_json(tmp_path):
    write_compare_page(tmp_path / "a.html", ROWS[:1])
    write_compare_page(tmp_path / "b.html", [{**vars(ROWS[0])}])
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_pages_need_no_network(card, tmp_path):
    write_compare_page(tmp_path / "compare.html", ROWS)
    for page in (card[1], (tmp_path / "compare.html").read_text()):
        assert not re.search(r"https?://|//cdn|\ssrc=|@import|url\(", page)
