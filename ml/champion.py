"""The champion asked for what the challenger was asked: its forecast of the same customers, and the verdict on both."""

import logging

from expectations.errors import DataError, SetupError
from ml.cohorts import Parts
from ml.examples import Examples
from ml.forecast import Forecast
from ml.home import HomePath
from ml.promotion import Verdict, judge, out_of_bounds, unjudged
from ml.protocols import Protocol
from ml.registry import MODEL_NAME, champion
from ml.settings import PromotionSettings

log = logging.getLogger(__name__)


def verdict_of(
    parts: Parts,
    challenger: Forecast,
    protocol: Protocol,
    settings: PromotionSettings,
    seed: int,
    home: HomePath = None,
) -> Verdict:
    """Whether the forecast ``challenger`` of the test part is better than the champion's, which is calibrated on the
    validation part as it is in scoring: a challenger wins nothing by a newer calibration.

    Without a champion, or with one that can no longer score today's features, or looks at other horizons or customers
    than the ``protocol`` of the training, the challenger takes its place whatever the bounds say: they are told.
    """
    version, test, cutoff = champion(home), parts.tests[-1], str(protocol.tests[-1])
    if version is None:
        return _unopposed(test, challenger, settings, seed, "the first version ever: nothing to compare it with")
    from ml.predict import load_predictor
    from ml.recalibrate import renewed, validated_on

    try:
        predictor = load_predictor(MODEL_NAME, version, home)
    except (DataError, SetupError) as error:  # not where something did not answer: a retry may find it well
        return _unopposed(test, challenger, settings, seed, f"champion {MODEL_NAME}/{version} scores no more: {error}")
    for what, other in (("horizons", "other horizons"), ("population", "another population")):
        if (theirs := getattr(predictor.about, what)) != getattr(protocol, what):
            why = f"champion {predictor.label} looks at {other}: {theirs}"
            return _unopposed(test, challenger, settings, seed, why)
    if predictor.about.cutoff > cutoff:
        known = f"it was trained as of {predictor.about.cutoff} and has learned what followed {cutoff}"
        return Verdict((f"champion {predictor.label} cannot be judged here: {known}",))
    try:
        if str(validated_on(predictor.about)) < str(parts.valid.inputs.cutoffs[0]):
            predictor = renewed(predictor, parts.valid)
        theirs = predictor.forecast(test.inputs)
    except DataError as error:
        return Verdict((f"champion {predictor.label} cannot be asked: {error}",))
    return judge(test, challenger, theirs, settings, seed)


def _unopposed(test: Examples, challenger: Forecast, settings: PromotionSettings, seed: int, why: str) -> Verdict:
    wrong, metrics = out_of_bounds(test, challenger, settings, seed)
    told = "; ".join([why, *(f"beyond its bound: {reason}" for reason in wrong)])
    return Verdict((), metrics, told + unjudged(test))
