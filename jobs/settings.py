"""Settings: one frozen dataclass a component, changed by <home>/settings.yaml, never by the environment."""

from pathlib import Path
from typing import TypeVar

from expectations.errors import SetupError
from jobs.home import Home
from jobs.reading.yaml_lines import load_lined
from ml import settings as of_models

S = TypeVar("S")

SECTIONS = ("segment", "checks", "outliers", "features", "sequences", "text", *of_models.SECTIONS)


def load_settings(home: Home, section: str, kind: type[S]) -> S:
    """``kind`` with the values of ``section`` in the home's settings.yaml; SetupError for whatever it does not know."""
    return of_models.filled(home.path / "settings.yaml", section, load_section(home, section), kind)


def load_section(home: Home, section: str) -> dict[str, object]:
    """What the home's settings.yaml says under ``section``; empty if it says nothing."""
    return _sections(home.path / "settings.yaml").get(section) or {}


def _sections(path: Path) -> dict[str, dict]:
    text = path.read_text() if path.exists() else ""
    chosen = load_lined(text, str(path)) if text.strip() else {}
    for name, values in chosen.items():
        if name not in SECTIONS:
            raise SetupError(f"{path}: no section {name!r}; known: {', '.join(SECTIONS)}")
        if not isinstance(values or {}, dict):
            raise SetupError(f"{path}: {name} must hold `setting: value` pairs, found {values!r}")
    return chosen
