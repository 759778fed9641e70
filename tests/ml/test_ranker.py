"""The ranking that ships: where boosting does, what its probabilities mean, what it never looks at."""

from dataclasses import replace

import numpy as np
import pytest

from expectations.errors import DataError
from ml.ranking.baskets import Baskets
from ml.ranking.candidates import candidates
from ml.ranking.evaluation import DECAYED, SHIPPED, at_cutoff, summed_up, table
from ml.ranking.facts import item_facts
from ml.ranking.frequency import personal_frequency
from ml.ranking.judging import top
from ml.ranking.ranker import Ranker
from tests.ml.ranking_rows import SMALL, TEST, TRAIN, VALID, made, shoppers


@pytest.fixture(scope="module")
def baskets() -> Baskets:
    return made(shoppers())


@pytest.fixture(scope="module")
def ranker(baskets) -> Ranker:
    return Ranker.fit(baskets, TRAIN, VALID, SMALL)


def test_boosting_ships_where_frequency_cannot_tell(baskets, ranker):
    assert ranker.model is not None
    assert ranker.gain[1] > 0
    found = summed_up([at_cutoff(ranker, baskets, TEST, 3)], 0)
    rows = {(row.ranking, row.metric): row for row in found.rows}
    assert rows[SHIPPED, "recall"].gain[1] > 0
    assert rows[SHIPPED, "recall"].value[0] > rows[DECAYED, "recall"].value[0] > rows["popularity", "recall"].value[0]
    # What is listed with a probability is bought about that often.
    assert found.listed == pytest.approx(found.held, abs=0.05)
    assert table(found, 3).splitlines()[-2].startswith("shipped")


def test_probabilities_are_right_of_all_places_that_are_written(baskets, ranker):
    """Chosen by the first three places; of all ten, the last of which are seldom bought, probabilities hold too."""
    ten = Ranker.fit(baskets, TRAIN, VALID, replace(SMALL, written=10))
    assert ten.validation == ranker.validation
    found = summed_up([at_cutoff(ten, baskets, TEST, 3)], 0)
    assert found.held < summed_up([at_cutoff(ranker, baskets, TEST, 3)], 0).held
    assert found.listed == pytest.approx(found.held, abs=0.03)
    # What was calibrated on three is wrong about ten.
    short = replace(ten, calibration=ranker.calibration)
    told = summed_up([at_cutoff(short, baskets, TEST, 3)], 0)
    assert abs(told.listed - told.held) > abs(found.listed - found.held)


def test_never_below_personal_frequency():
    """Everybody buys at random from items of their own: there is nothing to learn beyond how often."""
    rng = np.random.default_rng(3)
    rows = [
        (f"c{n:03}", f"a{item:02}", int(day))
        for n in range(60)
        for chosen in [rng.choice(30, 8, replace=False)]
        for day in range(0, 130, 4)
        for item in rng.choice(chosen, 2, p=np.arange(8, 0, -1) / 36, replace=False)
    ]
    baskets = made(rows)
    ranker = Ranker.fit(baskets, TRAIN, VALID, SMALL)
    assert ranker.gain[1] <= 0
    assert ranker.model is None
    seen = baskets.as_of(TEST)
    as_of = np.full(60, TEST)
    found = candidates(seen, item_facts(seen, TEST), as_of, SMALL.own, SMALL.popular)
    by_frequency = personal_frequency(found, ranker.frequency)
    np.testing.assert_array_equal(top(found.customer, ranker.score(found), 5), top(found.customer, by_frequency, 5))
    assert ranker.validation[ranker.frequency] == max(v for k, v in ranker.validation.items() if k != "boosting")


def test_nothing_after_the_cutoff_matters(baskets, ranker):
    everybody = baskets.customer_keys
    before = ranker.recommend(baskets, TEST, everybody, 4)
    later = [row for row in shoppers() if row[2] <= TEST]
    later += [("c000", "a00", TEST + 1), ("new", "zz9", TEST + 2), ("c001", "b01", TEST - 3, TEST + 1, True, 5.0)]
    changed = made(later)
    after = ranker.recommend(changed, TEST, everybody, 4)
    assert before[0].tolist() == after[0].tolist()
    assert before[1].tobytes() == after[1].tobytes()
    # Fitting knows nothing beyond the window after validation, either.
    last = VALID + SMALL.horizon_days
    again = Ranker.fit(made([row for row in shoppers() if row[2] <= last]), TRAIN, VALID, SMALL)
    assert again.validation == ranker.validation
    assert again.calibration == ranker.calibration
    assert again.recommend(baskets, TEST, everybody, 4)[1].tobytes() == before[1].tobytes()


def test_lists_are_ordered_and_whom_nobody_knows_gets_what_is_popular(baskets, ranker):
    items, scores = ranker.recommend(baskets, TEST, np.array(["nobody", "c005", "c000"], dtype=object), 6)
    assert items.shape == scores.shape == (3, 6)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert ((scores > 0) & (scores < 1)).all()
    seen = baskets.as_of(TEST)
    facts = item_facts(seen, TEST)
    assert items[0].tolist() == seen.items[facts.popular[:6]].tolist()
    # Who else is asked for changes nothing.
    alone, value = ranker.recommend(baskets, TEST, np.array(["c000"], dtype=object), 6)
    assert alone[0].tolist() == items[2].tolist()
    assert value.tobytes() == scores[2:].tobytes()
    few = made([("x", "a1", 1), ("y", "a2", 2)])
    items, scores = ranker.recommend(few, 3, np.array(["x", "q"], dtype=object), 4)
    assert items[:, 2:].tolist() == [[None, None]] * 2
    assert np.isnan(scores[:, 2:]).all()


def test_equal_scores_go_by_popularity_then_name():
    seen = made([("x", "b1", 1), ("x", "a2", 1), ("x", "a1", 1), ("y", "b1", 1)])
    found = candidates(seen, item_facts(seen, 1), np.ones(2, int), 10, 10)
    best = top(found.customer, personal_frequency(found, "share"), 3)[:3]
    assert seen.items[found.item[best]].tolist() == ["b1", "a1", "a2"]


def test_kept_without_pickle(baskets, ranker, tmp_path):
    ranker.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"about.json", "boosting.skops"}
    loaded = Ranker.load(tmp_path)
    keys = baskets.customer_keys
    assert (
        loaded.recommend(baskets, TEST, keys, 4)[1].tobytes() == ranker.recommend(baskets, TEST, keys, 4)[1].tobytes()
    )
    plain = tmp_path / "plain"
    plain.mkdir()
    frequency = replace(ranker, model=None)
    frequency.save(plain)
    assert {path.name for path in plain.iterdir()} == {"about.json"}
    assert Ranker.load(plain) == frequency
    about = (tmp_path / "about.json").read_text()
    (tmp_path / "about.json").write_text(about.replace("decayed_7d", "decayed_8d"))
    with pytest.raises(DataError, match="other features"):
        Ranker.load(tmp_path)
