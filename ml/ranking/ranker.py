"""The ranking that ships: gradient boosting over candidates where it is shown to beat personal frequency."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from expectations.errors import DataError
from ml.ranking.baskets import Baskets, Kind, Targets, next_baskets
from ml.ranking.candidates import FEATURES, Candidates, candidates
from ml.ranking.facts import Facts, item_facts
from ml.ranking.frequency import FREQUENCIES, personal_frequency
from ml.ranking.judging import mean_interval, top
from ml.skops_io import skops_io

TRUSTED_TYPES = ["numpy.dtype", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
CHUNK = 5_000
"""Customers whose candidates are in memory at a time."""


@dataclass(frozen=True)
class RankerSettings:
    """kind              of item that is ranked
    own, popular      candidates of a customer: see candidates()
    horizon_days      the next basket counts if it comes within so many days
    judged_at         places of a list that count for choosing
    written           places of a list that are written: what probabilities are calibrated on
    negatives         share of the candidates not bought that training keeps
    size_power        a purchase weighs (size of its basket) ** -size_power: with 1 as recall counts it, with 0 as hits
    trees, leaves, learning_rate, leaf_rows, penalty: of the boosting
    seed              of the candidates kept, and of the bootstrap
    """

    kind: Kind = "product"
    own: int = 150
    popular: int = 20
    horizon_days: int = 28
    judged_at: int = 10
    written: int = 10
    negatives: float = 0.1
    size_power: float = 0.5
    trees: int = 100
    leaves: int = 16
    learning_rate: float = 0.1
    leaf_rows: int = 100
    penalty: float = 5.0
    seed: int = 0


@dataclass(frozen=True)
class Ranker:
    """model        None: personal frequency ships
    frequency    one of FREQUENCIES, the best on validation
    calibration  logit of the probability = [0] x score + [1] x log of the customer's basket size + [2]
    validation   ranking → recall on validation
    gain         (mean, low, high) of the boosting's recall over personal frequency on validation
    """

    settings: RankerSettings
    model: HistGradientBoostingClassifier | None
    frequency: str
    calibration: tuple[float, float, float]
    validation: dict[str, float]
    gain: tuple[float, float, float]

    @classmethod
    def fit(
        cls, baskets: Baskets, train: list[int], valid: int, settings: RankerSettings = RankerSettings()
    ) -> "Ranker":
        """Learns from what followed the days ``train``, chooses and calibrates on what followed the later ``valid``.

        The boosting ships where its paired gain in recall over personal frequency has an interval above zero.
        DataError where too little was bought.
        """
        if max(train) + settings.horizon_days > valid:
            raise ValueError("the next baskets of training must have come before validation begins")
        model = _boosted(baskets, train, settings)
        found, targets = _learnable(baskets, valid, settings)
        judged = {name: _recall(found, personal_frequency(found, name), targets, settings) for name in FREQUENCIES}
        frequency = max(FREQUENCIES, key=lambda name: judged[name].mean())
        boosting = _recall(found, model.decision_function(found.features), targets, settings)
        gain = mean_interval([boosting - judged[frequency]], [targets.customers], settings.seed)
        recalls = {name: float(values.mean()) for name, values in (judged | {"boosting": boosting}).items()}
        ranker = cls(settings, model if gain[1] > 0 else None, frequency, (1.0, 0.0, 0.0), recalls, gain)
        # What is written must be right; the many that nobody is shown would outweigh it.
        listed = found.of(np.sort(top(found.customer, ranker.score(found), settings.written)))
        return replace(ranker, calibration=_calibration(listed, ranker.score(listed), targets))

    def score(self, found: Candidates) -> np.ndarray:
        """(rows,) the higher, the likelier; within a customer in the order of ``probability``."""
        if self.model is None:
            return np.log(personal_frequency(found, self.frequency) + 1e-9)
        return self.model.decision_function(found.features)

    def probability(self, found: Candidates) -> np.ndarray:
        """(rows,) that the item is in the customer's next basket, given that one comes within horizon_days."""
        slope, of_size, shift = self.calibration
        size = np.log(np.maximum(found["customer_basket_size"], 1))
        return 1 / (1 + np.exp(-(slope * self.score(found) + of_size * size + shift)))

    def recommend(
        self, baskets: Baskets, cutoff: int, customer_keys: np.ndarray, n: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """(customers, n) items, and the probability of each to be in the next basket after ``cutoff``; best first.

        Who has not bought by then gets what is popular, with its share of recent baskets. Where there are fewer than
        n items: None, NaN. Nothing after ``cutoff`` is looked at.
        """
        seen = baskets.as_of(cutoff)
        facts = item_facts(seen, cutoff)
        items, scores = np.full((len(customer_keys), n), -1), np.full((len(customer_keys), n), np.nan)
        everybody = facts.popular[:n]
        items[:, : len(everybody)], scores[:, : len(everybody)] = everybody, facts.columns["basket_share"][everybody]
        place = _places(baskets.customer_keys, customer_keys)
        wanted = np.unique(place[place >= 0])
        for first in range(0, len(wanted), CHUNK):
            part = wanted[first : first + CHUNK]
            lists, values, owner = self._best(seen, facts, cutoff, part, n)
            found = np.unique(owner)
            rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
            chosen = np.full((len(part), n), -1), np.full((len(part), n), np.nan)
            chosen[0][owner, rank], chosen[1][owner, rank] = lists, values
            rows = np.flatnonzero(np.isin(place, part[found]))
            at = np.searchsorted(part, place[rows])
            items[rows], scores[rows] = chosen[0][at], chosen[1][at]
        return np.append(baskets.items, [None])[items], scores

    def _best(
        self, seen: Baskets, facts: Facts, cutoff: int, part: np.ndarray, n: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(items, probabilities, place in ``part``) of the first n of each, by customer, best first."""
        chosen = seen.of_customers(part)
        found = candidates(chosen, facts, np.full(len(part), cutoff), self.settings.own, self.settings.popular)
        value = self.probability(found)
        best = top(found.customer, self.score(found), n)
        return found.item[best], value[best], found.customer[best]

    def save(self, folder: Path) -> None:
        """about.json, and boosting.skops where it ships: nothing pickled."""
        about = {name: getattr(self, name) for name in ("frequency", "calibration", "validation", "gain")}
        about |= {"settings": asdict(self.settings), "features": FEATURES, "boosting": self.model is not None}
        (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")
        if self.model is not None:
            skops_io().dump(self.model, folder / "boosting.skops")

    @classmethod
    def load(cls, folder: Path) -> "Ranker":
        """What ``save`` wrote there; DataError if it was fitted on other features than these."""
        about = json.loads((folder / "about.json").read_text())
        if tuple(about["features"]) != FEATURES:
            raise DataError(f"{folder} holds a ranker of other features than this code computes: fit it again")
        model = skops_io().load(folder / "boosting.skops", trusted=TRUSTED_TYPES) if about["boosting"] else None
        return cls(
            RankerSettings(**about["settings"]), model, about["frequency"], tuple(about["calibration"]),
            about["validation"], tuple(about["gain"]),
        )  # fmt: skip


def _learnable(baskets: Baskets, day: int, settings: RankerSettings) -> tuple[Candidates, Targets]:
    """Candidates as of ``day`` of those whose next basket is known, and the baskets."""
    seen = baskets.as_of(day)
    as_of = np.full(len(baskets.customer_keys), day)
    found = candidates(seen, item_facts(seen, day), as_of, settings.own, settings.popular)
    targets = next_baskets(baskets, day, settings.horizon_days).of_customers(np.unique(found.customer))
    return found.of(targets.sizes[found.customer] > 0), targets


def _boosted(baskets: Baskets, train: list[int], settings: RankerSettings) -> HistGradientBoostingClassifier:
    """Fitted on the candidates of all ``train``: those bought, and a share of the others, which weigh for the rest."""
    rng = np.random.default_rng(settings.seed)
    features, bought, weights = [], [], []
    for day in sorted(train):
        found, targets = _learnable(baskets, day, settings)
        held = targets.holds(found.pairs(targets.items))
        kept = held | (rng.random(len(held)) < settings.negatives)
        size = targets.sizes[found.customer[kept]]
        weight = size**-settings.size_power
        mean = np.average(weight, weights=held[kept]) if held.any() else 1.0
        features.append(found.features[kept])
        bought.append(held[kept])
        weights.append(np.where(held[kept], weight, mean / settings.negatives))
    held = np.concatenate(bought)
    if not 0 < held.sum() < len(held):
        raise DataError("nobody's next basket holds a candidate: more days of purchases are needed to learn a ranking")
    model = HistGradientBoostingClassifier(
        max_iter=settings.trees, max_leaf_nodes=settings.leaves, learning_rate=settings.learning_rate,
        min_samples_leaf=settings.leaf_rows, l2_regularization=settings.penalty, early_stopping=False,
        random_state=settings.seed,
    )  # fmt: skip
    return model.fit(np.concatenate(features), held, sample_weight=np.concatenate(weights))


def _recall(found: Candidates, score: np.ndarray, targets: Targets, settings: RankerSettings) -> np.ndarray:
    """(targets.customers,) recall of the first judged_at."""
    best = top(found.customer, score, settings.judged_at)
    held = targets.holds(found.pairs(targets.items)[best])
    hits = np.bincount(found.customer[best], held, len(targets.sizes))
    return (hits / np.maximum(targets.sizes, 1))[targets.customers]


def _calibration(found: Candidates, score: np.ndarray, targets: Targets) -> tuple[float, float, float]:
    """Logistic in score and basket size of what is listed; the score's slope is at least a little above zero."""
    size = np.log(np.maximum(found["customer_basket_size"], 1))
    held = targets.holds(found.pairs(targets.items))
    if not 0 < held.sum() < len(held):
        raise DataError(
            f"of {len(held):,} items listed on validation {held.sum():,} were in the next basket: "
            "too few purchases to tell a probability; choose a later cutoff"
        )
    model = LogisticRegression(C=1e6).fit(np.column_stack([score, size]), held)
    (slope, of_size), (shift,) = model.coef_[0], model.intercept_
    return max(float(slope), 1e-6), float(of_size), float(shift)


def _places(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of ``wanted`` stands in ``known``, sorted; -1 where it does not."""
    from ml.interactions import place_of

    return place_of(known, wanted)
