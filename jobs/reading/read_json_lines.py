"""JSON lines → columns of texts. A line that is no JSON object is refused alone."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from expectations.errors import DataError
from jobs.reading.coded import Coded
from jobs.reading.layout import Parsed
from jobs.reading.lines import Lines, broken_lines

LEAST_LINES = 1000
"""In a file of fewer lines a key that not every line has may be missing by chance."""
LINE = "\0line"


def parse_json_lines(lines: Lines, file: str, always: list[str], needed: list[str], keep_all: bool = False) -> Parsed:
    """Lines → the ``needed`` keys; a key within a key is written a.b. With ``keep_all``, also the line put in one form.

    Numbers stay as they are written. Refused are lines that are no JSON object, and those whose needed key holds a list
    of anything but plain values, or an object; plain values in a list are joined by dots. DataError if no line has a
    key of ``always``, or none of many has one of ``needed``.
    """
    refused = broken_lines(lines, "")
    columns: dict[str, list[str | None]] = {name: [] for name in [*needed, *([LINE] if keep_all else [])]}
    line, names = [], set()
    decode = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str).decode
    for n in lines.filled().tolist():
        if n in refused:
            continue
        text = lines.text_of(n)
        try:
            flat = _flat(decode(text))
            if "\\u" in text:  # half of a pair that makes one character
                json.dumps(flat, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            refused[n] = "not_json"
            continue
        names.update(flat)
        if wrong := [name for name in needed if isinstance(flat.get(name), (list, dict))]:
            refused[n] = f"{wrong[0]}_not_one_value"
            continue
        line.append(n)
        for name in needed:
            columns[name].append(flat.get(name))
        if keep_all:
            columns[LINE].append(json.dumps(flat, sort_keys=True))
    _refuse_lost(file, len(line), names, always, needed)
    coded = {name: Coded.of(pa.array(texts, pa.string())) for name, texts in columns.items()}
    return Parsed(coded, np.array(line, np.int64), dict(sorted(refused.items())), tuple(sorted(names)), lines)


def _refuse_lost(file: str, rows: int, names: set[str], always: list[str], needed: list[str]) -> None:
    asked = needed if rows >= LEAST_LINES else always
    if rows and (lost := [name for name in asked if name not in names]):
        raise DataError(
            f"{file}: no line has the key{'s' * (len(lost) > 1)} {', '.join(lost)}; the {rows:,} lines cannot be read. "
            f"Found {len([n for n in needed if n in names])} of {len(needed)} keys that the mapping names"
        )


def _flat(value: Any) -> dict[str, Any]:
    """Keys within keys by dots; values as text, null left out; what is no plain value as it is."""
    if not isinstance(value, dict):
        raise ValueError("no object")
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat |= {key: inner} | {f"{key}.{name}": text for name, text in _flat(inner).items()}
        elif isinstance(inner, bool):
            flat[key] = "true" if inner else "false"
        elif isinstance(inner, list) and all(isinstance(item, str) for item in inner):
            flat[key] = ".".join(inner)
        elif inner is not None:
            flat[key] = inner or None if isinstance(inner, str) else inner
        else:
            flat[key] = None
    return flat
