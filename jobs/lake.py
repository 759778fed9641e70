"""The lake: Parquet, one folder per partition. The one place that reads and overwrites partitions."""

import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.contract import Table
from expectations.errors import DataError
from jobs.home import Home
from jobs.schemas import arrow_schema, spark_ddl

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class LakeTable:
    """One contract's partitions in one home. A partition is a date; its folder holds the whole of it."""

    home: Home
    table: Table

    @property
    def root(self) -> Path:
        return self.home.lake / self.table.name

    def folder(self, day: date) -> Path:
        return self.home.lake / self.table.folder(day)

    def has(self, day: date) -> bool:
        return self.folder(day).is_dir()

    def written_at(self, day: date) -> float:
        """When the partition was put in place, in seconds since 1970; 0 if it is not there."""
        return self.folder(day).stat().st_mtime if self.has(day) else 0.0

    def days(self) -> list[date]:
        """Partitions that exist, in order."""
        prefix = f"{self.table.partition}="
        found = self.root.glob(f"{prefix}*") if self.root.is_dir() else ()
        return sorted(date.fromisoformat(p.name.removeprefix(prefix)) for p in found)

    def require(self, days: Iterable[date]) -> list[date]:
        """``days``; DataError that names what to run if one of them is missing."""
        days = list(days)
        missing = [day for day in days if not self.has(day)]
        if missing:
            shown = ", ".join(map(str, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise DataError(f"{self.table.name} has no partition for {shown}: run the job that writes it first")
        return days

    # -- Arrow ---------------------------------------------------------------------------------------------------

    def read_arrow(self, days: Iterable[date], columns: list[str] | None = None) -> pa.Table:
        """Rows of ``days`` in contract order of columns, partition by partition."""
        schema = arrow_schema(self.table)
        schema = pa.schema([schema.field(name) for name in columns]) if columns else schema
        parts = [
            pq.read_table(file, columns=schema.names, partitioning=None).select(schema.names).cast(schema)
            for day in self.require(days)
            for file in sorted(self.folder(day).glob("*.parquet"))
        ]
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def write_arrow(self, day: date, rows: pa.Table) -> None:
        """Replaces the partition. Rows are sorted by key, so that equal rows make equal bytes."""
        if rows.column_names != self.table.column_names:
            raise DataError(f"{self.table.name} takes {self.table.column_names}, was given {rows.column_names}")
        schema = arrow_schema(self.table)
        rows = rows.cast(schema).sort_by([(name, "ascending") for name in self.table.key])
        staged = self._stage()
        pq.write_table(rows, staged / "part-0.parquet", compression="zstd")
        self._swap(staged, day)

    # -- engine --------------------------------------------------------------------------------------------------

    def read(self, spark: "SparkSession", days: Iterable[date]) -> "DataFrame":
        """Rows of ``days`` with the contract's columns and types."""
        folders = [str(self.folder(day)) for day in self.require(days)]
        return spark.read.schema(spark_ddl(self.table)).parquet(*folders)

    def write(self, rows: "DataFrame", days: list[date]) -> None:
        """Replaces the partitions of ``days`` with ``rows``; a day without rows becomes an empty partition.

        Types must be the contract's: a mismatch raises before anything is replaced.
        """
        from jobs.frames import checked

        rows = checked(rows, self.table)
        staged = self._stage()
        try:
            self._write_parts(rows, days, staged)
            for day in days:
                part = staged / f"day={day}"
                if not part.is_dir():
                    part.mkdir()
                    pq.write_table(arrow_schema(self.table).empty_table(), part / "part-0.parquet")
                self._swap(part, day)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _write_parts(self, rows: "DataFrame", days: list[date], staged: Path) -> None:
        from pyspark.sql import functions as F

        partition, key = self.table.partition, list(self.table.key)
        rows = rows.withColumn("day", F.col(partition).cast("string"))
        # One sorted file a day: equal rows make an equal file, and readers open few.
        rows.repartition(min(len(days), 8), "day").sortWithinPartitions("day", *key).write.mode(
            "overwrite"
        ).partitionBy("day").option("compression", "zstd").parquet(str(staged))

    # -- both ----------------------------------------------------------------------------------------------------

    def _stage(self) -> Path:
        staged = self.root / f"_staged-{uuid.uuid4().hex}"
        staged.mkdir(parents=True)
        return staged

    def _swap(self, staged: Path, day: date) -> None:
        """Puts ``staged`` in the partition's place by two renames; a reader never finds half a partition."""
        target = self.folder(day)
        old = self.root / f"_old-{uuid.uuid4().hex}"
        if target.exists():
            os.rename(target, old)
        os.utime(staged)  # the partition's age is that of its last replacement
        os.rename(staged, target)
        shutil.rmtree(old, ignore_errors=True)
