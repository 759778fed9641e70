"""The cache of what became of each text: files that only grow in number, read by text hash, merged now and then."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.texts import TEXT_VECTORS
from jobs.home import Home
from jobs.schemas import arrow_schema

SCORES = ["text_hash", "language", "sentiment", "topic"]
MOST_FILES = 64
"""A run adds a file; so many small ones become one."""
SMALL_BYTES = 64 * 2**20


@dataclass(frozen=True)
class VectorCache:
    """lake/text_vectors of one encoder. ``scoring`` names what made language, sentiment and topic.

    Vectors stay when the scoring changes, scores do not: it stands in each file's name. Several processes may add.
    """

    home: Home
    encoder: str
    scoring: str

    @property
    def folder(self) -> Path:
        return self.home.lake / TEXT_VECTORS.name / f"{TEXT_VECTORS.partition}={self.encoder}"

    def scores(self, hashes: pa.Array) -> pa.Table:
        """text_hash, language, sentiment and topic of those of ``hashes`` that today's scoring has seen."""
        with self._lock(fcntl.LOCK_SH):
            return self._find(hashes, SCORES, f"{self.scoring}-*.parquet")

    def vectors(self, hashes: pa.Array) -> pa.Table:
        """text_hash and vector of those of ``hashes`` that were ever encoded, one row each."""
        with self._lock(fcntl.LOCK_SH):
            found = self._find(hashes, ["text_hash", "vector"], "*.parquet")
        return _first_of_each(found)

    def add(self, rows: pa.Table) -> None:
        """Keeps ``rows`` (the contract's columns but ``encoder``) of texts not yet scored; all of them or none."""
        with self._lock(fcntl.LOCK_EX):
            known = self._find(rows["text_hash"], ["text_hash"], f"{self.scoring}-*.parquet")["text_hash"]
            rows = _first_of_each(rows.filter(pc.invert(pc.is_in(rows["text_hash"], known))))
            if rows.num_rows:
                self._put([self._whole(rows)])
            self._merge()

    def _whole(self, rows: pa.Table) -> pa.Table:
        rows = rows.append_column("encoder", pa.repeat(pa.scalar(self.encoder), rows.num_rows))
        return rows.select(TEXT_VECTORS.column_names).cast(arrow_schema(TEXT_VECTORS)).sort_by("text_hash")

    def _find(self, hashes: pa.Array, columns: list[str], pattern: str) -> pa.Table:
        schema = arrow_schema(TEXT_VECTORS)
        found = [pa.schema([schema.field(name) for name in columns]).empty_table()]
        for file in sorted(self.folder.glob(pattern)):
            hit = pc.is_in(pq.read_table(file, columns=["text_hash"], partitioning=None)["text_hash"], hashes)
            if pc.any(hit).as_py():
                found.append(pq.read_table(file, columns=columns, partitioning=None).filter(hit))
        return pa.concat_tables(found)

    def _put(self, parts: list[pa.Table] | Iterator[pa.Table]) -> None:
        """Writes ``parts`` as one file beside the others, by a rename: a reader sees the whole of it or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        staged = self._work / f"staged-{uuid.uuid4().hex}"
        with pq.ParquetWriter(staged, arrow_schema(TEXT_VECTORS), compression="zstd") as writer:
            for part in parts:
                writer.write_table(part)
        os.rename(staged, self.folder / f"{self.scoring}-{uuid.uuid4().hex}.parquet")

    def _merge(self) -> None:
        """Many small files of today's scoring into one. Killed between the two steps, rows stand twice, unharmed."""
        files = [file for file in sorted(self.folder.glob(f"{self.scoring}-*")) if file.stat().st_size < SMALL_BYTES]
        if len(files) > MOST_FILES:
            self._put(pq.read_table(file, partitioning=None) for file in files)
            for file in files:
                file.unlink()

    @property
    def _work(self) -> Path:
        return self.home.lake / "_work" / TEXT_VECTORS.name

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        """Readers share it, a writer has it alone and clears what a killed one left; a kill frees it."""
        self._work.mkdir(parents=True, exist_ok=True)
        with open(self._work / "lock", "w") as lock:
            fcntl.flock(lock, kind)
            if kind == fcntl.LOCK_EX:
                for left in self._work.glob("staged-*"):
                    left.unlink()
            yield


def _first_of_each(rows: pa.Table) -> pa.Table:
    """One row per text_hash, ordered by it."""
    _, first = np.unique(rows["text_hash"].to_numpy(), return_index=True)
    return rows.take(first)
