"""Label windows, censoring, parts by time and what is refused, on rows written by hand."""

import hashlib
import os
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.behaviour import CUSTOMER_DAY, FEATURE_NAMES, FEATURES
from expectations.errors import DataError
from ml.cohorts import customer_folds, label, load_inputs, load_parts, read_purchases
from ml.comparing.store import data_digest
from ml.examples import LIFE_NAMES, Inputs
from ml.horizons import Horizons
from ml.predict import load_frame
from ml.protocols import Population
from ml.ready import require_matured
from ml.settings import ModelSettings, training_cutoffs
from ml.train import read

D = date(2021, 3, 1)
SHOP_FIRST, LAST_CUTOFF = date(2020, 1, 1), date(2020, 7, 28)  # of the simulated shop, whose last day is 2020-08-27
CUTOFFS = training_cutoffs(LAST_CUTOFF, SHOP_FIRST, "/nowhere")


def write_shop(write, home, shop):
    """customer_day of every day of the simulated shop."""
    for n in range(shop.bought.shape[1]):
        write(home, CUSTOMER_DAY, SHOP_FIRST + timedelta(days=n), shop.customer_day(SHOP_FIRST + timedelta(days=n)))


def day(n: int) -> date:
    return D + timedelta(days=n)


def write_days(write, home, rows, last=31):
    """customer_day partitions of D … D+last; rows are (customer, event day, arrival day, purchases, amount)."""
    zero = {c.name: 0 for c in CUSTOMER_DAY.columns} | {"order_ids": None}
    for n in range(last + 1):
        here = [
            zero
            | {"customer_key": key, "event_date": day(event), "arrival_date": day(n), "event_count": 1}
            | {"purchase_count": count, "purchase_amount": amount}
            for key, event, arrival, count, amount in rows
            if arrival == n
        ]
        write(home, CUSTOMER_DAY, day(n), pd.DataFrame(here, columns=CUSTOMER_DAY.column_names))


def labelled(home, *keys: str, known_days: int = 30):
    """Labels of ``keys`` as of D, with horizons of 14 and 30 days, as known so many days later."""
    nothing = np.zeros(len(keys))
    life = dict.fromkeys(LIFE_NAMES, nothing)
    inputs = Inputs(home, np.array(keys), np.full(len(keys), np.datetime64(D)), nothing[:, None], life)
    purchases = read_purchases(D, day(known_days), home)
    return label(inputs, D, day(known_days), Horizons((14, 30), 30, (14, 30)), purchases)


WINDOW = [
    ("on the cutoff", 0, 0, 1, 5.0),  # belongs to the features
    ("first day", 1, 1, 1, 10.0),
    ("last day", 30, 30, 1, 20.0),
    ("day after", 31, 31, 1, 40.0),
    ("cutoff, late", 0, 2, 1, 80.0),  # happened before the window, arrived in it: nobody's label
    ("late in window", 10, 30, 1, 160.0),
    ("late beyond", 30, 31, 1, 320.0),  # happened in the window, was not known at its end
    ("twice", 3, 3, 2, 1.25),
    ("twice", 4, 9, 1, 2.5),
    ("return only", 5, 5, 0, 0.0),
]


def test_label_window_is_after_the_cutoff_up_to_its_thirtieth_day(tmp_path, write_partition):
    write_days(write_partition, tmp_path, WINDOW)
    keys = list(dict.fromkeys(row[0] for row in WINDOW))
    found = labelled(tmp_path, *keys)
    spend = {key: paid for key, paid in zip(keys, found.spend_within(30), strict=True) if paid}
    assert spend == {"first day": 10.0, "last day": 20.0, "late in window": 160.0, "twice": 3.75}
    first = {key: days for key, days in zip(keys, found.days_to_purchase, strict=True) if np.isfinite(days)}
    # What happened on day 10 came to be known after the first interval's end, so it is a purchase of the second.
    assert first == {"first day": 1, "last day": 30, "late in window": 30, "twice": 3}
    # What happened on day 10 and came on day 30 was no spend of the 14 days: it was not known at their end.
    assert found.spend_within(14)[keys.index("late in window")] == 0


def test_a_label_never_changes_once_its_window_is_over(tmp_path, write_partition):
    write_days(write_partition, tmp_path, [("a", 10, 20, 1, 5.0), ("b", 14, 15, 1, 7.0), ("c", 2, 13, 1, 9.0)])
    early, late = (labelled(tmp_path, "a", "b", "c", known_days=days) for days in (14, 30))
    assert early.is_buyer(14).tolist() == late.is_buyer(14).tolist() == [0, 0, 1]
    assert early.spend_within(14).tolist() == late.spend_within(14).tolist() == [0, 0, 9.0]
    assert late.is_buyer(30).tolist() == [1, 1, 1]


def test_windows_that_have_not_matured_are_censored_not_dropped(tmp_path, write_partition):
    write_days(write_partition, tmp_path, [("a", 1, 1, 1, 5.0), ("b", 16, 16, 1, 7.0)], last=20)
    found = labelled(tmp_path, "a", "b", "c", known_days=20)
    assert found.observed_days.tolist() == [20, 20, 20]
    assert found.matured(14).all()
    assert not found.matured(30).any()
    # Not even of who is known to have bought: those alone would be too many.
    assert np.isnan(found.is_buyer(30)).all()
    assert np.isnan(found.spend_within(30)).all()
    assert found.at_risk().tolist() == [[True, False]] * 3


def test_labels_need_every_day(tmp_path, write_partition):
    write_days(write_partition, tmp_path, [("a", 1, 1, 1, 5.0)], last=29)
    with pytest.raises(DataError, match=r"not matured.*up to 2021-03-31; 1 are missing, the first 2021-03-31"):
        require_matured(D, 30, tmp_path)
    write_days(write_partition, tmp_path, [("a", 1, 1, 1, 5.0)], last=30)
    require_matured(D, 30, tmp_path)
    for file in (tmp_path / "lake" / CUSTOMER_DAY.folder(day(7))).iterdir():
        file.unlink()
    with pytest.raises(DataError, match="1 are missing, the first 2021-03-08"):
        require_matured(D, 30, tmp_path)
    with pytest.raises(DataError, match="1 are missing, the first 2021-03-08"):
        read_purchases(D, day(30), tmp_path)


def test_a_missing_features_partition_names_the_command(tmp_path):
    with pytest.raises(DataError, match="build_features --ds 2021-03-01"):
        load_frame(D, tmp_path)
    (tmp_path / "lake" / FEATURES.folder(D)).mkdir(parents=True)
    with pytest.raises(DataError, match=r"is missing: run `python -m jobs build_features --ds 2021-03-01`"):
        load_frame(D, tmp_path)


def test_a_features_file_of_an_older_contract_names_file_and_columns(tmp_path, write_partition, shop):
    frame = shop.features(date(2020, 6, 1)).drop(columns=["recency_days", "order_count_7d"])
    write_partition(tmp_path, FEATURES, date(2020, 6, 1), frame)
    for load in (load_frame, load_inputs):
        with pytest.raises(DataError, match=r"part-0.parquet lacks columns order_count_7d, recency_days"):
            load(date(2020, 6, 1), tmp_path)


def test_what_lacks_is_named_with_the_command_that_brings_it(tmp_path, write_partition, shop):
    write_shop(write_partition, tmp_path, shop)
    # A cutoff that is too late is said before snapshots are missed: there is no use in building any.
    with pytest.raises(DataError, match=r"not matured.*on or before 2020-07-28"):
        read(LAST_CUTOFF + timedelta(days=1), ("recency_rule",), tmp_path)
    with pytest.raises(DataError, match=r"missing: 2020-03-06, .*, 2020-07-28\. Run .*--for-training 2020-07-28` f"):
        read(LAST_CUTOFF, ("recency_rule",), tmp_path)
    *train, valid, test = CUTOFFS
    for cutoff in (test, *train):
        write_partition(tmp_path, FEATURES, cutoff, shop.features(cutoff))
    with pytest.raises(DataError, match=rf"missing: {valid}\. Run"):
        read(LAST_CUTOFF, ("recency_rule",), tmp_path)
    write_partition(tmp_path, FEATURES, valid, shop.features(valid))
    assert len(read(LAST_CUTOFF, ("recency_rule",), tmp_path)[1].tests[-1])
    with pytest.raises(DataError, match=rf"read: 2020-03-06, .*, {test}\. Run .*build_sequences --for-tr"):
        read(LAST_CUTOFF, ("gru",), tmp_path)
    # A day before the two latest cutoffs is written again: they are stale, earlier ones are not.
    again = tmp_path / "lake" / CUSTOMER_DAY.folder(valid - timedelta(days=1))
    newest = (tmp_path / "lake" / FEATURES.folder(valid)).stat().st_mtime
    os.utime(again, (newest + 10, newest + 10))
    with pytest.raises(DataError, match=rf"customer_day: {valid}, {test}\. .*{test} --skip-unchanged` first"):
        read(LAST_CUTOFF, ("recency_rule",), tmp_path)


@pytest.mark.parametrize(
    ("bought_until", "spent", "message"),
    [
        (240, 0.0, r"train examples: none of the [\d,]+ customers who buy .* pays anything"),
        (50, 1.0, r"train examples: 0 of [\d,]+ customers buy"),
    ],
)
def test_what_teaches_nothing_is_refused(tmp_path, write_partition, shop, bought_until, spent, message):
    other = replace(shop, bought=shop.bought.copy(), spent=shop.spent * spent)
    other.bought[:, bought_until:] = False
    other.spent[:, bought_until:] = 0
    write_shop(write_partition, tmp_path, other)
    for cutoff in CUTOFFS:
        write_partition(tmp_path, FEATURES, cutoff, other.features(cutoff))
    with pytest.raises(DataError, match=message):
        read(LAST_CUTOFF, ("recency_rule",), tmp_path)


def test_too_little_history_says_from_when_on_it_suffices():
    first = date(2021, 1, 1)
    assert len(training_cutoffs(first + timedelta(days=120), first, "/nowhere")) >= 3
    with pytest.raises(DataError, match="on or after 2021-05-01"):
        training_cutoffs(first + timedelta(days=119), first, "/nowhere")


@given(st.dates(date(2015, 1, 1), date(2030, 1, 1)), st.integers(120, 3000), st.integers(1, 90), st.integers(1, 9))
def test_parts_follow_one_another_by_the_churn_horizon(cutoff, history, churn_days, max_train):
    first = cutoff - timedelta(days=history)
    settings = ModelSettings(churn_days=churn_days, max_train=max_train)
    apart = max(churn_days, 30)  # the shortest window of spend has matured too
    if history < settings.min_history_days + 2 * apart:
        with pytest.raises(DataError):
            settings.protocol(cutoff, first)
        return
    protocol = settings.protocol(cutoff, first)
    assert protocol.tests == (cutoff,)
    assert protocol.valid == cutoff - timedelta(days=apart)
    assert 1 <= len(protocol.train) <= settings.max_train
    assert max(protocol.train) < protocol.valid
    assert min(protocol.train) + timedelta(days=apart) <= protocol.valid
    assert (min(protocol.train) - first).days >= settings.min_history_days


def test_parts_of_the_lake_are_the_simulated_ones(shop_home, shop, parts):
    # The simulation computes features and labels from its own matrices, without the lake.
    for part in (parts.train, parts.valid, *parts.tests):
        for cutoff in np.unique(part.inputs.cutoffs):
            here = part.rows(part.inputs.cutoffs == cutoff)
            frame, after = shop.features(cutoff.item()), (cutoff.item() - SHOP_FIRST).days + 1
            frame["spend"] = shop.spent[:, after : after + 30].sum(axis=1)
            frame = frame[frame["frequency_days"] > 0].sort_values("customer_key")
            assert here.inputs.customer_keys.tolist() == frame["customer_key"].tolist()
            matrix = frame[list(FEATURE_NAMES)].astype("float64").to_numpy()
            np.testing.assert_allclose(here.inputs.features, matrix, rtol=1e-12)
            if here.matured(30).all():
                np.testing.assert_allclose(here.spend_within(30), frame["spend"], atol=1e-6)
                assert (here.is_buyer(30) == (frame["spend"] > 0)).all()


def test_labels_of_a_part_end_where_the_next_begins(parts):
    for part, known_until in ((parts.train, "2020-06-28"), (parts.valid, "2020-07-28")):
        ends = part.inputs.cutoffs + part.observed_days.astype("timedelta64[D]")
        assert (ends <= np.datetime64(known_until)).all()
        bought = np.isfinite(part.days_to_purchase)
        assert (part.days_to_purchase[bought] <= part.observed_days[bought]).all()


def test_prospects_are_in_the_frame_and_not_among_the_examples(shop_home, test_part):
    frame = load_frame(LAST_CUTOFF, shop_home)
    never = frame.loc[frame["frequency_days"] == 0, "customer_key"]
    assert len(never) >= 10
    assert not set(never) & set(test_part.inputs.customer_keys)
    assert frame["customer_key"].is_monotonic_increasing
    assert load_inputs(LAST_CUTOFF, shop_home).customer_keys.tolist() == frame["customer_key"].tolist()
    lately = load_inputs(LAST_CUTOFF, shop_home, Population(2, max_silent_days=20))
    wanted = frame[(frame["frequency_days"] >= 2) & (frame["recency_days"] <= 20)]
    assert lately.customer_keys.tolist() == wanted["customer_key"].tolist()


def test_digest_tells_data_apart(parts):
    spend = parts.valid.spend.copy()
    spend[0, 0] += 0.01
    assert data_digest(replace(parts), ()) == data_digest(parts, ())
    assert data_digest(replace(parts, valid=replace(parts.valid, spend=spend)), ()) != data_digest(parts, ())


def test_settings_of_the_home_move_the_cutoffs(shop_home, tmp_path):
    (tmp_path / "settings.yaml").write_text("model: {churn_days: 14, step_days: 7, max_train: 2}")
    found = training_cutoffs(LAST_CUTOFF, SHOP_FIRST, tmp_path)
    # Apart by 30 days all the same: the shortest window of spend has to mature.
    assert [str(one) for one in found] == ["2020-05-29", "2020-06-05", "2020-06-28", "2020-07-28"]
    assert load_parts(ModelSettings(max_train=2).protocol(LAST_CUTOFF, SHOP_FIRST), shop_home).train


def test_customers_keep_their_fold_and_splits_within_splits_are_their_own():
    keys = np.array([f"{n:064x}" for n in range(3000)])
    folds = customer_folds(keys, 5)
    by_hand = [int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) % 5 for key in keys]
    assert folds.tolist() == by_hand
    assert (customer_folds(keys[::7], 5) == folds[::7]).all()
    # Of those of one fold, another split still makes even folds: a calibration within a fold has five again.
    shares = np.bincount(customer_folds(keys[folds == 2], 5, "calibrate"), minlength=5) / (folds == 2).sum()
    assert shares == pytest.approx(0.2, abs=0.05)
