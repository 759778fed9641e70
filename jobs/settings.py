"""Settings: one frozen dataclass a component, changed by <home>/settings.yaml, never by the environment."""

from typing import TypeVar

from jobs.home import Home
from ml import settings as of_models

S = TypeVar("S")


def load_settings(home: Home, section: str, kind: type[S]) -> S:
    """``kind`` with the values of ``section`` in the home's settings.yaml; SetupError for whatever it does not know."""
    return of_models.load_settings(section, kind, home.path)


def load_section(home: Home, section: str) -> dict[str, object]:
    """What the home's settings.yaml says under ``section``; empty if it says nothing."""
    return of_models.load_section(section, home.path)
