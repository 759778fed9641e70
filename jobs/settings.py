"""Settings: one frozen dataclass a component, changed by <home>/settings.yaml, never by the environment."""

import math
from pathlib import Path
from typing import TypeVar, get_type_hints

from expectations.errors import SetupError
from jobs.home import Home
from jobs.reading.yaml_lines import load_lined

S = TypeVar("S")


SECTIONS = ("segment", "checks", "outliers", "features", "sequences", "text")


def load_settings(home: Home, section: str, kind: type[S]) -> S:
    """``kind`` with the values of ``section`` in the home's settings.yaml; SetupError for whatever it does not know."""
    path, values = home.path / "settings.yaml", load_section(home, section)
    known = get_type_hints(kind)
    for name, value in values.items():
        if name not in known:
            raise SetupError(f"{path}: {section} has no setting {name!r}; known: {', '.join(known)}")
        if wrong := _misfit(value, known[name]):
            raise SetupError(f"{path}: {section}.{name} must be {wrong}, found {value!r}")
    try:
        return kind(**values)
    except ValueError as error:
        raise SetupError(f"{path}: {section}: {error}") from error


def load_section(home: Home, section: str) -> dict[str, object]:
    """What the home's settings.yaml says under ``section``; empty if it says nothing."""
    return _sections(home.path / "settings.yaml").get(section) or {}


def _misfit(value: object, kind: type) -> str:
    """What ``value`` should be to be of ``kind``; empty if it is."""
    if kind in (bool, str):
        return "" if isinstance(value, kind) else {bool: "true or false", str: "a text"}[kind]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a number"
    if kind is int and not isinstance(value, int):
        return "a whole number"
    return "" if 0 <= value < math.inf else "0 or more"


def _sections(path: Path) -> dict[str, dict]:
    text = path.read_text() if path.exists() else ""
    chosen = load_lined(text, str(path)) if text.strip() else {}
    for name, values in chosen.items():
        if name not in SECTIONS:
            raise SetupError(f"{path}: no section {name!r}; known: {', '.join(SECTIONS)}")
        if not isinstance(values or {}, dict):
            raise SetupError(f"{path}: {name} must hold `setting: value` pairs, found {values!r}")
    return chosen
