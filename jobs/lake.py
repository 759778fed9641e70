"""The lake: Parquet, one folder per partition. The one place that reads and overwrites partitions."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.contract import Table
from expectations.errors import DataError
from jobs.home import Home
from jobs.schemas import arrow_schema, spark_ddl
from jobs.work_folder import work_folder
from ml.home import partition_days

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RECIPE_FILE = "_recipe"
"""Beside a partition's rows: what made them. Engines read no file whose name starts with an underscore."""
PART_ROWS = 1 << 19
"""Rows of one file of a partition that Arrow writes; a partition's files follow each other in the order of its key."""


@dataclass(frozen=True)
class LakeTable:
    """One contract's partitions in one home. A partition is a date; its folder holds the whole of it."""

    home: Home
    table: Table

    @property
    def root(self) -> Path:
        return self.home.lake / self.table.name

    @property
    def _work(self) -> Path:
        """Where partitions are written before they are put in place, on the same file system."""
        return self.home.lake / "_work" / self.table.name

    def folder(self, day: date) -> Path:
        return self.home.lake / self.table.folder(day)

    def has(self, day: date) -> bool:
        return self.folder(day).is_dir()

    def written_at(self, day: date) -> int:
        """When the partition was put in place, in nanoseconds since 1970; 0 if it is not there."""
        return self.folder(day).stat().st_mtime_ns if self.has(day) else 0

    def is_fresh(self, day: date, recipe: str, inputs: Iterable[tuple["LakeTable", date]]) -> bool:
        """Whether the partition was written by ``recipe``, and after every one of its ``inputs``."""
        made_by = self.folder(day) / RECIPE_FILE
        if not made_by.is_file() or made_by.read_text() != recipe:
            return False
        return self.written_at(day) > max((table.written_at(of) for table, of in inputs), default=0)

    def days(self) -> list[date]:
        """Partitions that exist, in order."""
        return partition_days(self.table, self.home.path)

    def require(self, days: Iterable[date]) -> list[date]:
        """``days``; DataError that names what to run if one of them is missing."""
        days = list(days)
        self.home.sources  # noqa: B018 - a home without a shop is a wrong setting, not missing data
        missing = [day for day in days if not self.has(day)]
        if missing and self._work.is_dir():
            with self._locked():  # a writer may be between its two renames, or have died there
                missing = [day for day in missing if not self._restored(day)]
        if missing:
            shown = ", ".join(map(str, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise DataError(f"{self.table.name} has no partition for {shown}: run the job that writes it first")
        return days

    # -- Arrow ---------------------------------------------------------------------------------------------------

    def read_arrow(
        self, days: Iterable[date], columns: list[str] | None = None, coded: tuple[str, ...] = ()
    ) -> pa.Table:
        """Rows of ``days`` in contract order of columns, partition by partition.

        ``coded``: columns of text to give dictionary-encoded, as they are stored: less to read and to hold.
        DataError for a partition that does not fit the contract: written before the contract changed.
        """
        schema = arrow_schema(self.table)
        schema = pa.schema([schema.field(name) for name in columns]) if columns else schema
        for name in coded:
            place = schema.get_field_index(name)
            schema = schema.set(place, schema.field(place).with_type(pa.dictionary(pa.int32(), pa.string())))
        parts = [self._read_day(day, schema) for day in self.require(days)]
        return pa.concat_tables([schema.empty_table(), *parts])

    def _read_day(self, day: date, schema: pa.Schema) -> pa.Table:
        parts = [schema.empty_table()]
        for file in sorted(self.folder(day).glob("*.parquet")):
            if lacking := sorted(set(schema.names) - set(pq.read_schema(file).names)):
                raise self._unfit(day, f"it lacks {', '.join(lacking)}")
            coded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
            part = pq.read_table(file, columns=schema.names, partitioning=None, read_dictionary=coded)
            try:
                parts.append(part.select(schema.names).cast(schema))
            except (pa.ArrowInvalid, ValueError) as error:
                raise self._unfit(day, str(error)) from error
        return pa.concat_tables(parts)

    def _unfit(self, day: date, why: str) -> DataError:
        return DataError(
            f"{self.folder(day)} does not fit the contract of {self.table.name} ({why}): "
            "run the job that writes it again"
        )

    def write_arrow(self, day: date, rows: pa.Table, recipe: str = "", is_sorted: bool = False) -> None:
        """Replaces the partition. Rows are sorted by key, so that equal rows make equal bytes, unless they are already.

        ``recipe``: see ``is_fresh``.
        """
        if rows.column_names != self.table.column_names:
            raise DataError(f"{self.table.name} takes {self.table.column_names}, was given {rows.column_names}")
        rows = rows.cast(arrow_schema(self.table))
        if not is_sorted:
            rows = rows.sort_by([(name, "ascending") for name in self.table.key])
        with self._staged() as staged:
            part = staged / "day"
            part.mkdir()
            write_parts(part, rows)
            if recipe:
                (part / RECIPE_FILE).write_text(recipe)
            self._swap(part, day)

    def write_file(self, day: date, write: Callable[[Path], None]) -> None:
        """Replaces the partition by the Parquet file that ``write`` makes at the path given, its rows sorted by key."""
        with self._staged() as staged:
            part = staged / "day"
            part.mkdir()
            write(part / "part-0.parquet")
            self._swap(part, day)

    def row_count(self, day: date) -> int:
        """Rows of the partition, by what its files say of themselves."""
        return sum(pq.read_metadata(file).num_rows for file in self.folder(day).glob("*.parquet"))

    # -- engine --------------------------------------------------------------------------------------------------

    def read(self, spark: "SparkSession", days: Iterable[date]) -> "DataFrame":
        """Rows of ``days`` with the contract's columns and types."""
        folders = [str(self.folder(day)) for day in self.require(days)]
        return spark.read.schema(spark_ddl(self.table)).parquet(*folders)

    def write(self, rows: "DataFrame", days: list[date], recipe: str = "", files: int = 1) -> None:
        """Replaces the partitions of ``days`` with ``rows``; a day without rows becomes an empty partition.

        Types must be the contract's: a mismatch raises before anything is replaced. ``recipe``: see ``is_fresh``.
        ``files``: 1, 2, 4, 8 or 16 a day, split by customer_key and written side by side: for tables of many rows.
        """
        from jobs.frames import checked

        rows = checked(rows, self.table)
        with self._staged() as staged:
            self._write_parts(rows, days, staged / "parts", files)
            for day in days:
                part = staged / f"day={day}"
                part.mkdir()
                self._gather(staged / "parts" / part.name, part)
                (part / RECIPE_FILE).write_text(recipe)
                self._swap(part, day)

    def _write_parts(self, rows: "DataFrame", days: list[date], staged: Path, files: int) -> None:
        """day=D/file=N/…: each file sorted, and the files of a day one after the other, so that equal rows make equal
        bytes. Sail keeps the sorting only where it writes into a new folder: not in mode overwrite."""
        from pyspark.sql import functions as F

        partition, key = self.table.partition, list(self.table.key)
        first_digit = F.substring("customer_key", 1, 1)
        file = sum((F.when(first_digit >= f"{16 // files * n:x}", 1).otherwise(0) for n in range(1, files)), F.lit(0))
        rows = rows.withColumns({"day": F.col(partition).cast("string"), "file": file.cast("int")})
        rows = rows.repartition(min(len(days) * files, 8), "day", "file")
        rows.sortWithinPartitions("day", "file", *key).write.partitionBy("day", "file").option(
            "compression", "zstd"
        ).parquet(str(staged))

    def _gather(self, written: Path, part: Path) -> None:
        """The files that an engine wrote for a day, under names of their order; an empty one where it wrote none."""
        files = sorted(written.glob("file=*/*.parquet"), key=lambda path: int(path.parent.name.partition("=")[2]))
        for n, file in enumerate(files):
            os.rename(file, part / f"part-{n}.parquet")
        if not files:
            pq.write_table(arrow_schema(self.table).empty_table(), part / "part-0.parquet")

    # -- both ----------------------------------------------------------------------------------------------------

    @contextmanager
    def replaced(self, day: date, recipe: str = "") -> Iterator[tuple[Path, Path]]:
        """(scratch, part): empty folders to write in. Left without an error, ``part`` takes the partition's place.

        For what is not written as rows; ``recipe``: see ``is_fresh``.
        """
        with self._staged() as staged:
            scratch, part = staged / "scratch", staged / "day"
            scratch.mkdir()
            part.mkdir()
            yield scratch, part
            (part / RECIPE_FILE).write_text(recipe)
            self._swap(part, day)

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """A folder to write in, gone afterwards; what a killed writer left is cleared away."""
        self.root.mkdir(parents=True, exist_ok=True)
        with work_folder(self._work, "staged-") as staged:
            yield staged

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time moves partitions of this table; a kill frees the lock."""
        with open(self._work / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _swap(self, staged: Path, day: date) -> None:
        """Puts ``staged`` in the partition's place by two renames; a reader never finds half a partition."""
        target, old = self.folder(day), self._old(day)
        with self._locked():
            self._restored(day)
            if target.exists():
                os.rename(target, old)
            os.utime(staged)  # the partition's age is that of its last replacement
            os.rename(staged, target)
            shutil.rmtree(old, ignore_errors=True)

    def drop(self, day: date) -> None:
        """Removes the partition, if it is there; a reader finds the whole of it or nothing."""
        target, old = self.folder(day), self._old(day)
        self._work.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if self._restored(day):
                os.rename(target, old)
        shutil.rmtree(old, ignore_errors=True)

    def _old(self, day: date) -> Path:
        return self._work / f"old-{day}"

    def _restored(self, day: date) -> bool:
        """Ends what a writer killed between its renames began; whether the partition is there now. Needs the lock."""
        old, target = self._old(day), self.folder(day)
        if old.exists():
            if target.exists():
                shutil.rmtree(old)
            else:
                os.rename(old, target)
        return target.is_dir()


def write_parts(folder: Path, rows: pa.Table) -> None:
    """Files of at most PART_ROWS rows, side by side: one where all fit in."""
    starts = range(0, max(len(rows), 1), PART_ROWS)
    width = len(str(len(starts) - 1))  # names sort as the rows do

    def write(n: int) -> None:
        part = rows.slice(starts[n], PART_ROWS)
        pq.write_table(part, folder / f"part-{n:0{width}}.parquet", compression="zstd")

    if len(starts) == 1:
        write(0)
    else:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(write, range(len(starts))))


def recipe_of(table: Table, *parts: object) -> str:
    """A digest of what makes the table's rows: its columns, the code (modules) and the settings in ``parts``."""
    digest = hashlib.sha256(repr(replace(table, checks=())).encode())
    for part in parts:
        digest.update(Path(part.__file__).read_bytes() if isinstance(part, ModuleType) else repr(part).encode())
    return digest.hexdigest()
