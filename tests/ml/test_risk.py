"""Risk scores: what stands out is found and said, cases are learned from the right snapshots, judged on newer ones."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from expectations.behaviour import FEATURE_NAMES
from expectations.errors import DataError, SetupError
from ml.risk import anomaly, arg_parser, labelled, labels, main
from ml.risk.labels import Cases

DAY = date(2024, 4, 30)


def test_who_is_planted_apart_is_the_oddest_and_told_why():
    rng = np.random.default_rng(0)
    values = rng.poisson(3, (3000, len(anomaly.NAMES))).astype(float)
    values[rng.random(values.shape) < 0.1] = np.nan
    place = anomaly.NAMES.index("payment_method_diversity_30d"), anomaly.NAMES.index("order_count_30d")
    values[7, place[0]], values[7, place[1]] = 24, 30
    found = anomaly.find_anomalies(values)
    assert found.deviations.argmax() == 7
    assert anomaly.reasons(values[7], found.features[7], found.typical)[:2] == [
        "30 orders in the last 30 days (typical 3)",
        "24 ways of payment in the last 30 days (typical 3)",
    ]
    again = anomaly.find_anomalies(values)
    assert (found.deviations == again.deviations).all()


def test_robust_deviations():
    # Median 3, median absolute deviation 1.
    assert anomaly.robust_z(np.array([1.0, 2, 3, 4, 100]))[-1] == pytest.approx(97 / 1.4826)
    # Most are equal: the mean absolute deviation, 10 / 5, stands in.
    assert anomaly.robust_z(np.array([0.0, 0, 0, 0, 10]))[-1] == pytest.approx(10 / (1.2533 * 2))
    assert (anomaly.robust_z(np.full(4, 2.0)) == 0).all()
    assert len(anomaly.find_anomalies(np.empty((0, len(anomaly.NAMES)))).deviations) == 0


def test_a_case_is_learned_from_the_first_snapshot_after_it():
    days = [DAY - timedelta(days=n) for n in (20, 6, 5)]
    events = {"on": days[0], "after": days[0] + timedelta(days=9), "too early": days[0] - timedelta(days=9),
              "too late": DAY}  # fmt: skip
    marked = pa.table({"customer_key": list(events), "event_date": list(events.values())})
    assert labels.snapshots_of(marked, days) == {days[0]: {"on"}, days[1]: {"after"}}


def test_only_what_was_known_by_the_day_counts_and_files_are_held_to_their_columns(tmp_path):
    file = tmp_path / "marked.csv"
    with pytest.raises(SetupError, match=r"there is no .*marked\.csv"):
        labels.read_labels(file, DAY)
    file.write_text(f"customer_key,event_date,known_date\na,2024-04-01,{DAY}\nb,2024-04-01,2024-05-01\n")
    assert labels.read_labels(file, DAY)["customer_key"].to_pylist() == ["a"]
    for wrong in ("customer_key,event_date\na,2024-04-01\n", "customer_key,event_date,known_date\na,soon,later\n"):
        file.write_text(wrong)
        with pytest.raises(DataError, match="must hold customer_key, event_date, known_date"):
            labels.read_labels(file, DAY)


def cases(snapshot: date, rows: int, marked: int, seed: int) -> Cases:
    """Customers marked for many ways of payment; every other feature is noise."""
    rng = np.random.default_rng(seed)
    features = rng.poisson(3, (rows, len(FEATURE_NAMES))).astype(float)
    is_case = np.arange(rows) < marked
    features[:, FEATURE_NAMES.index("age")] = np.nan  # of a shop that does not know it
    features[is_case, FEATURE_NAMES.index("payment_method_diversity_30d")] += 9
    return Cases(snapshot, features, is_case, np.ones(rows))


def test_the_newest_cases_are_tested_on():
    found = [cases(DAY + timedelta(days=n), 50, marked, n) for n, marked in enumerate((10, 4, 3, 3))]
    learned, tested = labelled.split_by_time(found)
    assert [one.snapshot for one in learned] == [found[0].snapshot, found[1].snapshot]
    assert [one.snapshot for one in tested] == [found[2].snapshot, found[3].snapshot]


def test_the_planted_cause_is_learned_and_told():
    model = labelled.fit_cases([cases(DAY, 1500, 40, 1)])
    newer = cases(DAY, 1500, 15, 2)
    likely = labelled.probability(model, newer.features)
    judged = labelled.judge(newer.is_case, likely)
    assert judged.average_precision[0] > 0.8
    assert judged.average_precision[1] <= judged.average_precision[0] <= judged.average_precision[2]
    assert judged.random == pytest.approx(0.01)
    # Calibrated: as many as it says.
    assert likely.sum() == pytest.approx(15, abs=8)
    told = labelled.reasons(model, newer.features[:1], np.full(len(FEATURE_NAMES), 3.0))[0]
    assert told[0].endswith("ways of payment in the last 30 days (typical 3)")


def test_chance_is_judged_as_chance():
    rng = np.random.default_rng(0)
    judged = labelled.judge(rng.random(5000) < 0.05, rng.random(5000))
    assert judged.average_precision[1] < 0.06 < judged.average_precision[2] + 0.02
    assert judged.precision_at_100[1] <= 0.05 <= judged.precision_at_100[2]


def test_a_study_reads_any_labelled_table_and_leaves_columns_out(tmp_path, capsys):
    rng = np.random.default_rng(0)
    label = rng.random(600) < 0.2
    rows = [f"{3 * case + rng.normal():.3f},{'card' if rng.random() < 0.5 else 'cash'},{int(case)}" for case in label]
    file = tmp_path / "payments.csv"
    file.write_text("\n".join(["tell,paid_by,label", *rows]))
    for more, low, high in (((), 0.8, 1.0), (("--without", "tell"), 0.0, 0.4)):
        main(arg_parser().parse_args(["--study", str(file), *more]))
        told = capsys.readouterr().out.splitlines()[1]
        assert low < float(told.split()[1]) <= high
    with pytest.raises(DataError, match="has no column amount; it has tell, paid_by, label"):
        main(arg_parser().parse_args(["--study", str(file), "--without", "amount"]))
    with pytest.raises(SetupError, match="--labels needs --ds"):
        main(arg_parser().parse_args([]))
