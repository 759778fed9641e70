"""Every model fitted, one after the other, and asked of validation and of every test cutoff."""

import logging
import time
from dataclasses import dataclass, field, replace

import numpy as np

from ml.calibrate import Calibrated, calibration
from ml.cohorts import Parts
from ml.examples import Examples
from ml.forecast import Forecast
from ml.protocols import Protocol

log = logging.getLogger(__name__)

FOLDS = 5
"""Of customers, where a protocol learns from others of the same cutoff."""

SEEDS = {"quick": 1, "full": 5}
"""Fits of a network by budget: its outcome depends on where it starts."""


@dataclass(frozen=True)
class Answers:
    """What one model, fitted once, says.

    valid, tests     forecasts for the rows of the validation part and, as ``foretold``, of each test part
    fit_seconds      with its search of settings and its calibration
    predict_seconds  of all tests together, with their calibrations
    """

    model: str
    seed: int
    valid: Forecast
    tests: tuple[Forecast, ...]
    fit_seconds: float
    predict_seconds: float
    params: dict[str, object]


@dataclass
class Asked:
    """What came of every model. ``left_out``: whom these data cannot teach; ``failed``: whose code broke; each why."""

    answers: list[Answers] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """Parts as models meet them, and the fold of each row: a model of one fold decides for the test rows of that fold.

    splits       one a fold: what is fitted on, and the rows of the whole validation and test parts that it answers
    valid, test  fold that answers each row of the validation part, and of each test part
    """

    parts: Parts
    splits: tuple[Parts, ...]
    valid: np.ndarray
    tests: tuple[np.ndarray, ...]


def stage(protocol: Protocol, parts: Parts) -> Stage:
    """One fold by time; FOLDS where customers are split: each is tested by a fold, which validates on the next."""
    if not protocol.by_customer:
        rows = tuple(np.zeros(len(test), dtype=np.int64) for test in parts.tests)
        return Stage(parts, (parts,), np.zeros(len(parts.valid), dtype=np.int64), rows)
    from ml.cohorts import customer_folds

    train = customer_folds(parts.train.inputs.customer_keys, FOLDS)
    # Whose fold is n validates for the fold before it.
    valid = (customer_folds(parts.valid.inputs.customer_keys, FOLDS) - 1) % FOLDS
    tests = tuple(customer_folds(test.inputs.customer_keys, FOLDS) for test in parts.tests)
    splits = tuple(
        Parts(
            parts.train.rows((train != fold) & (train != (fold + 1) % FOLDS)),
            parts.valid.rows(valid == fold),
            tuple(test.rows(folds == fold) for test, folds in zip(parts.tests, tests, strict=True)),
        )
        for fold in range(FOLDS)
    )
    return Stage(parts, splits, valid, tests)


def ask(name: str, seed: int, budget: str, scene: Stage) -> Answers:
    """Fits the model on every fold and stitches what it says."""
    fit_seconds = predict_seconds = 0.0
    cpu = time.process_time()
    valid, tests, params = [], [[] for _ in scene.tests], {}
    for fold, split in enumerate(scene.splits):
        model, started = fresh(name, seed, budget), time.monotonic()
        model.fit(split.train, split.valid)
        fit_seconds += time.monotonic() - started
        valid.append(model.predict(split.valid.inputs))
        started = time.monotonic()
        for told, forecast in zip(tests, foretold(model, split.tests), strict=True):
            told.append(forecast)
        predict_seconds += time.monotonic() - started
        params = model.params() if fold == 0 else params
    stitched = tuple(_stitched(told, folds) for told, folds in zip(tests, scene.tests, strict=True))
    times = (fit_seconds, predict_seconds, time.process_time() - cpu)
    log.info("%-20s seed %d  fitted in %6.1f s, asked in %5.1f s; %6.1f s of CPU", name, seed, *times)
    return Answers(name, seed, _stitched(valid, scene.valid), stitched, fit_seconds, predict_seconds, params)


def foretold(model: Calibrated, tests: tuple[Examples, ...]) -> list[Forecast]:
    """Forecasts of the test parts, each calibrated on the newest cutoff whose window had matured by its own: validation
    or an earlier test, with labels as they were known by then. Nothing else of the model changes.
    """
    plain, told = [model.model.predict(test.inputs) for test in tests], []
    for n, test in enumerate(tests):
        ages = [_days_between(earlier, test) for earlier in tests[:n]]
        matured = [m for m, age in enumerate(ages) if age >= test.horizons.judged_days]
        found = model.calibration
        if matured:
            newest = matured[-1]
            found = calibration(plain[newest], tests[newest].known_for(ages[newest]), found)
        told.append(found(plain[n]))
    return told


def _days_between(earlier: Examples, later: Examples) -> int:
    return (later.inputs.cutoffs[0] - earlier.inputs.cutoffs[0]).astype("timedelta64[D]").astype(int).item()


def fresh(name: str, seed: int, budget: str) -> Calibrated:
    """An unfitted model, which will be calibrated on the part after the one it is trained on."""
    from ml.models import make

    return Calibrated(make(name, seed, budget))


def seeds_of(name: str, budget: str) -> range:
    """Networks are fitted as often as SEEDS says, others once."""
    from ml.models import kind

    return range(SEEDS[budget] if kind(name).uses_sequences else 1)


def _stitched(told: list[Forecast], folds: np.ndarray) -> Forecast:
    """Forecasts of folds, put in the order of the whole. Embeddings of different fits have nothing in common."""
    if len(told) == 1:
        return told[0]
    place = np.argsort(np.argsort(folds, kind="stable"), kind="stable")
    whole = replace(
        told[0],
        hazard=np.concatenate([one.hazard for one in told]),
        spend_if_purchase=np.concatenate([one.spend_if_purchase for one in told]),
        spend_sigma=np.concatenate([one.spend_sigma for one in told]),
        embedding=None,
    )
    return whole.rows(place)
