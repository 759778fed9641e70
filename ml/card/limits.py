"""What a reader must know before trusting a number: sentences that follow from facts, none of them fixed."""

from collections.abc import Iterator

import numpy as np

from expectations.behaviour import FEATURE_NAMES
from ml.cohorts import Parts
from ml.drift import Reference
from ml.examples import STRATA, Examples
from ml.feature_report import DRIFT_ABOVE
from ml.forecast import Forecast
from ml.lifetime import CLV_DAYS, Lifetime
from ml.protocols import Protocol
from ml.reasons.words import PHRASES, parts_of
from ml.scoring_rules import calibration_error, honest_calibration_errors
from ml.spend_rules import total_bias

SMALL_ROWS = 200
"""A stratum of fewer test customers: its numbers may be chance."""
LARGE_BIAS = 0.05
"""Share of the total by which expected spend may be wrong without a word."""
RESAMPLES = 300


def limits(
    parts: Parts,
    forecast: Forecast,
    protocol: Protocol,
    is_simulated: bool,
    seed: int = 0,
    lifetime: Lifetime | None = None,
) -> list[str]:
    """Sentences; ``forecast`` is of the last test part, ``lifetime`` what carries it on to a year."""
    test = parts.tests[-1]
    return [
        *_of_data(parts, protocol, is_simulated),
        *_of_horizons(parts),
        *_of_lifetime(lifetime),
        *_of_calibration(test, forecast, seed),
        *_of_spend(test, forecast),
        *_of_strata(test),
        *_of_drift(parts),
    ]


def _of_data(parts: Parts, protocol: Protocol, is_simulated: bool) -> Iterator[str]:
    if is_simulated:
        yield "The data are simulated: no number here says how well the model does for real customers."
    least, silent = protocol.population.min_purchase_days, protocol.population.max_silent_days
    if least:
        yield (
            f"It was fitted on customers with at least {least} day{'s' * (least != 1)} with a purchase; "
            "for others it guesses."
        )
    if silent:
        yield f"It was fitted on customers who had bought in the last {silent} days; for others it guesses."
    if protocol.by_customer:
        yield "Judged on other customers of the same days it learned from: easier than foretelling."
    if missing := _silent_families(parts.train.inputs.features):
        yield f"The data tell nothing, or always the same, of: {', '.join(missing)}."
    first, last = parts.train.inputs.cutoffs.min(), parts.tests[-1].inputs.cutoffs.max()
    days = int((last - first) / np.timedelta64(1, "D"))
    if days < 365:
        yield (
            f"Training and test lie within {days} days: what comes round once a year (holidays, seasons) was seen "
            "at most once."
        )


def _silent_families(features: np.ndarray) -> list[str]:
    """Families of which no feature varies over the training rows."""
    known: dict[str, bool] = {}
    for name, column in zip(FEATURE_NAMES, features.T, strict=True):
        values = column[~np.isnan(column)]
        family = PHRASES[parts_of(name)[0]].family
        known[family] = known.get(family, False) or bool(len(values) and np.ptp(values) > 0)
    return [family for family, varies in known.items() if not varies]


def _of_horizons(parts: Parts) -> Iterator[str]:
    horizons, train, test = parts.train.horizons, parts.train, parts.tests[-1]
    risked = train.at_risk().sum(axis=0)
    if unseen := [end for end, rows in zip(horizons.edges_days, risked, strict=True) if not rows]:
        yield (
            f"Purchases beyond {max((e for e in horizons.edges_days if e not in unseen), default=0)} days are "
            "extrapolated: no training window reached so far."
        )
    for days in horizons.spend_days:
        if not np.isfinite(train.spend_within(days)).any():
            yield f"Spend within {days} days is extrapolated: no training window of that length has matured."
    if untested := [days for days in horizons.edges_days if not test.matured(days).any()]:
        yield f"Not tested, since the days after the cutoff are not known yet: {', '.join(map(str, untested))} days."


def _of_lifetime(lifetime: Lifetime | None) -> Iterator[str]:
    if lifetime and lifetime.is_extrapolated:
        yield (
            f"Lifetime value over {CLV_DAYS} days is extrapolated: no customer's spend had been seen for longer than "
            f"{lifetime.known_days} days when it was learned."
        )


def _of_calibration(test: Examples, forecast: Forecast, seed: int) -> Iterator[str]:
    days = test.horizons.churn_days
    known = test.matured(days)
    if not known.any():
        return
    label, said = test.is_buyer(days)[known], forecast.probability(days)[known]
    error, (_, usual, high) = calibration_error(label, said), perfect_errors(said, seed)
    if error > high:
        yield (
            f"Probabilities of a purchase within {days} days are off by {error:.3f} on average; a perfectly calibrated "
            f"model of this size would show {usual:.3f}, at most {high:.3f}. In total they are too "
            f"{'low' if label.mean() > said.mean() else 'high'}: {said.mean():.1%} said, {label.mean():.1%} bought."
        )


def _of_spend(test: Examples, forecast: Forecast) -> Iterator[str]:
    for days in test.horizons.spend_days:
        known = np.isfinite(test.spend_within(days))
        if (
            not known.any()
            or (bias := total_bias(test.spend_within(days)[known], forecast.expected_spend(days)[known])) != bias
        ):
            continue
        if abs(bias) > LARGE_BIAS:
            way = "high" if bias > 0 else "low"
            yield f"Total spend within {days} days was expected {abs(bias):.0%} too {way} at the test cutoff."


def perfect_errors(said: np.ndarray, seed: int) -> tuple[float, float, float]:
    """(low, mean, high): 95 % interval and mean of the calibration error if the predictions were right."""
    uniform = np.random.default_rng(seed).random((len(said), RESAMPLES), dtype=np.float32)
    errors = honest_calibration_errors(said, uniform)
    low, high = np.percentile(errors, [2.5, 97.5])
    return float(low), float(errors.mean()), float(high)


def _of_strata(test: Examples) -> Iterator[str]:
    counts = {stratum: int((test.inputs.stratum == stratum).sum()) for stratum in STRATA}
    if small := [f"{stratum} ({rows:,})" for stratum, rows in counts.items() if rows < SMALL_ROWS]:
        yield f"Too few test customers to say how good it is for: {', '.join(small)}."


def _of_drift(parts: Parts) -> Iterator[str]:
    train, test = parts.train.inputs.features, parts.tests[-1].inputs.features
    indices = {
        name: Reference.of(before).stability_index(after)
        for name, before, after in zip(FEATURE_NAMES, train.T, test.T, strict=True)
    }
    shifted = sorted((name for name, index in indices.items() if index > DRIFT_ABOVE), key=lambda n: -indices[n])
    if shifted:
        shown = ", ".join(f"{name} ({indices[name]:.2f})" for name in shifted[:5])
        yield (
            f"{len(shifted)} of {len(indices)} features had shifted by the test cutoff (population stability index "
            f"above {DRIFT_ABOVE}): {shown}{' …' if len(shifted) > 5 else ''}."
        )
