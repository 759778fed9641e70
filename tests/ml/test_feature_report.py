"""The feature report: planted constants, copies and drift are found; the index and the page by hand."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from expectations.behaviour import FEATURE_NAMES
from ml.drift import Reference, read_reference, stability_indices, write_reference
from ml.feature_page import page, write_feature_report
from ml.feature_report import Columns, clusters, feature_report

NAN = np.nan


def planted(parts, name: str, train, test):
    """``parts`` with other values of the feature ``name``."""
    place = FEATURE_NAMES.index(name)

    def changed(examples, values):
        features = examples.inputs.features.copy()
        features[:, place] = values(features)
        return replace(examples, inputs=replace(examples.inputs, features=features))

    return replace(parts, train=changed(parts.train, train), tests=(changed(parts.tests[-1], test),))


def test_constants_copies_and_drift_are_named(parts):
    rng = np.random.default_rng(0)
    recency = FEATURE_NAMES.index("recency_days")
    parts = planted(parts, "view_count_30d", lambda f: -3 * f[:, recency], lambda f: -3 * f[:, recency])
    parts = planted(parts, "search_count_30d", lambda f: rng.poisson(5, len(f)), lambda f: rng.poisson(9, len(f)))
    parts = planted(parts, "age", lambda f: np.where(rng.random(len(f)) < 0.7, NAN, 40), lambda f: 40.0)
    report = feature_report(parts).set_index("feature")
    assert set(report.index) == set(FEATURE_NAMES)
    assert report.index.name == "feature"
    assert report["auc"].is_monotonic_decreasing
    assert report.loc["return_count_90d", "verdict"] == "constant"
    # As strong as recency, the other way round, and one of them a copy.
    assert report.loc[["view_count_30d", "recency_days"], "verdict"].str.startswith("copy of ").any()
    assert report.loc["view_count_30d", "auc"] == pytest.approx(report.loc["recency_days", "auc"])
    assert {report.loc["view_count_30d", "direction"], report.loc["recency_days", "direction"]} == {"+", "-"}
    assert report.loc["view_count_30d", "cluster"] == report.loc["recency_days", "cluster"] > 0
    assert report.loc["search_count_30d", "verdict"] == "drifts"
    assert report.loc["age", "missing_train"] == pytest.approx(0.7, abs=0.05)
    assert report.loc["age", "missing_test"] == 0


def test_labels_of_the_test_rows_are_not_looked_at(parts):
    test = parts.tests[-1]
    other = replace(parts, tests=(replace(test, days_to_purchase=test.days_to_purchase[::-1]),))
    assert feature_report(parts).equals(feature_report(other))


def test_stability_index_by_hand():
    # Two values: the nine deciles have the edges 0 and 1, so bins are <= 0, <= 1, above, missing; half a row is added.
    train, test = np.repeat([0.0, 1.0], [60, 40]), np.array([0.0] * 30 + [1.0] * 60 + [NAN] * 10)
    before, after = (np.array(counts) + 0.5 for counts in ([60, 40, 0, 0], [30, 60, 0, 10]))
    before, after = before / before.sum(), after / after.sum()
    assert Reference.of(train).stability_index(test) == pytest.approx(((after - before) * np.log(after / before)).sum())
    assert Reference.of(train).stability_index(train) == 0
    assert Reference.of(np.full(5, NAN)).stability_index(np.full(7, NAN)) == pytest.approx(0, abs=0.02)
    assert np.isfinite(Reference.of(np.full(5, NAN)).stability_index(np.arange(7.0)))


def test_a_reference_is_kept_as_it_was(parts, tmp_path):
    features = parts.train.inputs.features
    write_reference(tmp_path, features)
    again = read_reference(tmp_path)
    assert set(stability_indices(again, features).values()) == {0.0}
    moved = features.copy()
    moved[:, 7] = features[:, 7] + 1000
    (worst, *_), index = stability_indices(again, moved), Reference.of(features[:, 7]).stability_index(moved[:, 7])
    assert worst == FEATURE_NAMES[7]
    assert stability_indices(again, moved)[worst] == index > 1


def test_clusters_are_linked_features():
    alike = np.eye(5)
    for a, b, r in ((0, 3, 0.99), (3, 4, -0.96), (0, 4, 0.5), (1, 2, 0.95)):  # 0-3-4 a chain; 0.95 is not above
        alike[a, b] = alike[b, a] = r
    assert clusters(alike).tolist() == [1, 0, 0, 1, 1]


def test_files_hold_every_feature_and_escape_what_they_show(parts, tmp_path):
    report = feature_report(parts)
    write_feature_report(tmp_path, "pets <& co>", report, (len(parts.train), len(parts.tests[-1])))
    with open(tmp_path / "features.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(Columns.__dataclass_fields__)
    assert {row["feature"] for row in rows} == set(FEATURE_NAMES)
    html = (tmp_path / "features.html").read_text()
    assert html == page("pets <& co>", report, (len(parts.train), len(parts.tests[-1])))
    assert "pets &lt;&amp; co&gt;" in html
    assert all(f"<code>{name}</code>" in html for name in FEATURE_NAMES)
    assert f"{len(parts.train):,} training and {len(parts.tests[-1]):,} test rows" in html
    assert "http" not in html  # nothing is loaded from elsewhere
