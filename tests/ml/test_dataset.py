"""Label windows, splits by time and what is refused, on rows written by hand."""

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
    first, days = date(2020, 1, 1), shop.bought.shape[1]
    for n in range(days):
        write_partition(
            tmp_path, CUSTOMER_DAY, first + timedelta(days=n), quiet.customer_day(first + timedelta(days=n))
        )
    cutoff = first + timedelta(days=days - 31)
    for other in training_cutoffs(cutoff, first):
        write_partition(tmp_path, FEATURES, other, quiet.features(other))
    with pytest.raises(DataError, match=r"train examples: 0 of [\d,]+ customers buy"):
        load_splits(cutoff, tmp_path)
