"""Pictures: every one is there, shows something, and shows what is so."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from expectations.errors import DataError
from ml.plots import write_plots
from ml.plots.embedding import project
from ml.plots.purchase import confusion_counts, perfect_shares
from ml.plots.style import equal_bins
from ml.plots.timing import kaplan_meier
from tests.ml.told_rows import HORIZONS, told_examples, true_forecast

ALWAYS = {
    "calibration.png", "confusion_matrix.png", "roc.png", "precision_recall.png", "lift_and_gain.png",
    "hazard_curve.png", "spend_by_decile.png", "spend_residuals.png", "spend_intervals.png", "embedding_map.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")
    examples = told_examples(400, 60)
    forecast = true_forecast(examples.inputs, embedding=8)
    blind = replace(forecast, hazard=np.full_like(forecast.hazard, 0.3))
    files = write_plots(
        folder, "pets (simulated): gru", examples, {"gru": forecast, "recency_rule": blind}, HORIZONS, threshold=0.5
    )
    return folder, files


def test_every_picture_is_there_and_small(drawn):
    folder, files = drawn
    assert set(files) == ALWAYS == {file.name for file in folder.iterdir()}
    assert all((folder / name).stat().st_size < 100_000 for name in files)


def test_no_picture_is_blank(drawn):
    folder, files = drawn
    for name in files:
        pixels = np.asarray(Image.open(folder / name).convert("L"), dtype=float)
        assert pixels.shape[0] > 400, name
        assert pixels.std() > 10, name
        # Something stands in every quarter of the picture, not in a corner alone.
        halves = [half for part in np.array_split(pixels, 2) for half in np.array_split(part, 2, axis=1)]
        assert all(half.std() > 3 for half in halves), name


def test_the_map_is_the_same_twice():
    embedding = np.random.default_rng(0).normal(size=(60, 5))
    assert np.array_equal(project(embedding, 1), project(embedding, 1))
    # A direction without spread is no direction.
    assert np.isfinite(project(np.hstack([embedding, np.ones((60, 1))]), 1)).all()


def test_what_cannot_be_drawn_is_left_out(tmp_path):
    examples = told_examples(200, 0)
    nobody = replace(examples, days_to_purchase=np.full(200, np.inf), spend=np.zeros((200, 1)))
    files = write_plots(tmp_path, "t", nobody, {"gru": true_forecast(nobody.inputs)}, HORIZONS)
    # No buyers: no ranking to draw. No money, no embedding, no threshold: none of theirs.
    assert files == ["calibration.png", "hazard_curve.png"]


def test_a_window_that_has_not_matured_is_told(tmp_path):
    young = replace(told_examples(50, 5), observed_days=np.full(50, 20))
    with pytest.raises(DataError, match="30 days"):
        write_plots(tmp_path, "t", young, {"gru": true_forecast(young.inputs)}, HORIZONS)


def test_survival_is_the_product_over_days():
    # Six customers: events on day 1, 2, 2; one censored after day 1, two after day 3. By hand:
    # day 1: 1 of 6; day 2: 2 of 4 (the censored one left after day 1); day 3: none of 2.
    days = np.array([1, 2, 2, np.inf, np.inf, np.inf])
    observed = np.array([3, 3, 3, 1, 3, 3])
    survival, error = kaplan_meier(days, observed, 3)
    assert survival == pytest.approx([1, 5 / 6, 5 / 6 * 1 / 2, 5 / 6 * 1 / 2])
    # Greenwood: S² Σ d / (n (n - d)).
    assert error[2] == pytest.approx(5 / 12 * np.sqrt(1 / (6 * 5) + 2 / (4 * 2)))


def test_survival_of_uncensored_customers_is_the_share_left():
    days = np.random.default_rng(0).integers(1, 90, 500).astype(float)
    survival, _ = kaplan_meier(days, np.full(500, 90), 90)
    assert survival == pytest.approx([(days > day).mean() for day in range(91)])


def test_confusion_counts_by_hand():
    # bought at .9 and .2, did not at .6 and .1; threshold .6 counts .6 itself as yes.
    counts = confusion_counts(np.array([1.0, 1, 0, 0]), np.array([0.9, 0.2, 0.6, 0.1]), 0.6)
    assert counts.tolist() == [[1, 1], [1, 1]]


def test_the_band_holds_what_a_right_model_shows():
    """Of many samples whose labels come true as predicted, 95 % of the bins lie in the band."""
    rng = np.random.default_rng(1)
    probability = rng.beta(1, 2, 2000)
    bins = equal_bins(probability)
    low, high = np.percentile(perfect_shares(probability, bins, 0), [2.5, 97.5], axis=0)
    inside = []
    for _ in range(200):
        label = rng.random(2000) < probability
        seen = np.array([label[rows].mean() for rows in bins])
        inside.append((seen >= low) & (seen <= high))
    assert 0.93 < np.mean(inside) < 0.985
