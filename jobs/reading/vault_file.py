"""Raw customer ids of a delivery, for the warehouse's vault alone: outside the lake, readable by their owner only."""

import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.home import Home

SCHEMA = pa.schema([("customer_key", pa.string()), ("customer_id", pa.string()), ("key_id", pa.string())])
NOBODY = SCHEMA.empty_table()


def vault_file(home: Home, day: date) -> Path:
    """Where the ids of the day's delivery lie."""
    return home.vault / f"{day}.parquet"


def keep_ids(home: Home, day: date, customers: list[pa.Table]) -> None:
    """Replaces the day's ids by ``customers``: each once, in the order of their keys."""
    rows = each_once(customers)
    home.vault.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.vault.chmod(0o700)
    staged = home.vault / f".{day}.{os.getpid()}"
    staged.unlink(missing_ok=True)
    with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        pq.write_table(rows, file, compression="zstd")
    os.replace(staged, vault_file(home, day))


def each_once(customers: list[pa.Table]) -> pa.Table:
    """Every customer of the tables once, in the order of their keys."""
    rows = pa.concat_tables([NOBODY, *(table.cast(SCHEMA) for table in customers)])
    names = SCHEMA.names
    return rows.group_by(names).aggregate([]).select(names).sort_by([(name, "ascending") for name in names])


def stamp(path: Path) -> str:
    """Changes whenever the file is written anew."""
    found = path.stat()
    return f"{found.st_size}-{found.st_mtime_ns}"
