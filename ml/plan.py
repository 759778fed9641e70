"""All that decides the outcome of a training, and how its runs tell of it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache

from expectations.behaviour import FEATURE_NAMES
from expectations.version import code_version, digest_of_files
from ml.cohorts import Parts
from ml.protocols import Protocol
from ml.settings import ModelSettings, PromotionSettings

KIND = "training"
"""Tag lifestage.kind of the run that a training's models hang below."""


@dataclass(frozen=True)
class Plan:
    """All that decides the outcome of a training, but for the champion that it meets."""

    protocol: Protocol
    models: tuple[str, ...]
    budget: str
    seed: int
    data_digest: str
    promotion: PromotionSettings

    @property
    def cutoff(self) -> date:
        return self.protocol.tests[-1]

    @property
    def digest(self) -> str:
        """SHA-256 over data, settings and code: a training with an equal digest gives and promotes the same."""
        said = [FEATURE_NAMES, _code(), asdict(self)]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def tags_of(plan: Plan) -> dict[str, str]:
    """What all runs of a training have in common, for search."""
    return {
        "lifestage.cutoff": str(plan.cutoff),
        "lifestage.budget": plan.budget,
        "lifestage.training_digest": plan.digest,
        "lifestage.data_digest": plan.data_digest,
        "lifestage.code_version": code_version(),
    }


def params_of(plan: Plan, parts: Parts) -> dict[str, object]:
    """Cutoffs, horizons, population and data of a training, written beside every number of it."""
    protocol = plan.protocol
    examples = {"train": parts.train, "valid": parts.valid, "test": parts.tests[-1]}
    return {
        "cutoff_test": str(plan.cutoff),
        "cutoff_valid": str(protocol.valid),
        "cutoffs_train": " ".join(map(str, protocol.train)),
        **{f"examples_{part}": len(rows) for part, rows in examples.items()},
        **asked_for(protocol),
        "data_digest": plan.data_digest,
        "code_version": code_version(),
        "budget": plan.budget,
    }


def asked_for(what: Protocol | ModelSettings) -> dict[str, object]:
    """Horizons and population, as parameters of a run."""
    fields = asdict(what.horizons) | asdict(what.population)
    return {name: _shown(value) for name, value in fields.items()}


def _shown(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


@cache
def _code() -> str:
    """SHA-256 of every file of code here and of the contracts, as it was when first asked for."""
    return digest_of_files(("expectations", "ml"), "*.py")
