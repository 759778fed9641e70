"""Rows of a dimension's file → its table of the contract: ids cleaned and keyed as those of events. Pure."""

import logging
from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.errors import DataError
from jobs.reading.clean_ids import clean
from jobs.reading.coded import Coded, joined, tidy
from jobs.reading.dimension import TABLES, Dimension
from jobs.reading.keys import CustomerKeys
from jobs.reading.layout import Parsed
from jobs.reading.mapping import Mapping
from jobs.reading.numbers import read_numbers, to_decimal
from jobs.reading.rules import broken_rules
from jobs.reading.times import read_times
from jobs.schemas import arrow_schema

log = logging.getLogger(__name__)
MOST_REFUSED = 0.1
"""Share of refused rows beyond which the file, or its mapping, is wrong."""


def dimension_rows(
    parsed: Parsed, dimension: Dimension, mapping: Mapping, keys: CustomerKeys, arrival: date, file: str
) -> pa.Table:
    """The rows that hold the contract, one for each id: the last that speaks of it.

    What is refused is told in the log; DataError if it is more than MOST_REFUSED of the file.
    """
    table, size = TABLES[dimension.table], len(parsed.line)
    schema, failed = arrow_schema(table), {}
    columns = {name: _column(name, parsed, dimension, mapping.timezone, schema, failed) for name in schema.names}
    ids = ids_of(parsed, dimension)
    columns |= {
        "source": Coded.constant(mapping.source, size).arrow(),
        "arrival_date": pa.array(np.full(size, np.datetime64(arrival)), pa.date32()),
        table.key[-1]: (keys.of_ids(ids) if dimension.table == "customers" else ids).arrow(),
    }
    broken = broken_rules(columns, table)
    broken = {rule: failed.get(rule, False) | broken.get(rule, False) for rule in failed | broken}
    refused = np.logical_or.reduce([np.zeros(size, bool), *broken.values()])
    _tell_refused(file, parsed, {rule: int(mask.sum()) for rule, mask in broken.items()}, parsed.line[refused])
    rows = pa.table([columns[name] for name in schema.names], names=schema.names).filter(pa.array(~refused))
    return _last_of_each(rows.cast(schema), table.key[-1], file)


def ids_of(parsed: Parsed, dimension: Dimension) -> Coded:
    """Whom or what each line is about, as its source mapping cleans it."""
    return clean(_text(parsed, dimension, dimension.key), dimension.ids.get(dimension.key))


def _column(
    name: str, parsed: Parsed, dimension: Dimension, timezone: str, schema: pa.Schema, failed: dict[str, np.ndarray]
) -> pa.Array:
    kind = schema.field(name).type
    if name not in dimension.columns:
        return pa.nulls(len(parsed.line), kind)
    column, meanings = dimension.columns[name][0], dimension.values.get(name, {})
    if pa.types.is_date(kind):
        given = parsed.rows[column]
        given = given.mapped(tidy) if isinstance(given, Coded) else given
        read = read_times(given, dimension.time_formats, 0, timezone)
        failed |= {f"{column}_not_a_time": read.unread} if read.unread.any() else {}
        return read.date
    text = _text(parsed, dimension, name)
    if meanings:
        text = text.mapped(lambda texts: _translated(texts, meanings))
    if pa.types.is_string(kind):
        return text.arrow()
    numbers, wrong = read_numbers(text)
    failed |= {f"{column}_not_a_number": wrong} if wrong.any() else {}
    if not pa.types.is_decimal(kind):
        return pa.array(numbers, from_pandas=True)
    decimals, too_large = to_decimal(numbers, len(numbers))
    failed |= {f"{name}_too_large": too_large} if too_large.any() else {}
    return decimals


def _translated(texts: pa.Array, meanings: dict[str, str | float]) -> pa.Array:
    """What each text means; a text without a meaning of its own stands for itself."""
    place = pc.index_in(texts, pa.array(list(meanings)))
    return pc.coalesce(pa.array([str(meaning) for meaning in meanings.values()]).take(place), texts)


def _text(parsed: Parsed, dimension: Dimension, target: str) -> Coded:
    parts = [parsed.rows[column] for column in dimension.columns[target]]
    parts = [(p if isinstance(p, Coded) else Coded.of(p.cast(pa.string()))).mapped(tidy) for p in parts]
    return joined(parts)


def _tell_refused(file: str, parsed: Parsed, rules: dict[str, int], lines: np.ndarray) -> None:
    counts = Counter(rules) + Counter(parsed.refused.values())
    refused, read = len(lines) + len(parsed.refused), len(parsed.line) + len(parsed.refused)
    if not refused:
        return
    at = sorted([*lines.tolist(), *parsed.refused])[:5]
    why = ", ".join(f"{rule} {n:,}" for rule, n in sorted(counts.items()))
    told = f"{file}: {refused:,} of {read:,} rows refused ({why}), the first in line {', '.join(map(str, at))}"
    if refused > MOST_REFUSED * read:
        raise DataError(f"{told}. More than a tenth: the file or its mapping is wrong")
    log.warning("%s", told)


def _last_of_each(rows: pa.Table, key: str, file: str) -> pa.Table:
    numbered = rows.select([key]).append_column("row", pa.array(np.arange(len(rows))))
    last = np.sort(numbered.group_by(key).aggregate([("row", "max")])["row_max"].to_numpy())
    if len(last) < len(rows):
        log.warning(
            "%s: %s rows speak of an id that a later row speaks of: the last counts", file, len(rows) - len(last)
        )
    return rows.take(pa.array(last))
