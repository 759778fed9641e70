"""What measured checks compare: small numbers of a table's partitions, each read once."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.contract import Table
from jobs.home import Home
from jobs.lake import LakeTable

SAMPLE_ROWS = 50_000
"""Rows of a partition from which a distribution is estimated. The first ones: keys are hashes, so order is chance."""
WEEKS = 4


class History:
    """Numbers of one table's partitions in one home; remembers what it has read."""

    def __init__(self, home: Home, table: Table) -> None:
        self.home, self.table = home, LakeTable(home, table)
        self._known: dict[tuple, dict] = {}

    @cached_property
    def days(self) -> frozenset[date]:
        return frozenset(self.table.days())

    def same_weekdays(self, day: date) -> list[date]:
        """The last four same weekdays that have a partition, newest first."""
        return [past for n in range(1, WEEKS + 1) if (past := day - timedelta(days=7 * n)) in self.days]

    def counts(self, day: date, column: str) -> dict:
        """Value → rows of that day."""
        if (day, column) not in self._known:
            parts = [only_value(file, column) or _counted(file, column) for file in self._files(day)]
            self._known[day, column] = dict(sum((Counter(part) for part in parts), Counter()))
        return self._known[day, column]

    def sums(self, day: date, column: str, by: str) -> dict:
        """Value of ``by`` → sum of ``column`` on that day."""
        if (day, column, by) not in self._known:
            rows = self.table.read_arrow([day], [column, by]).group_by(by).aggregate([(column, "sum")])
            self._known[day, column, by] = dict(
                zip(rows[by].to_pylist(), rows[f"{column}_sum"].to_pylist(), strict=True)
            )
        return self._known[day, column, by]

    def null_shares(self, day: date) -> dict[str, float]:
        """Column → share of nulls, from the files' own statistics; empty for a day without rows."""
        if (day, "nulls") not in self._known:
            self._known[day, "nulls"] = _null_shares(self._files(day))
        return self._known[day, "nulls"]

    def sample(self, day: date, columns: list[str]) -> dict[str, np.ndarray]:
        """Column → values of the partition's first rows as doubles, NaN where missing."""
        parts, rows = [], 0
        for batch in self._batches(day, columns):
            parts.append(batch)
            rows += len(batch)
            if rows >= SAMPLE_ROWS:
                break
        table = pa.Table.from_batches(parts).slice(0, SAMPLE_ROWS) if parts else pa.table({c: [] for c in columns})
        return {
            name: table[name].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64) for name in columns
        }

    def _batches(self, day: date, columns: list[str]) -> Iterator[pa.RecordBatch]:
        for file in self._files(day):
            yield from pq.ParquetFile(file).iter_batches(batch_size=SAMPLE_ROWS, columns=columns)

    def _files(self, day: date) -> list[Path]:
        self.table.require([day])
        return sorted(self.table.folder(day).glob("*.parquet"))


def only_value(file: Path, column: str) -> dict:
    """The file's only value of ``column`` → its rows, by the file's statistics; empty where it holds several."""
    kept = pq.read_metadata(file)
    chunks = [kept.row_group(n).column(m) for n in range(kept.num_row_groups) for m in range(kept.num_columns)]
    stats = [chunk.statistics for chunk in chunks if chunk.path_in_schema == column]
    if not stats or not all(s and s.has_min_max and s.null_count == 0 and s.min == s.max for s in stats):
        return {}
    return {stats[0].min: kept.num_rows} if len({s.min for s in stats}) == 1 else {}


def _counted(file: Path, column: str) -> dict:
    rows = pq.read_table(file, columns=[column], read_dictionary=[column], partitioning=None)[column]
    found = pc.value_counts(rows)
    values, counts = found.field("values"), found.field("counts")
    values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    return dict(zip(values.to_pylist(), counts.to_pylist(), strict=True))


def _null_shares(files: list[Path]) -> dict[str, float]:
    nulls, rows = {}, 0
    for file in files:
        kept = pq.read_metadata(file)
        rows += kept.num_rows
        for group in (kept.row_group(n) for n in range(kept.num_row_groups)):
            for chunk in (group.column(n) for n in range(group.num_columns)):
                count = chunk.statistics.null_count if chunk.statistics else 0
                nulls[chunk.path_in_schema] = nulls.get(chunk.path_in_schema, 0) + count
    return {name: count / rows for name, count in nulls.items()} if rows else {}
