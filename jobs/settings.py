"""Settings: one frozen dataclass a component, changed by <home>/settings.yaml, never by the environment."""

from dataclasses import fields
from typing import TypeVar

import yaml

from expectations.errors import SetupError
from jobs.home import Home

S = TypeVar("S")


def load_settings(home: Home, section: str, kind: type[S]) -> S:
    """``kind`` with the values of ``section`` in the home's settings.yaml; SetupError for a wrong name or type."""
    path = home.path / "settings.yaml"
    chosen = (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
    values = chosen.get(section, {})
    known = {f.name: f for f in fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise SetupError(f"{path}: {section} has no setting {name!r}; known: {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SetupError(f"{path}: {section}.{name} must be a number, found {value!r}")
    try:
        return kind(**values)
    except ValueError as error:
        raise SetupError(f"{path}: {section}: {error}") from error
