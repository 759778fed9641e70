"""The reasons for a training: a champion of no use, other settings, new labels, drift, outcomes not foretold."""

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.behaviour import FEATURES
from expectations.errors import DataError, SetupError
from expectations.segments import SCORES
from ml.cohorts import load_inputs
from ml.drift import read_reference, stability_indices
from ml.home import HomePath, partition_days, partition_folder
from ml.realised import came_true
from ml.registry import MODEL_NAME
from ml.saved import About, read_about, require_features
from ml.settings import DueSettings, ModelSettings, load_due_settings, load_model_settings

HORIZON_DAYS = 30
"""Window of the probabilities and of the spend that are held against outcomes."""

DEVIATIONS = 1.96
DRIFT_WAITS = 0.25
"""Share of the days after which new labels call for a training that have to pass before drift may."""
LEAST_ROWS = 500
"""Fewer customers are not judged: chance alone moves the stability index and totals."""


@dataclass(frozen=True)
class Finding:
    """``name``: champion, settings, labels, drift or outcomes; ``why``: a sentence with the numbers."""

    name: str
    is_due: bool
    why: str


def findings(day: date, version: int | None, home: HomePath = None) -> list[Finding]:
    """What speaks for and against a training as of ``day``; ``version``: the champion's."""
    if version is None:
        return [Finding("labels", True, f"{MODEL_NAME} has no champion")]
    from ml.predict import saved_folder

    settings, label = load_due_settings(home), f"{MODEL_NAME}/{version}"
    try:
        folder = saved_folder(MODEL_NAME, version, home)
        about = read_about(folder, label)
        require_features(about, label)
    except (DataError, SetupError) as error:
        return [Finding("champion", True, f"it can score no more: {error}")]
    reference = read_reference(folder)
    cutoff = max(date.fromisoformat(about.cutoff), last_trained(home) or date.min)
    return [
        changed_settings(about, version, home),
        new_labels(day, about, settings, cutoff),
        drifted_features(day, about, reference, settings, cutoff, home),
        outcomes(day, version, settings, cutoff + timedelta(days=about.horizons.judged_days), home),
    ]


def changed_settings(about: About, version: int, home: HomePath = None) -> Finding:
    """Whether the shop asks for other horizons or customers than the champion was trained for.

    A later version that was trained for them calls for no other: it waits for a person, or a person went back from it.
    """
    ours = load_model_settings(home)
    differing = [
        f"{name}: {theirs}, the settings say {wanted}"
        for name, theirs, wanted in (
            ("horizons", about.horizons, ours.horizons),
            ("population", about.population, ours.population),
        )
        if theirs != wanted
    ]
    if not differing:
        return Finding("settings", False, "horizons and population are those of the settings")
    later = trained_for(ours, version, home)
    if later:
        label = f"{MODEL_NAME}/{later}"
        differing.append(f"{label} was trained for these: to promote it `python -m ml promote {label}`")
    return Finding("settings", not later, "; ".join(differing))


def trained_for(settings: ModelSettings, since: int, home: HomePath = None) -> int | None:
    """The newest version after ``since`` that was trained for these horizons and customers; None if there is none."""
    from ml.plan import asked_for

    wanted = {name: str(value) for name, value in asked_for(settings).items()}
    found = [
        int(run.data.tags["lifestage.model_version"].rpartition("/")[2])
        for run in trainings(home)
        if "lifestage.model_version" in run.data.tags and wanted.items() <= run.data.params.items()
    ]
    return max((version for version in found if version > since), default=None)


def trainings(home: HomePath = None) -> list:
    """The run of every finished training, the newest of each cutoff."""
    from ml.plan import KIND
    from ml.tracking import runs_of

    return list(runs_of({"lifestage.kind": KIND}, home).values())


def last_trained(home: HomePath = None) -> date | None:
    """The newest cutoff of a finished training, whatever became of its models; None if the store has none."""
    cutoffs = [run.data.tags["lifestage.cutoff"] for run in trainings(home)]
    return max(map(date.fromisoformat, cutoffs), default=None)


def new_labels(day: date, about: About, settings: DueSettings, cutoff: date) -> Finding:
    """Whether enough days of labels have matured since those that the champion, or a later challenger, was tested on.

    ``cutoff``: the newest training's. Counted from the champion's alone, a challenger that was not promoted would call
    for the next on the day after, and one of many would win by luck.
    """
    days = matured_since(cutoff, day, about)
    why = (
        f"{days} days of labels have matured since the newest training's cutoff {cutoff}; "
        f"{settings.after_days} call for a training"
    )
    return Finding("labels", days >= settings.after_days, why)


def matured_since(cutoff: date, day: date, about: About) -> int:
    """Days of labels that are known at the end of ``day`` and lie after those of ``cutoff``."""
    return max((day - timedelta(days=about.horizons.judged_days) - cutoff).days, 0)


def drifted_features(
    day: date, about: About, reference: dict, settings: DueSettings, cutoff: date, home: HomePath = None
) -> Finding:
    """Whether too many features of the newest snapshot lie apart from those of the champion's cutoff.

    ``cutoff``: the newest training's. What has drifted stays so until a challenger is promoted: with a training a day
    one of many would win by luck, so that a part of the labels that call for one by themselves must be new.
    """
    snapshots = [snapshot for snapshot in partition_days(FEATURES, home) if snapshot <= day]
    if not snapshots:
        return Finding("drift", False, "there is no snapshot of features to compare")
    inputs = load_inputs(snapshots[-1], home, about.population)
    if len(inputs) < LEAST_ROWS:
        few = f"{len(inputs):,} customers as of {snapshots[-1]} are too few to tell drift from chance"
        return Finding("drift", False, few)
    found = stability_indices(reference, inputs.features)
    above = {name: value for name, value in found.items() if value > settings.max_psi}
    worst = ", ".join(f"{name} {value:.2f}" for name, value in list(found.items())[:3])
    why = (
        f"{len(above)} of {len(found)} features have drifted beyond {settings.max_psi:g} from {about.cutoff} to "
        f"{snapshots[-1]}, most of all {worst}; {settings.max_drifted_share:.0%} may"
    )
    has_drifted, days = len(above) > settings.max_drifted_share * len(found), matured_since(cutoff, day, about)
    least = math.ceil(settings.after_days * DRIFT_WAITS)
    if has_drifted and days < least:
        why += f"; {days} days of labels are new since the newest training, a training for drift takes {least}"
    return Finding("drift", has_drifted and days >= least, why)


def outcomes(day: date, version: int, settings: DueSettings, seen: date, home: HomePath = None) -> Finding:
    """Whether buyers or spend after the champion's scores left the interval of their total, in the newest window known.

    One window: those of neighbouring days have 29 of 30 days in common, and a bad week would count in each of them.
    ``seen``: outcomes up to then were known to the newest training; a window that begins before calls for no other.
    """
    last = day - timedelta(days=HORIZON_DAYS)
    newest = [one for one in partition_days(SCORES, home) if 0 <= (last - one).days < HORIZON_DAYS]
    judged = (told for one in reversed(newest) if (told := judged_day(one, version, settings, home)))
    if (latest := next(judged, None)) is None:
        return Finding("outcomes", False, f"no day the champion scored has matured in the last {HORIZON_DAYS} days")
    why = f"{' and '.join(latest.misses) or 'no total'} left the interval in the {HORIZON_DAYS} days after {latest.day}"
    known = f"; the newest training knew outcomes up to {seen}" if latest.misses and latest.day < seen else ""
    return Finding("outcomes", bool(latest.misses) and not known, f"{why}: {latest.text}{known}")


@dataclass(frozen=True)
class Judged:
    """Totals of one scored day beside what came. ``misses``: which of buyers and spend left their interval."""

    day: date
    misses: tuple[str, ...]
    text: str


def judged_day(day: date, version: int, settings: DueSettings, home: HomePath = None) -> Judged | None:
    """None if another version scored the day, or too few customers were scored."""
    scores = _scores(day, home)
    if scores is None or len(scores) < LEAST_ROWS or set(scores["model_version"]) != {version}:
        return None
    bought, spend = came_true(day, HORIZON_DAYS, scores["customer_key"], home)
    chance, expected = scores["purchase_probability_30d"].to_numpy(), scores["expected_spend_30d"].to_numpy()
    kinds = {
        "buyers": (bought.sum(), chance.sum(), np.sqrt((chance * (1 - chance)).sum())),
        # Customers' own errors, as they turned out, say how far a sum of them strays.
        "spend": (spend.sum(), expected.sum(), np.sqrt(((spend - expected) ** 2).sum())),
    }
    misses, told = [], []
    for name, (came, said, deviation) in kinds.items():
        reach = DEVIATIONS * deviation + settings.total_tolerance * said
        misses += [name] * bool(abs(came - said) > reach)
        told.append(f"{name} {came:,.0f}, foretold {max(said - reach, 0):,.0f} … {said + reach:,.0f}")
    return Judged(day, tuple(misses), "; ".join(told))


def _scores(day: date, home: HomePath) -> pd.DataFrame | None:
    """Rows of the eligible customers of a day; None if it was scored under an earlier contract."""
    columns = ["customer_key", "is_eligible", "purchase_probability_30d", "expected_spend_30d", "model_version"]
    files = sorted(partition_folder(SCORES, day, home).glob("*.parquet"))
    if any(set(columns) - set(pq.read_schema(file).names) for file in files):
        return None
    rows = pa.concat_tables([pq.read_table(file, columns=columns, partitioning=None) for file in files]).to_pandas()
    return rows[rows["is_eligible"]]
