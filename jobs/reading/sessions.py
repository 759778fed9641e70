"""Visits of one source's delivery: its own sessions, else a customer's events without a longer gap of silence. Pure."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.events import SESSION_TYPES

MICROSECONDS_A_SECOND = 1_000_000


@dataclass(frozen=True)
class Visits:
    """Per row: the number of its session (-1: none), and its place among the session's rows of one event date.

    ``made`` counts a customer's sessions that were made here from 1; it is 0 for a session of the source's own.
    """

    session: np.ndarray
    made: np.ndarray
    is_start: np.ndarray
    is_bounce: np.ndarray
    step_seconds: np.ndarray


def find_visits(
    customer: np.ndarray, own: np.ndarray, time: np.ndarray, day: np.ndarray, in_visit: np.ndarray, gap_minutes: float
) -> Visits:
    """Sessions of rows that stand in the order of their files and lines.

    customer: code of the customer; own: code of the source's own session, -1 for none; time: microseconds; day: event
    date; in_visit: whether the row can belong to a session. Rows without a session of their own make one with those
    before them while no silence is longer than ``gap_minutes``; 0 makes none.
    """
    size = len(customer)
    rows = np.flatnonzero(in_visit if gap_minutes else in_visit & (own >= 0))
    rows = rows[np.lexsort((time[rows], own[rows], customer[rows]))]  # stable: equal times stay in their order
    who, mine, when, on = customer[rows], own[rows], time[rows], day[rows]
    same = (who[1:] == who[:-1]) & (mine[1:] == mine[:-1])
    silent = (mine[1:] < 0) & (np.diff(when) > gap_minutes * 60 * MICROSECONDS_A_SECOND)
    begins = _led(~same | silent, len(rows))
    first = begins | _led(on[1:] != on[:-1], len(rows))  # each event date counts a session that lasts over midnight
    last = np.append(first[1:], True) if len(rows) else first
    step = np.where(first, 0, np.diff(when, prepend=0) // MICROSECONDS_A_SECOND)
    made = np.cumsum(begins & (mine < 0))
    earlier = np.where(_led(who[1:] != who[:-1], len(rows)), made - (begins & (mine < 0)), 0)
    made = np.where(mine < 0, made - np.maximum.accumulate(earlier), 0)
    return Visits(
        session=_put(size, rows, np.cumsum(begins) - 1, -1),
        made=_put(size, rows, made, 0),
        is_start=_put(size, rows, first, False),
        is_bounce=_put(size, rows, first & last, False),
        step_seconds=_put(size, rows, step, 0),
    )


def with_sessions(events: pa.Table, gap_minutes: float, arrival: date) -> pa.Table:
    """``events`` of one source's delivery, in the order of files and lines, with their session columns filled.

    ``session_id`` comes with the source's own sessions. One that is made reads <customer>-<source>-<arrival>-<number>.
    """
    customer = _encoded(events["customer_key"])
    own = _encoded(events["session_id"])
    event_type = _encoded(events["event_type"])
    can_visit = pc.is_in(event_type.dictionary, pa.array(SESSION_TYPES)).take(event_type.indices)
    in_visit = pc.and_(can_visit, pc.is_valid(events["event_hour"].combine_chunks()))
    visits = find_visits(
        customer.indices.to_numpy(zero_copy_only=False),
        pc.fill_null(own.indices, -1).to_numpy(zero_copy_only=False),
        events["event_time"].combine_chunks().cast(pa.int64()).to_numpy(zero_copy_only=False),
        events["event_date"].combine_chunks().cast(pa.int32()).to_numpy(zero_copy_only=False),
        in_visit.to_numpy(zero_copy_only=False),
        gap_minutes,
    )
    columns = {
        "session_id": _names(events, customer, own, visits, arrival),
        "is_session_start": pa.array(visits.is_start),
        "is_bounce": pa.array(visits.is_bounce),
        "session_step_seconds": pa.array(visits.step_seconds, pa.int32()),
    }
    for name, column in columns.items():
        events = events.set_column(events.column_names.index(name), name, column)
    return events


def _names(
    events: pa.Table, customer: pa.DictionaryArray, own: pa.DictionaryArray, visits: Visits, arrival: date
) -> pa.Array:
    """Each session named once, then handed to its rows."""
    first = np.zeros(visits.session.max(initial=-1) + 1, np.int64)
    named = np.flatnonzero(visits.session >= 0)[::-1]
    first[visits.session[named]] = named  # the first row of each session is written last
    if not visits.made.any():
        return own.dictionary.take(own.indices)
    who = pc.utf8_slice_codeunits(customer.dictionary.take(customer.indices.take(pa.array(first))), 0, 16)
    made = visits.made[first]
    source = events["source"][0].as_py() if len(events) else ""
    made_id = pc.binary_join_element_wise(who, source, f"{arrival:%Y%m%d}", pa.array(made).cast(pa.string()), "-")
    own_id = own.dictionary.take(own.indices.take(pa.array(first)))
    ids = pc.if_else(pa.array(made > 0), made_id, own_id)
    return ids.take(pa.array(visits.session, mask=visits.session < 0))


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """One dictionary for all its chunks."""
    if pa.types.is_dictionary(column.type):
        return column.unify_dictionaries().combine_chunks()
    return column.combine_chunks().dictionary_encode()


def _led(changes: np.ndarray, size: int) -> np.ndarray:
    """Whether each of ``size`` rows differs from the one before it; the first does."""
    return np.concatenate([np.ones(min(size, 1), bool), changes])


def _put(size: int, rows: np.ndarray, values: np.ndarray, otherwise: int) -> np.ndarray:
    out = np.full(size, otherwise, values.dtype)
    out[rows] = values
    return out
