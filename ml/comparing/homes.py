"""Which home a study reads, whether its customers are keyed as all studies' are, and whether it holds what is read."""

import json
import os
import shlex
from pathlib import Path

from expectations.errors import DataError, SetupError
from expectations.version import REPOSITORY
from ml.home import HomePath, home_folder
from ml.protocols import Protocol
from ml.ready import missing_features, missing_sequences

SOURCES = {"cdnow": "cdnow_master", "cdnow_customers": "cdnow_master"}
"""Studies that are not named as the source of jobs/sources they read."""

STUDY_KEY = "6c69666573746167652073747564696573"
"""LIFESTAGE_CUSTOMER_KEY of a home that is built for a study: public, as its data are. Rows, folds of customers and
resamples follow customer_key, so that numbers are repeated to the last digit only under one key."""
STUDY_KEY_ID = "a89032eb77bb"
"""What shop.json says of it."""


def home_of(study: str, home: HomePath = None) -> Path:
    """``home``, else LIFESTAGE_HOME, else the folder that `make run SOURCE=…` makes; SetupError for another shop's."""
    source = SOURCES.get(study, study)
    default = REPOSITORY / (".lifestage" if source == "complete_journey" else f".lifestage-{source}")
    path = home_folder(home or os.environ.get("LIFESTAGE_HOME") or default)
    file = path / "shop.json"
    if not file.exists():
        raise SetupError(
            f"study {study} reads source {source}, and {path} holds no shop. "
            f"Run `LIFESTAGE_CUSTOMER_KEY={STUDY_KEY} make run SOURCE={source}` first, or name its home with --home"
        )
    shop = json.loads(file.read_text())
    if source not in shop["sources"]:
        raise SetupError(
            f"study {study} reads source {source}, but {path} is the home of shop {shop['shop']} with "
            f"{', '.join(shop['sources']) or 'no source'}. Name the right one with --home or LIFESTAGE_HOME"
        )
    return path


def key_note(home: Path) -> str:
    """What has to be known of numbers from a home under another key than the studies'; empty under that."""
    key_id = json.loads((home / "shop.json").read_text()).get("key_id", "none")
    if key_id == STUDY_KEY_ID:
        return ""
    return f"customers keyed under {key_id}, not {STUDY_KEY_ID}: folds and resamples are others (docs/comparison.md)"


def require_snapshots(protocol: Protocol, home: Path, needs_sequences: bool) -> None:
    """DataError with the commands that build the snapshots of features and sequences which are missing."""
    missing = {
        "build_features": missing_features(protocol.cutoffs, home),
        "build_sequences": missing_sequences(protocol.cutoffs, home) if needs_sequences else [],
    }
    if any(missing.values()):
        commands = [
            f"  python -m jobs {job} --home {shlex.quote(str(home))} --ds {' '.join(map(str, days))}"
            for job, days in missing.items()
            if days
        ]
        raise DataError("\n".join([f"{home} lacks snapshots that the study reads. Run first:", *commands]))
