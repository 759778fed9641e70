"""The gate before every training: refuses features that know what comes after their cutoff.

Features that the jobs build do not: they are built from what had happened and arrived, which the jobs' tests prove to
the bit. What a source itself writes back into its past (a tier, a status, a corrected date) those cannot see. It shows
in how a feature ages. Each is held alone against purchases, by its AUC's distance from 1/2, one cutoff at a time:

past    an honest feature knows the window before its cutoff about as well as the one after, or better: it was made of
        the former. One that peeks knows the coming window far better.
fades   an honest feature knows a later window nearly as well as the next. What was counted some days too far does not.
certain nothing honest tells the coming window almost without error.

Where purchases are regular, as by subscription, honest features know one window and not another: what features of an
earlier cutoff foresee as well is no leak by the last two checks.

Not seen: a leak that no order of the feature's values shows, or of how much buyers will spend and nothing else.
"""

from dataclasses import dataclass

import numpy as np

from expectations.behaviour import FEATURE_NAMES
from expectations.errors import DataError
from ml.examples import Examples
from ml.leak_windows import Look, distances, foreseen, looks_of
from ml.scoring_rules import auc


@dataclass(frozen=True)
class Gate:
    """Distances are of an AUC from 1/2: 0 knows nothing, 0.5 everything.

    past_gap, fade_gap  how much better the coming window may be known than the past one, and than the one after it
    certain             from where on the coming window is known almost without error
    min_cases           customers of either outcome that a window needs, or it is not looked at
    max_rows            that are looked at, about: whole customers, drawn by chance
    sure                standard deviations, over resampled customers, that a gap must lie above its bound
    """

    past_gap: float = 0.08
    fade_gap: float = 0.1
    certain: float = 0.485
    min_cases: int = 30
    max_rows: int = 30_000
    sure: float = 3.0
    resamples: int = 100


@dataclass(frozen=True)
class Leak:
    """A feature that knows too much. ``coming`` and ``other``: distances for the coming window and its counterpart."""

    feature: str
    check: str
    days: int
    coming: float
    other: float

    def __str__(self) -> str:
        against = {
            "past": f"and {0.5 + self.other:.3f} for the {self.days} days before it",
            "fades": f"and {0.5 + self.other:.3f} for the {self.days} days of a later cutoff",
            "certain": "which nothing known at the cutoff can",
        }[self.check]
        return f"{self.feature}: AUC {0.5 + self.coming:.3f} alone for the {self.days} days after the cutoff, {against}"


def require_no_leak(train: Examples, names: tuple[str, ...] = FEATURE_NAMES, gate: Gate = Gate()) -> None:
    """DataError that names every feature of ``train`` that knows what comes after its cutoff."""
    if leaks := find_leaks(train, names, gate):
        told = "\n".join(f"  {leak}" for leak in leaks)
        raise DataError(
            f"features know what comes after their cutoff; nothing was trained:\n{told}\n"
            "Find where they are made of later events or of values that the source wrote back, correct that, and run "
            "`python -m jobs build_features` again for the cutoffs"
        )


def find_leaks(train: Examples, names: tuple[str, ...] = FEATURE_NAMES, gate: Gate = Gate()) -> list[Leak]:
    """The worst finding of every feature that leaks, the worst first."""
    train = _sampled(train, gate)
    values = np.where(np.isnan(train.inputs.features), -np.inf, train.inputs.features)
    worst: dict[str, Leak] = {}
    # Those that know the coming window better than the past one come first: their own past foresees nothing honestly.
    for (check, days), looks in sorted(
        looks_of(train, gate.min_cases).items(), key=lambda found: found[0][0] != "past"
    ):
        coming, other = distances(values, looks)
        honest = values[:, [name not in worst for name in names]]
        for n in np.flatnonzero(coming - other > _bound(check, gate)):
            is_sure = _is_sure(values[:, n], looks, train.inputs.customer_keys, _bound(check, gate), gate)
            if not is_sure or (check != "past" and coming[n] - foreseen(train, honest, looks) <= gate.fade_gap):
                continue
            leak = Leak(names[n], check, days, float(coming[n]), float(other[n]))
            if leak.feature not in worst or _excess(leak, gate) > _excess(worst[leak.feature], gate):
                worst[leak.feature] = leak
    return sorted(worst.values(), key=lambda leak: -_excess(leak, gate))


def _bound(check: str, gate: Gate) -> float:
    return {"past": gate.past_gap, "fades": gate.fade_gap, "certain": gate.certain}[check]


def _excess(leak: Leak, gate: Gate) -> float:
    return leak.coming - leak.other - _bound(leak.check, gate)


def _is_sure(values: np.ndarray, looks: list[Look], keys: np.ndarray, bound: float, gate: Gate) -> bool:
    """Whether the gap lies above its bound by ``sure`` standard deviations over resampled customers."""
    people, place = np.unique(keys, return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(len(people), np.full(len(people), 1 / len(people)), gate.resamples).T
    gaps = []
    for look in looks:
        weights = drawn[place[look.rows]].astype(np.float64)
        coming = np.abs(auc(look.coming, values[look.rows], weights) - 0.5)
        other = 0.0 if look.other is None else np.abs(auc(look.other, values[look.rows], weights) - 0.5)
        gaps.append(coming - other)
    gap = np.mean(gaps, axis=0)
    return bool(np.nanmean(gap) - gate.sure * np.nanstd(gap) > bound)


def _sampled(train: Examples, gate: Gate) -> Examples:
    if len(train) <= gate.max_rows:
        return train
    people = np.unique(train.inputs.customer_keys)
    chosen = np.random.default_rng(0).choice(people, len(people) * gate.max_rows // len(train), replace=False)
    return train.rows(np.isin(train.inputs.customer_keys, chosen))
