"""Label windows, splits by time and what is refused, on rows written by hand."""

import os
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.behaviour import CUSTOMER_DAY, FEATURE_NAMES, FEATURES
from expectations.errors import DataError
from ml.dataset import HORIZON_DAYS, Settings, labels, load_frame, load_splits, training_cutoffs

D = date(2021, 3, 1)


SHOP_FIRST, LAST_CUTOFF = date(2020, 1, 1), date(2020, 7, 28)  # of the simulated shop, whose last day is 2020-08-27


def write_shop(write, home, shop):
    """customer_day of every day of the simulated shop."""
    for n in range(shop.bought.shape[1]):
        write(home, CUSTOMER_DAY, SHOP_FIRST + timedelta(days=n), shop.customer_day(SHOP_FIRST + timedelta(days=n)))


def day(n: int) -> date:
    return D + timedelta(days=n)


def write_days(write, home, rows, last=HORIZON_DAYS + 1):
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


def test_label_window_is_after_the_cutoff_up_to_its_thirtieth_day(tmp_path, write_partition):
    write_days(
        write_partition,
        tmp_path,
        [
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
        ],
    )
    found = labels(D, tmp_path).set_index("customer_key")
    assert found["spend_30d"].to_dict() == {
        "first day": 10.0,
        "last day": 20.0,
        "late in window": 160.0,
        "twice": 3.75,
        "return only": 0.0,
    }
    assert found.index[~found["is_buyer_30d"]].to_list() == ["return only"]


def test_labels_wait_until_the_window_has_matured(tmp_path, write_partition):
    write_days(write_partition, tmp_path, [("a", 1, 1, 1, 5.0)], last=29)
    with pytest.raises(DataError, match=r"not matured.*up to 2021-03-31; 1 are missing, the first 2021-03-31"):
        labels(D, tmp_path)
    write_days(write_partition, tmp_path, [("a", 1, 1, 1, 5.0)], last=30)
    assert len(labels(D, tmp_path)) == 1


def test_a_missing_features_partition_names_the_command(tmp_path):
    with pytest.raises(DataError, match="build_features --ds 2021-03-01"):
        load_frame(D, tmp_path)


def test_a_features_file_of_an_older_contract_names_file_and_columns(tmp_path, write_partition, shop):
    frame = shop.features(date(2020, 6, 1)).drop(columns=["recency_days", "order_count_7d"])
    write_partition(tmp_path, FEATURES, date(2020, 6, 1), frame)
    with pytest.raises(DataError, match=r"part-0.parquet lacks columns order_count_7d, recency_days"):
        load_frame(date(2020, 6, 1), tmp_path)


def test_a_partition_without_a_file_is_missing(tmp_path, write_partition):
    (tmp_path / "lake" / FEATURES.folder(D)).mkdir(parents=True)
    with pytest.raises(DataError, match=r"is missing: run `python -m jobs build_features --ds 2021-03-01`"):
        load_frame(D, tmp_path)
    write_days(write_partition, tmp_path, [("a", 1, 1, 1, 5.0)], last=30)
    for file in (tmp_path / "lake" / CUSTOMER_DAY.folder(day(7))).iterdir():
        file.unlink()
    with pytest.raises(DataError, match="1 are missing, the first 2021-03-08"):
        labels(D, tmp_path)


def test_a_cutoff_too_late_is_said_before_snapshots_are_missed(tmp_path, write_partition, shop):
    write_shop(write_partition, tmp_path, shop)
    with pytest.raises(DataError, match=r"not matured.*on or before 2020-07-28"):
        load_splits(LAST_CUTOFF + timedelta(days=1), tmp_path)


def test_all_missing_and_stale_snapshots_are_named_with_the_command_that_builds_them(tmp_path, write_partition, shop):
    write_shop(write_partition, tmp_path, shop)
    with pytest.raises(DataError, match=r"missing: 2020-03-30, .*, 2020-07-28\. Run .*--for-training 2020-07-28` f"):
        load_splits(LAST_CUTOFF, tmp_path)
    test, valid, *train = training_cutoffs(LAST_CUTOFF, SHOP_FIRST)
    for cutoff in (test, *train):
        write_partition(tmp_path, FEATURES, cutoff, shop.features(cutoff))
    with pytest.raises(DataError, match=rf"missing: {valid}\. Run"):
        load_splits(LAST_CUTOFF, tmp_path)
    write_partition(tmp_path, FEATURES, valid, shop.features(valid))
    assert len(load_splits(LAST_CUTOFF, tmp_path).test)
    # A day before the two latest cutoffs is written again: they are stale, earlier ones are not.
    again = tmp_path / "lake" / CUSTOMER_DAY.folder(valid - timedelta(days=1))
    newest = (tmp_path / "lake" / FEATURES.folder(valid)).stat().st_mtime
    os.utime(again, (newest + 10, newest + 10))
    with pytest.raises(DataError, match=rf"customer_day: {valid}, {test}\. .*{test} --skip-unchanged` first"):
        load_splits(LAST_CUTOFF, tmp_path)


def test_a_shop_without_amounts_is_no_lesson_in_spend(tmp_path, write_partition, shop):
    free = replace(shop, spent=np.zeros_like(shop.spent))
    write_shop(write_partition, tmp_path, free)
    for cutoff in training_cutoffs(LAST_CUTOFF, SHOP_FIRST):
        write_partition(tmp_path, FEATURES, cutoff, free.features(cutoff))
    with pytest.raises(DataError, match=r"train examples: none of the [\d,]+ customers who buy .* pays anything"):
        load_splits(LAST_CUTOFF, tmp_path)


def test_cutoffs_of_the_sample_shop():
    found = training_cutoffs(date(2017, 11, 28), date(2017, 1, 1))
    assert [str(d) for d in found] == [
        "2017-11-28", "2017-10-29", "2017-09-29", "2017-08-30", "2017-07-31", "2017-07-01",
    ]  # fmt: skip


def test_too_little_history_says_from_when_on_it_suffices():
    first = date(2021, 1, 1)
    assert len(training_cutoffs(first + timedelta(days=120), first)) == 3
    with pytest.raises(DataError, match="on or after 2021-05-01"):
        training_cutoffs(first + timedelta(days=119), first)


@given(st.dates(date(2015, 1, 1), date(2030, 1, 1)), st.integers(120, 3000))
def test_label_windows_never_reach_into_the_next_part(cutoff, history):
    first = cutoff - timedelta(days=history)
    found = training_cutoffs(cutoff, first)
    assert found[0] == cutoff
    assert 3 <= len(found) <= Settings().max_cutoffs
    for later, earlier in pairwise(found):
        assert earlier + timedelta(days=HORIZON_DAYS) <= later
    assert (found[-1] - first).days >= Settings().min_history_days


def test_splits_of_the_lake_are_the_simulated_ones(shop_home, shop, splits):
    # The simulation computes features and labels from its own matrices, without the lake.
    found = load_splits(splits.cutoffs[0], shop_home)
    assert found.cutoffs == splits.cutoffs
    for part in ("train", "valid", "test"):
        ours, theirs = getattr(found, part), getattr(splits, part)
        assert ours.customer_keys.tolist() == theirs.customer_keys.tolist()
        np.testing.assert_allclose(ours.features, theirs.features, rtol=1e-12)
        np.testing.assert_allclose(ours.spend, theirs.spend, atol=1e-6)
        assert (ours.is_buyer == theirs.is_buyer).all()


def test_prospects_are_in_the_frame_and_not_among_the_examples(shop_home, splits):
    frame = load_frame(splits.cutoffs[0], shop_home)
    never = frame.loc[frame["frequency_days"] == 0, "customer_key"]
    assert len(never) >= 10
    assert not set(never) & set(splits.test.customer_keys)
    assert frame["customer_key"].is_monotonic_increasing
    assert set(FEATURE_NAMES) <= set(frame.columns)


def test_digest_tells_data_apart(splits):
    spend = splits.test.spend.copy()
    spend[0] += 0.01
    assert replace(splits).digest == splits.digest
    assert replace(splits, test=replace(splits.test, spend=spend)).digest != splits.digest


def test_windows_in_which_nobody_buys_are_no_lesson(tmp_path, write_partition, shop):
    quiet = replace(shop, bought=shop.bought.copy(), spent=shop.spent.copy())
    quiet.bought[:, 80:] = False
    quiet.spent[:, 80:] = 0
    write_shop(write_partition, tmp_path, quiet)
    for other in training_cutoffs(LAST_CUTOFF, SHOP_FIRST):
        write_partition(tmp_path, FEATURES, other, quiet.features(other))
    with pytest.raises(DataError, match=r"train examples: 0 of [\d,]+ customers buy"):
        load_splits(LAST_CUTOFF, tmp_path)
