"""Texts and typed times of a source → local times, and the hours that they tell."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.reading.coded import Coded, bools
from jobs.reading.fixed_times import read_fixed

_LOCAL = pa.timestamp("us")
_UTC = pa.timestamp("us", tz="UTC")


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


def read_times(column: Coded | pa.Array, formats: tuple[str, ...], assumed_year: int, timezone: str) -> Times:
    """What the column says by the first format that fits, or as it is typed.

    An hour that the clock skips or repeats is read as the earlier of its two meanings.
    """
    texts = column.values if isinstance(column, Coded) else None
    if texts is None:
        local = _typed(column, timezone)
        is_date = pa.types.is_date(column.type)
        hour = pa.nulls(len(local), pa.int32()) if is_date else pc.hour(local).cast(pa.int32())
    else:
        local, hour = times(texts, formats, assumed_year)
    utc = pc.assume_timezone(local, timezone, ambiguous="earliest", nonexistent="earliest").cast(_UTC)
    day = local.cast(pa.date32(), safe=False)
    if texts is None:
        return Times(local, hour, utc, day, np.zeros(len(column), bool))
    rows = pa.array(column.codes, mask=column.is_null)
    taken = [each.take(rows) for each in (local, hour, utc, day)]
    return Times(*taken, column.where(bools(pc.is_null(local))))


def _typed(column: pa.Array, timezone: str) -> pa.Array:
    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = pc.local_timestamp(column.cast(pa.timestamp("us", tz=timezone), safe=False))
    return column.cast(_LOCAL, safe=False)


def times(texts: pa.Array, formats: tuple[str, ...], assumed_year: int = 0) -> tuple[pa.Array, pa.Array]:
    """Texts → local times by the first format that fits, and their hours; null where none fits or tells an hour.

    A time counts only if it is written back as it stood: the parser takes 30 February for 1 March, 24 for the year 24.
    """
    local, hour = pa.nulls(len(texts), _LOCAL), pa.nulls(len(texts), pa.int32())
    if assumed_year:
        texts = pc.binary_join_element_wise(str(assumed_year), texts, " ")
    for form in formats:
        read = _by_format(texts, f"%Y {form}" if assumed_year else form)
        if "%H" in form or "%I" in form:
            hour = pc.if_else(pc.is_null(local), pc.hour(read).cast(pa.int32()), hour)
        local = pc.coalesce(local, read)
        if not local.null_count:
            break
    return local, hour


def _by_format(texts: pa.Array, form: str) -> pa.Array:
    local = pa.array(read_fixed(texts, form), from_pandas=True)
    if not local.null_count:
        return local
    rest = pc.indices_nonzero(pc.is_null(local))
    return pc.replace_with_mask(local, pc.is_null(local), _by_parser(texts.take(rest), form))


def _by_parser(texts: pa.Array, form: str) -> pa.Array:
    padded = form.replace("%-", "%")
    read = pc.strptime(texts, format=padded, unit="s", error_is_null=True)
    again, stood = pc.utf8_lower(pc.strftime(read, format=padded)), pc.utf8_lower(texts)
    if padded != form:  # %-d, %-m: one digit will do
        again, stood = (pc.replace_substring_regex(t, r"\b0(\d)(\D|$)", r"\1\2") for t in (again, stood))
    kept = pc.if_else(pc.equal(again, stood), read, pa.scalar(None, read.type))
    return kept.cast(_LOCAL)
