"""One delivered file → its rows of events, quarantine and ingest_report, which add up."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa

from expectations.contract import Table
from expectations.errors import DataError
from expectations.events import EVENTS, INGEST_REPORT, QUARANTINE
from jobs.reading.coded import Coded
from jobs.reading.deliveries import Delivery
from jobs.reading.feed import Feed
from jobs.reading.keys import CustomerKeys
from jobs.reading.layout import Parsed
from jobs.reading.map_rows import Mapped, map_rows
from jobs.reading.products import Products
from jobs.reading.read_source import read_source
from jobs.reading.rules import broken_rules
from jobs.reading.vault_file import NOBODY
from jobs.schemas import arrow_schema


@dataclass(frozen=True)
class Read:
    """What one file became; ``events`` has no sessions yet, and its texts as dictionaries.

    ``report`` is the file's row of ingest_report; ``problem`` says in words why the file was not read whole;
    ``customers`` whom each customer_key stands for.
    """

    events: pa.Table
    quarantine: pa.Table
    report: dict
    problem: str = ""
    customers: pa.Table = field(default_factory=lambda: NOBODY)


def ingest_file(item: Delivery, keys: CustomerKeys, products: Products, day: date) -> Read:
    """What could be read of the file."""
    known = {
        "source": item.mapping.source,
        "source_file": item.file,
        "mapping_digest": item.mapping.digest,
        "products_digest": products.digest,
        "feed": item.feed.name,
        "arrival_date": day,
        "file_digest": "",
    }
    try:
        data = item.read(day)
        known["file_digest"] = hashlib.sha256(data).hexdigest()
        feed = item.feed
        parsed = read_source(data, str(item.path), feed, feed.always, feed.source_columns, feed.drop_duplicates)
        return _sorted_out(item, parsed, keys, products, day, known)
    except DataError as error:
        return Read(_no_rows(EVENTS), _no_rows(QUARANTINE), _report(known), str(error))


def _layout(parsed: Parsed, feed: Feed) -> list[str]:
    """The file's columns by name. Keys within keys may be data (an address): only those that the mapping names."""
    named = set(feed.source_columns)
    return sorted(
        name for name in parsed.names if name and (feed.format != "jsonl" or "." not in name or name in named)
    )


def _sorted_out(item: Delivery, parsed: Parsed, keys: CustomerKeys, products: Products, day: date, known: dict) -> Read:
    """The file's rows, sorted into kept, refused and dropped."""
    size = len(parsed.line)
    mapped = map_rows(parsed.rows, size, item.feed, item.mapping, keys, day, products)
    dropped = np.logical_or.reduce([np.zeros(size, bool), *mapped.dropped.values()])
    broken = {rule: mask & ~dropped for rule, mask in mapped.broken(broken_rules(mapped.columns, EVENTS)).items()}
    broken = {rule: mask for rule, mask in broken.items() if mask.any()}
    refused = np.logical_or.reduce([np.zeros(size, bool), *broken.values()])
    rules_of = _rules_by_line(parsed.line, broken) | {n: [rule] for n, rule in parsed.refused.items()}
    kept = ~dropped & ~refused
    events = _events(item, parsed, mapped, kept)
    reasons = Counter(rule for rules in rules_of.values() for rule in rules)
    reasons += Counter({name: int(mask.sum()) for name, mask in _first_policy(mapped.dropped).items()})
    report = _report(
        known, kept=len(events), refused=len(rules_of), dropped=int(dropped.sum()), reasons=reasons,
        is_complete=not parsed.damage, rows_unknown_product=int((mapped.unknown_product & kept).sum()),
        rows_with_text=len(events) - events["text"].null_count, header="\n".join(_layout(parsed, item.feed)),
    )  # fmt: skip
    problem = parsed.damage and (
        f"{item.path}: {parsed.damage}; read were {report['rows_read']} rows; {report['rows_kept']} were kept. "
        "Deliver it again"
    )
    customers = _customers(mapped, kept, keys.key_id)
    return Read(events, _quarantine(item, parsed, rules_of, day), report, problem, customers)


def _events(item: Delivery, parsed: Parsed, mapped: Mapped, kept: np.ndarray) -> pa.Table:
    """The kept rows. Of the others nothing stays, not even a text in a dictionary."""
    size = len(parsed.line)
    columns = mapped.columns | {
        "source_file": Coded.constant(item.file, size).arrow(),
        "source_line": pa.array(parsed.line),
        "is_session_start": pa.repeat(pa.scalar(False), size),
        "is_bounce": pa.repeat(pa.scalar(False), size),
        "session_step_seconds": pa.repeat(pa.scalar(0, pa.int32()), size),
    }
    names = EVENTS.column_names
    if kept.all():
        return pa.table([columns[name] for name in names], names=names)
    rows = pa.table([columns[name] for name in names], names=names).filter(pa.array(kept)).combine_chunks()
    coded = [n for n, column in enumerate(rows.columns) if pa.types.is_dictionary(column.type)]
    for n in coded:
        rows = rows.set_column(n, names[n], Coded.of(rows.column(n)).compact().arrow())
    return rows


def _customers(mapped: Mapped, kept: np.ndarray, key_id: str) -> pa.Table:
    """Whom the keys of the kept rows stand for."""
    known = np.unique(mapped.customer_ids.codes[kept])
    known = pa.array(known[known >= 0])
    ids = mapped.customer_ids.values.take(known)
    columns = [mapped.columns["customer_key"].dictionary.take(known), ids, pa.repeat(key_id, len(ids))]
    return pa.table(columns, schema=NOBODY.schema)


def _first_policy(dropped: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A row that two policies drop counts for the first, so that counts add up."""
    taken, first = False, {}
    for name, mask in dropped.items():
        first[name] = mask & ~taken
        taken = taken | mask
    return first


def _rules_by_line(line: np.ndarray, broken: dict[str, np.ndarray]) -> dict[int, list[str]]:
    rules: dict[int, list[str]] = {}
    for rule, mask in sorted(broken.items()):
        for n in line[mask].tolist():
            rules.setdefault(n, []).append(rule)
    return rules


def _quarantine(item: Delivery, parsed: Parsed, rules_of: dict[int, list[str]], day: date) -> pa.Table:
    refused = sorted(rules_of)
    spans = [parsed.span(n) for n in refused]
    rows = {
        "source": [item.mapping.source] * len(refused),
        "source_file": [item.file] * len(refused),
        "source_line": refused,
        "byte_start": [start for start, _ in spans],
        "byte_end": [end for _, end in spans],
        "failed_rules": [rules_of[n] for n in refused],
        "arrival_date": [day] * len(refused),
    }
    return pa.table(rows, schema=arrow_schema(QUARANTINE))


def _report(
    known: dict, kept: int = 0, refused: int = 0, dropped: int = 0, reasons: Counter | None = None,
    is_complete: bool = False, **counts: object,
) -> dict:  # fmt: skip
    """The file's row of ingest_report, as far as it follows from the file alone."""
    read = kept + refused + dropped
    nothing = {column.name: 0 if column.type == "int64" else "" for column in INGEST_REPORT.columns}
    return nothing | known | counts | {
        "is_complete": is_complete,
        "rows_read": read,
        "rows_kept": kept,
        "rows_quarantined": refused,
        "rows_dropped": dropped,
        "reasons": "; ".join(f"{name}={n}" for name, n in sorted((reasons or {}).items()) if n),
        "quarantine_share": refused / read if read else 0.0,
    }  # fmt: skip


def _no_rows(table: Table) -> pa.Table:
    return arrow_schema(table).empty_table()
