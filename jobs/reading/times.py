"""Texts and typed times of a source → local times, and the hours that they tell."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.reading.coded import Coded, bools
from jobs.reading.fixed_times import has_places, read_fixed

SINCE_1970 = {"unix": 1_000_000, "unix_ms": 1_000}
"""Formats that are words: how many microseconds a text counts by one."""
_LOCAL = pa.timestamp("us")
_UTC = pa.timestamp("us", tz="UTC")
_YEAR_10000 = 253_402_300_800_000_000  # microseconds since 1970
_COUNT = r"^(?P<whole>0|[1-9]\d{0,15})(?:\.(?P<part>\d+))?$"
_PARTS = {"%Y": r"\d{4}", "%-d": r"\d{1,2}", "%-m": r"\d{1,2}", "%b": r"\pL+", "%B": r"\pL+", "%p": r"\pL+",
          "%f": r"\d{1,12}", "%z": r"Z|[+-]\d\d(?::?\d\d)?"}  # fmt: skip
"""What a part of a format looks like, where it is not two digits."""


@dataclass(frozen=True)
class Times:
    """Of each row: local time, hour of day where one is told, UTC, local date; null where there is no time.

    ``unread``: rows where something stands that is no time.
    """

    local: pa.Array
    hour: pa.Array
    utc: pa.Array
    date: pa.Array
    unread: np.ndarray


class Read(NamedTuple):
    """Of each text: its time on the shop's clock, the hour that it tells, and UTC where the text itself tells it."""

    local: pa.Array
    hour: pa.Array
    utc: pa.Array


def tells_hour(form: str) -> bool:
    return form in SINCE_1970 or "%H" in form or "%I" in form


def tells_utc(form: str) -> bool:
    return form in SINCE_1970 or "%z" in form


def read_times(column: Coded | pa.Array, formats: tuple[str, ...], assumed_year: int, timezone: str) -> Times:
    """What the column says by the first format that fits, or as it is typed.

    ``timezone``: the shop's, whose clock tells date and hour; a time that tells its own zone is put into it. Of the
    others, an hour that the clock skips or repeats is read as the earlier of its two meanings.
    """
    texts = column.values if isinstance(column, Coded) else None
    local, hour, told = times(texts, formats, assumed_year, timezone) if texts is not None else _typed(column, timezone)
    utc = told
    if told.null_count > local.null_count:
        utc = pc.assume_timezone(local, timezone, ambiguous="earliest", nonexistent="earliest").cast(_UTC)
        utc = pc.coalesce(told, utc) if told.null_count < len(told) else utc
    day = local.cast(pa.date32(), safe=False)
    if texts is None:
        return Times(local, hour, utc, day, np.zeros(len(column), bool))
    rows = pa.array(column.codes, mask=column.is_null)
    taken = [each.take(rows) for each in (local, hour, utc, day)]
    return Times(*taken, column.where(bools(pc.is_null(local))))


def _typed(column: pa.Array, timezone: str) -> Read:
    utc = pa.nulls(len(column), _UTC)
    if pa.types.is_timestamp(column.type) and column.type.tz:
        utc = column.cast(_UTC, safe=False)
        local = _on_clock(utc, timezone)
    else:
        local = column.cast(_LOCAL, safe=False)
    is_date = pa.types.is_date(column.type)
    return Read(local, pa.nulls(len(local), pa.int32()) if is_date else pc.hour(local).cast(pa.int32()), utc)


def _on_clock(utc: pa.Array, timezone: str) -> pa.Array:
    """``utc``, in UTC whether or not its type says so, as the clocks of ``timezone`` show it."""
    return pc.local_timestamp(utc.cast(pa.timestamp("us", tz=timezone)))


def times(texts: pa.Array, formats: tuple[str, ...], assumed_year: int = 0, timezone: str = "UTC") -> Read:
    """Texts → times by the first format that fits; null where none fits.

    A time counts only if it is written back as it stood: the parser takes 30 February for 1 March, 24 for the year 24.
    """
    local, hour, utc = (pa.nulls(len(texts), kind) for kind in (_LOCAL, pa.int32(), _UTC))
    if assumed_year:
        texts = pc.binary_join_element_wise(str(assumed_year), texts, " ")
    for form in formats:
        read, is_left = _by_format(texts, f"%Y {form}" if assumed_year else form), pc.is_null(local)
        if tells_utc(form):
            utc = pc.if_else(is_left, read.cast(_UTC), utc)
            read = _on_clock(read, timezone)
        if tells_hour(form):
            hour = pc.if_else(is_left, pc.hour(read).cast(pa.int32()), hour)
        local = pc.coalesce(local, read)
        if not local.null_count:
            break
    return Read(local, hour, utc)


def _by_format(texts: pa.Array, form: str) -> pa.Array:
    """Times without a zone: of a format that tells UTC in UTC, else as they are written."""
    if form in SINCE_1970:
        return _counted(texts, SINCE_1970[form])
    read = pa.array(read_fixed(texts, form), from_pandas=True)
    beyond_parser = "%f" in form or "%z" in form
    if not read.null_count or (beyond_parser and has_places(form) and not texts.null_count):
        return read
    rest = pc.indices_nonzero(pc.is_null(read))
    general = _by_parts if beyond_parser else _by_parser
    return pc.replace_with_mask(read, pc.is_null(read), general(texts.take(rest), form))


def _by_parser(texts: pa.Array, form: str) -> pa.Array:
    padded = form.replace("%-", "%")
    read = pc.strptime(texts, format=padded, unit="s", error_is_null=True)
    again, stood = pc.utf8_lower(pc.strftime(read, format=padded)), pc.utf8_lower(texts)
    if padded != form:  # %-d, %-m: one digit will do
        again, stood = (pc.replace_substring_regex(t, r"\b0(\d)(\D|$)", r"\1\2") for t in (again, stood))
    kept = pc.if_else(pc.equal(again, stood), read, pa.scalar(None, read.type))
    return kept.cast(_LOCAL)


def _by_parts(texts: pa.Array, form: str) -> pa.Array:
    """%f and %z cut out, which the parser does not write back, and put behind what it read of the rest."""
    parts = re.findall(r"%-?.|[^%]+", form)
    looks = [_PARTS.get(part, r"\d\d") if part.startswith("%") else re.escape(part) for part in parts]
    found = pc.extract_regex(texts, f"^{''.join(f'(?P<p{n}>{look})' for n, look in enumerate(looks))}$")
    text_of = {part if part in ("%f", "%z") else n: pc.struct_field(found, n) for n, part in enumerate(parts)}
    rest = [n for n in text_of if isinstance(n, int)]
    read = _by_parser(
        pc.binary_join_element_wise(*(text_of[n] for n in rest), ""), "".join(parts[n] for n in rest)
    ).cast(pa.timestamp("s"))
    cut = [part for part in ("%f", "%z") if part in text_of]
    whole = pc.binary_join_element_wise(pc.strftime(read, "%Y-%m-%d %H:%M:%S."), *(text_of[part] for part in cut), "")
    fixed = read_fixed(pc.fill_null(whole, ""), f"%Y-%m-%d %H:%M:%S.{''.join(cut)}")
    return pa.array(fixed, from_pandas=True)


def _counted(texts: pa.Array, worth: int) -> pa.Array:
    """Texts that count from 1970 by ``worth`` microseconds; parts of one are cut to whole microseconds."""
    plain = pc.match_substring_regex(texts, r"^(0|[1-9]\d{0,15})$")
    if pc.all(plain, min_count=0).as_py() and not texts.null_count:
        whole, part = texts.cast(pa.int64()), 0
    else:
        found = pc.extract_regex(texts, _COUNT)
        digits = len(str(worth)) - 1
        whole = pc.struct_field(found, "whole").cast(pa.int64())
        part = pc.utf8_rpad(pc.utf8_slice_codeunits(pc.struct_field(found, "part"), 0, digits), digits, "0")
        part = part.cast(pa.int64())
    fits = pc.less(whole, _YEAR_10000 // worth)
    since = pc.add(pc.multiply(pc.if_else(fits, whole, None), worth), part)
    return since.cast(_LOCAL)
