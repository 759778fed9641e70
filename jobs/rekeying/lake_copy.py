"""The lake under the new key, made beside the old one: a partition at a time, so that a kill loses one at most."""

import logging
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.dimensions import CUSTOMERS
from expectations.errors import DataError
from expectations.sequences import SEQUENCES
from expectations.tables import TABLES
from expectations.texts import TEXT_VECTORS
from jobs.lake import write_parts
from jobs.rekeying.key_map import KeyMap
from jobs.rekeying.sequences_copy import rekey_sequences

log = logging.getLogger(__name__)

KEYED = {"customer_key", "text_hash"}


def copy_lake(lake: Path, target: Path, keys: KeyMap) -> int:
    """Makes ``target`` hold every table of ``lake`` under the new key; returns how many partitions were due.

    A partition of ``target`` that is as old as the lake's is left as it is, so that a second call does the rest, and
    what was written meanwhile. What holds no key is linked, not copied.
    """
    due = 0
    for table in sorted(path for path in lake.glob("[!_]*") if path.is_dir()):
        made = target / table.name
        made.mkdir(parents=True, exist_ok=True)
        for gone in {path.name for path in made.iterdir()} - {path.name for path in table.iterdir()}:
            _remove(made / gone)
        copied = sum(_copy(part, made / part.name, keys) for part in sorted(table.iterdir()))
        if copied:
            log.info("%s: %d partitions", table.name, copied)
        due += copied
    for gone in {path.name for path in target.iterdir()} - {path.name for path in lake.iterdir()}:
        _remove(target / gone)
    return due


def _copy(part: Path, made: Path, keys: KeyMap) -> bool:
    """Whether there was anything to do."""
    written = part.stat().st_mtime_ns  # before it is read: what is replaced meanwhile is due again
    if made.exists() and made.stat().st_mtime_ns == written:
        return False
    _remove(made)
    if part.is_file():
        _link(part, made)
        return True
    staged = made.with_name(f".{made.name}")
    _remove(staged)
    staged.mkdir()
    _fill(part, staged, keys)
    # Stages tell by these times what is up to date.
    os.utime(staged, ns=(written, written))
    os.rename(staged, made)
    return True


def _fill(part: Path, staged: Path, keys: KeyMap) -> None:
    table, files = part.parent.name, sorted(part.glob("*.parquet"))
    keyed = [file for file in files if KEYED & set(pq.read_schema(file).names)]
    if table == SEQUENCES.name:
        rekey_sequences(part, staged, keys)
    elif table == TEXT_VECTORS.name:  # each file is named by what made it
        for file in keyed:
            pq.write_table(rekeyed(table, [file], keys), staged / file.name, compression="zstd")
    elif keyed:
        write_parts(staged, rekeyed(table, keyed, keys))
    for file in part.rglob("*"):
        made = staged / file.relative_to(part)
        if file.is_dir():
            made.mkdir(exist_ok=True)
        elif not made.exists() and file not in keyed:
            _link(file, made)


def rekeyed(table: str, files: list[Path], keys: KeyMap) -> pa.Table:
    """Rows of the files under the new key, sorted as the table's contract says."""
    rows = pa.concat_tables(pq.read_table(file, partitioning=None) for file in files)
    if "customer_key" in rows.column_names:
        rows = _rekey_customers(table, files[0].parent, rows, keys)
    if "text_hash" in rows.column_names:
        rows = _set(rows, "text_hash", keys.texts(rows["text_hash"]))
    order = list(TABLES[table].key) if table in TABLES else sorted(KEYED & set(rows.column_names))
    return rows.sort_by([(name, "ascending") for name in order]) if KEYED & set(order) else rows


def _rekey_customers(table: str, part: Path, rows: pa.Table, keys: KeyMap) -> pa.Table:
    found = keys.customers(rows["customer_key"])
    if unknown := found.null_count:
        if table != CUSTOMERS.name:
            raise DataError(
                f"{unknown:,} rows of {part} are of customers whose raw ids are in no vault: ingest their deliveries "
                "again (`python -m jobs ingest --from D --to D`), then run rekey again"
            )
        log.warning("%d customers of %s are left out: they never bought, and their file is gone", unknown, part)
        rows, found = rows.filter(pc.is_valid(found)), found.drop_null()
    if "session_id" in rows.column_names:
        rows = _set(rows, "session_id", _sessions(rows, found))
    if "key_id" in rows.column_names:
        rows = _set(rows, "key_id", pa.repeat(keys.new.key_id, len(rows)))
    return _set(rows, "customer_key", found)


def _sessions(rows: pa.Table, found: pa.Array) -> pa.ChunkedArray:
    """Names of sessions that ingestion made begin with the customer's key."""
    name = rows["session_id"].combine_chunks()
    whose, now = (pc.utf8_slice_codeunits(column, 0, 16) for column in (rows["customer_key"].combine_chunks(), found))
    is_made = pc.equal(pc.utf8_slice_codeunits(name, 0, 17), pc.binary_join_element_wise(whose, "", "-"))
    made = pc.binary_join_element_wise(now, pc.utf8_slice_codeunits(name, 16), "")
    return pc.if_else(pc.fill_null(is_made, False), made, name)


def _set(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = rows.column_names.index(name)
    return rows.set_column(place, rows.schema.field(place), values.cast(rows.schema.field(place).type))


def _link(file: Path, made: Path) -> None:
    """The same file under another name: what the lake holds is replaced, never changed."""
    try:
        os.link(file, made)
    except OSError:  # another file system, or one without links
        shutil.copy2(file, made)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
