"""Checks of YAML against a dataclass: what is wrong is told with file and line."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import date
from typing import Any

from ml.yaml_lines import Lined


def _list_of(check: Callable[[Any], bool], least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(check, value))


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_date(value: Any) -> bool:
    return type(value) is date


_KINDS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("a text (in quotes where YAML takes it for something else)", is_text),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number, 0 or more", lambda value: type(value) is int and value >= 0),
    date: ("a date (YYYY-MM-DD)", _is_date),
    tuple[str, ...]: ("a list of texts, not empty", _list_of(is_text, 1)),
    tuple[date, ...]: ("a list of dates (YYYY-MM-DD)", _list_of(_is_date, 0)),
}


def fields_of(owner: Lined, raw: Any, kind: type, what: str, at: str = "", without: tuple[str, ...] = ()) -> Lined:
    """``raw`` if its keys are fields of the dataclass ``kind`` and their plain values of the fields' types.

    ``owner`` is what it stands in, under the key ``at``. Fields of other types are the caller's to check.
    """
    if not isinstance(raw, Lined):
        owner.fail(f"{what} must be key: value pairs, found {raw!r}", at or what)
    known = {f.name: f for f in fields(kind) if f.name not in without}
    for key, value in raw.items():
        if key not in known:
            raw.fail(f"{what} has no key {key!r}; known: {', '.join(known)}", key)
        wanted, check = _KINDS.get(known[key].type, ("", lambda value: True))
        if not check(value):
            raw.fail(f"{key} must be {wanted}, found {value!r}", key)
    for key, spec in known.items():
        if key not in raw and spec.default is MISSING and spec.default_factory is MISSING:
            raw.fail(f"{what} lacks {key!r}")
    return raw
