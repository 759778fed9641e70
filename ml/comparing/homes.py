"""Which home a study reads, and whether it holds what the study's models read."""

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


def home_of(study: str, home: HomePath = None) -> Path:
    """``home``, else LIFESTAGE_HOME, else the folder that `make run SOURCE=…` makes; SetupError for another shop's."""
    source = SOURCES.get(study, study)
    default = REPOSITORY / (".lifestage" if source == "complete_journey" else f".lifestage-{source}")
    path = home_folder(home or os.environ.get("LIFESTAGE_HOME") or default)
    file = path / "shop.json"
    if not file.exists():
        raise SetupError(
            f"study {study} reads source {source}, and {path} holds no shop. "
            f"Run `make run SOURCE={source}` first, or name its home with --home"
        )
    shop = json.loads(file.read_text())
    if source not in shop["sources"]:
        raise SetupError(
            f"study {study} reads source {source}, but {path} is the home of shop {shop['shop']} with "
            f"{', '.join(shop['sources']) or 'no source'}. Name the right one with --home or LIFESTAGE_HOME"
        )
    return path


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
