"""Promotion: a planted better, worse and equal challenger, and one that is better in sum yet beyond a bound."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from expectations.errors import DataError, SetupError, UnavailableError
from ml.calibrate import Calibrated, Calibration, Curve
from ml.champion import verdict_of
from ml.cohorts import Parts
from ml.examples import LIFE_NAMES, Examples, Inputs
from ml.forecast import Forecast
from ml.horizons import Horizons
from ml.judging import measure
from ml.predict import Predictor
from ml.promotion import judge, out_of_bounds, paired_gain
from ml.protocols import Population, Protocol
from ml.saved import About
from ml.scoring_rules import auc, brier
from ml.settings import PromotionSettings

HORIZONS = Horizons((30,), 30, (30,))
EVERY_BUYER = Population()
ROWS = 3000
SETTINGS = PromotionSettings()


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.random.default_rng(0).beta(1, 1.5, ROWS)


@pytest.fixture(scope="module")
def came(truth) -> Examples:
    """Buyers drawn with their true probability; spend of 20 in the mean. Three strata of a thousand customers each."""
    rng = np.random.default_rng(1)
    bought = rng.random(ROWS) < truth
    life = {name: np.ones(ROWS) for name in LIFE_NAMES}
    life["tenure_days"] = np.where(np.arange(ROWS) % 3 == 0, 10.0, 100.0)
    life["frequency_days"] = np.where(np.arange(ROWS) % 3 == 1, 1.0, 5.0)
    keys = np.array([f"{n:05}" for n in range(ROWS)])
    inputs = Inputs(None, keys, np.full(ROWS, np.datetime64("2020-05-01")), np.zeros((ROWS, 1)), life)
    spend = (bought * rng.lognormal(np.log(20) - 0.125, 0.5, ROWS))[:, None]
    return Examples(HORIZONS, inputs, np.where(bought, 9.0, np.inf), np.full(ROWS, 30), spend)


def forecast(probability: np.ndarray, spend: float = 20.0) -> Forecast:
    ones = np.ones((ROWS, 1))
    return Forecast(HORIZONS, probability[:, None], spend * ones, 0.5 * ones)


def noisy(truth: np.ndarray, deviation: float) -> np.ndarray:
    """Calibrated in the large, less well ordered: towards the mean, with noise."""
    logit = np.log(truth / (1 - truth)) + np.random.default_rng(2).normal(0, deviation, ROWS)
    return np.clip(1 / (1 + np.exp(-logit / (1 + deviation))), 1e-4, 1 - 1e-4)


def test_the_better_challenger_is_promoted(truth, came):
    verdict = judge(came, forecast(truth), forecast(noisy(truth, 1.0)), SETTINGS)
    assert verdict.is_promotion, verdict.reasons
    assert verdict.metrics["brier_gain_low"] > 0
    assert {f"brier_gain_{stratum}" for stratum in ("new", "one_purchase", "repeat")} <= verdict.metrics.keys()


def test_the_worse_and_the_equal_are_not(truth, came):
    worse = judge(came, forecast(noisy(truth, 1.0)), forecast(truth), SETTINGS)
    assert worse.reasons[0].startswith("no gain in brier is shown: −0.0")
    equal = judge(came, forecast(truth), forecast(truth), SETTINGS)
    assert equal.reasons == ("no gain in brier is shown: +0.00000 [+0.00000, +0.00000]",)


def test_the_paired_gain_is_the_difference_of_the_rules(truth, came):
    ours, theirs, bought = truth, noisy(truth, 1.0), came.is_buyer(30)
    for metric, difference in (
        ("brier", brier(bought, theirs) - brier(bought, ours)),  # less is better
        ("auc", auc(bought, ours) - auc(bought, theirs)),
    ):
        gain = paired_gain(metric, came, forecast(ours), forecast(theirs))
        assert gain.value == pytest.approx(difference, abs=1e-12)
        assert 0 < gain.low < gain.value < gain.high
        back = paired_gain(metric, came, forecast(theirs), forecast(ours))
        assert (back.value, back.low, back.high) == pytest.approx((-gain.value, -gain.high, -gain.low))


def test_recalibration_alone_promotes_by_brier_and_not_by_auc(truth, came):
    # The champion's order is as good as ever, its probabilities have gone stale.
    stale = 1 / (1 + np.exp(-(np.log(truth / (1 - truth)) + 1.0)))
    assert judge(came, forecast(truth), forecast(stale), SETTINGS).is_promotion
    by_auc = judge(came, forecast(truth), forecast(stale), PromotionSettings(deciding_metric="auc"))
    assert by_auc.reasons == ("no gain in auc is shown: +0.00000 [+0.00000, +0.00000]",)


def test_a_better_order_does_not_excuse_wrong_probabilities_or_totals(truth, came):
    champion = forecast(np.full(ROWS, 0.4))
    bold = np.clip(truth * 1.3, 0, 0.999)  # a third too many buyers
    reasons = " ".join(judge(came, forecast(bold), champion, SETTINGS).reasons)
    assert "calibration error" in reasons
    assert "total buyers within 30 days foretold +" in reasons
    reasons = judge(came, forecast(truth, spend=30.0), champion, SETTINGS).reasons
    (only,) = reasons
    assert only.startswith("total spend within 30 days foretold +")


def test_the_champions_own_totals_stand_beside_and_excuse_nothing(truth, came):
    # Both foretell too little spend, as before a season that neither knows.
    verdict = judge(came, forecast(truth, spend=14.0), forecast(noisy(truth, 1.0), spend=12.0), SETTINGS)
    paid = came.spend_within(30).sum()
    ours, theirs = 14 * truth.sum() / paid - 1, 12 * noisy(truth, 1.0).sum() / paid - 1
    (reason,) = verdict.reasons
    assert reason == f"total spend within 30 days foretold {ours:+.1%} off (the champion: {theirs:+.1%}), at most ±15%"
    assert verdict.metrics["champion_total_bias_30d"] == pytest.approx(theirs)
    assert verdict.metrics["total_bias_30d"] == pytest.approx(ours)


def test_a_stratum_that_loses_stops_the_promotion(truth, came):
    # Better for old customers, worse for new ones: better in sum.
    ours = np.where(came.inputs.stratum == "new", noisy(truth, 1.0), truth)
    theirs = np.where(came.inputs.stratum == "new", truth, noisy(truth, 1.5))
    wide = replace(SETTINGS, max_calibration_excess=1.0)
    (reason,) = judge(came, forecast(ours), forecast(theirs), wide).reasons
    assert reason.startswith("customers of stratum new: loss of 0.0")
    few = replace(wide, min_stratum_rows=ROWS)
    assert judge(came, forecast(ours), forecast(theirs), few).is_promotion


def test_bounds_of_a_calibrated_model_hold(truth, came):
    wrong, found = out_of_bounds(came, forecast(truth), SETTINGS)
    assert wrong == []
    assert abs(found["calibration_excess_30d"]) < 0.01
    assert abs(found["total_bias_30d"]) < 0.05


LONG = Horizons((30, 60, 90), 30, (30, 90))


def grown(came: Examples, known_days: int) -> Examples:
    """The same customers looked at for longer, who bought within 30 days or never, and spent as much by day 90."""
    spend = np.column_stack([came.spend[:, 0], came.spend[:, 0] if known_days >= 90 else np.full(ROWS, np.nan)])
    return replace(came, horizons=LONG, observed_days=np.full(ROWS, known_days), spend=spend)


def later(probability: np.ndarray, hazard: float, dearer: float = 1.0) -> Forecast:
    """After day 30 everybody who has not bought does so with ``hazard`` an interval."""
    hazards = np.column_stack([probability, np.full((ROWS, 2), hazard)])
    # As much spend in 90 days as in 30, times so much, whatever the hazards in between.
    bought = 1 - np.prod(1 - hazards, axis=1)
    spend = np.column_stack([np.full(ROWS, 20.0), dearer * 20 * probability / bought])
    return Forecast(LONG, hazards, spend, np.full((ROWS, 2), 0.5))


def test_every_window_that_has_matured_is_judged_and_the_others_are_named(truth, came):
    right, champion = later(truth, 1e-6), later(noisy(truth, 1.0), 1e-6)
    assert judge(grown(came, 90), right, champion, SETTINGS).is_promotion
    # Right about 30 days, wrong about what comes after: in buyers, in calibration, and worse than the champion.
    bold = judge(grown(came, 60), later(truth, 0.3), champion, SETTINGS)
    others = [reason.partition(":")[0] for reason in bold.reasons if not reason.startswith("total")]
    assert others == ["purchase within 60 days"] * 2
    assert any(reason.startswith("total buyers within 60 days foretold +") for reason in bold.reasons)
    assert bold.metrics["brier_gain_60d"] < 0 < bold.metrics["brier_gain"]
    assert bold.summary.endswith("; not judged, for they have not matured: windows of 90 days")
    # Where 60 days are not known nobody can object; it is told.
    young = judge(grown(came, 30), later(truth, 0.3), champion, SETTINGS)
    assert young.is_promotion
    assert young.summary.endswith("windows of 60, 90 days")
    (dear,) = judge(grown(came, 90), later(truth, 1e-6, dearer=1.5), champion, SETTINGS).reasons
    assert dear.startswith("total spend within 90 days foretold +")


def test_metrics_of_other_windows_are_kept_once_they_have_matured(truth, came):
    found = measure(grown(came, 60), later(truth, 0.3), 0.5)
    assert found["auc_60d"] == pytest.approx(auc(came.is_buyer(30), later(truth, 0.3).probability(60)))
    assert found["buyers_bias_60d"] > 0.15 > abs(found["buyers_bias"])
    assert not {name for name in found if name.endswith("90d")}
    assert {"normalised_gini_90d", "coverage_90_90d"} <= measure(grown(came, 90), later(truth, 0.3), 0.5).keys()


def test_the_deciding_metric_can_be_spend(truth, came):
    spend = PromotionSettings(deciding_metric="normalised_gini")
    assert judge(came, forecast(truth), forecast(noisy(truth, 1.5)), spend).is_promotion
    with pytest.raises(ValueError, match="deciding_metric must be brier, auc or normalised_gini, found 'profit'"):
        PromotionSettings(deciding_metric="profit")


class Told:
    """A model that says what it is told to."""

    def __init__(self, says: Forecast | Exception) -> None:
        self.says = says

    def predict(self, inputs: Inputs) -> Forecast:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def standing(
    says: Forecast | Exception,
    cutoff: str = "2020-05-01",
    horizons: Horizons = HORIZONS,
    population: Population = EVERY_BUYER,
) -> Predictor:
    """A champion of which nothing was calibrated."""
    model = Calibrated(Told(says)).under(Calibration((Curve(),), (1.0,), (1.0,)))
    return Predictor("lifestage_behaviour/3", model, About("gru", 0, cutoff, horizons, population))


@pytest.fixture
def against(monkeypatch, came, truth):
    """``against(champion)``: the verdict on the true probabilities; an exception: the champion cannot be loaded."""

    def judged(champion, challenger=None, version=3):
        def load(*_):
            if isinstance(champion, Exception):
                raise champion
            return champion

        monkeypatch.setattr("ml.champion.champion", lambda _: version)
        monkeypatch.setattr("ml.predict.load_predictor", load)
        earlier = replace(came.inputs, cutoffs=came.inputs.cutoffs - np.timedelta64(30, "D"))
        parts = Parts(came, replace(came, inputs=earlier), (came,))
        protocol = Protocol((), date(2020, 4, 1), (date(2020, 5, 1),), HORIZONS)
        return verdict_of(parts, challenger or forecast(truth), protocol, SETTINGS, 0)

    return judged


def test_the_first_version_ever_is_champion_whatever_its_bounds(against, truth):
    verdict = against(None, forecast(np.clip(truth * 1.3, 0, 0.999)), version=None)
    assert verdict.is_promotion
    assert "the first version ever" in verdict.summary
    assert "beyond its bound: total buyers within 30 days foretold +" in verdict.summary


def test_a_store_that_does_not_answer_promotes_nobody(against):
    with pytest.raises(UnavailableError, match="does not answer"):
        against(UnavailableError("MLflow's database does not answer"))


def test_a_champion_that_scores_no_more_gives_way(against, truth):
    for error in (SetupError("saved by an earlier version"), DataError("trained on other features")):
        verdict = against(error)
        assert verdict.is_promotion
        assert verdict.summary.startswith(f"champion lifestage_behaviour/3 scores no more: {error}")
    other = standing(None, horizons=Horizons((7, 14), 14, (14,)))
    assert "looks at other horizons" in against(other).summary
    # However good it is, it was taught on other customers than the settings ask for now.
    other = against(standing(forecast(truth), population=Population(min_purchase_days=2)), forecast(noisy(truth, 1.0)))
    assert other.is_promotion
    assert "looks at another population: Population(min_purchase_days=2, max_silent_days=None)" in other.summary


def test_a_champion_that_has_seen_the_window_or_cannot_be_asked_stays(against):
    (reason,) = against(standing(None, cutoff="2020-05-02")).reasons
    assert reason.endswith("it was trained as of 2020-05-02 and has learned what followed 2020-05-01")
    (reason,) = against(standing(DataError("lake/sequences is missing"))).reasons
    assert reason == "champion lifestage_behaviour/3 cannot be asked: lake/sequences is missing"


def test_a_champion_is_asked_for_the_same_customers(against, truth):
    assert against(standing(forecast(noisy(truth, 1.0)))).is_promotion
    (reason,) = against(standing(forecast(truth))).reasons
    assert reason.startswith("no gain in brier is shown: +0.00000 [")


def test_a_champion_whose_probabilities_went_stale_is_asked_as_it_serves(against, truth):
    # Scoring calibrates it anew on what has matured: by its calibration alone no challenger wins.
    stale = forecast(1 / (1 + np.exp(-(np.log(truth / (1 - truth)) + 1.0))))
    assert against(standing(stale, "2020-05-01")).is_promotion, "trained on these very cutoffs, it is as it is"
    (reason,) = against(standing(stale, "2020-04-30")).reasons
    assert reason.startswith("no gain in brier is shown: ")
