"""Old key → new key, of every customer whose raw id is known and of every text that the lake holds."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.dimensions import CUSTOMERS
from expectations.errors import DataError
from expectations.events import EVENTS
from expectations.vault import CUSTOMER_IDS
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.local.postgres_cluster import is_made
from jobs.marts.warehouse import ACTIVATION, connect, is_external
from jobs.reading.ingest_dimensions import delivered_ids
from jobs.reading.keys import CustomerKeys
from jobs.reading.mapping import load_mapping
from jobs.text.scores import has_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyMap:
    """``old_keys`` and ``new_keys``: customers, in the same order; ``old`` and ``new``: what makes further ones."""

    home: Home
    old: CustomerKeys
    new: CustomerKeys
    old_keys: pa.Array
    new_keys: pa.Array

    @classmethod
    def of(cls, home: Home, old: CustomerKeys, new: CustomerKeys, vaults: Iterable[Path]) -> "KeyMap":
        """Of all raw ids: in the folders ``vaults``, in the warehouse's vault, and in files that tell of customers."""
        ids = {*_in_folders(vaults), *_in_warehouse(home), *_in_landing(home)}
        log.info("raw ids of %s customers are known", f"{len(ids):,}")
        old_keys, new_keys = (pa.array([keys.key(one) for one in ids], pa.string()) for keys in (old, new))
        return cls(home, old, new, old_keys, new_keys)

    def customers(self, keys: pa.ChunkedArray) -> pa.ChunkedArray:
        """Their new keys; null for a customer whose raw id is not known."""
        return self.new_keys.take(pc.index_in(keys, self.old_keys).combine_chunks())

    def texts(self, hashes: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Their new hashes. A text that the lake no longer holds gets one that nothing else has."""
        place = pc.index_in(hashes, self._texts[0])
        found = self._texts[1].take(place.combine_chunks() if isinstance(place, pa.ChunkedArray) else place)
        pairs = zip(found.to_pylist(), hashes.to_pylist(), strict=True)
        return pa.array([new or self.new.key(f"hash\0{old}") for new, old in pairs], pa.string())

    @cached_property
    def _texts(self) -> tuple[pa.Array, pa.Array]:
        events, texts = LakeTable(self.home, EVENTS), set()
        for day in events.days():
            if has_text(self.home, day):
                texts.update(events.read_arrow([day], ["text"])["text"].unique().to_pylist())
        made = [f"text\0{text}" for text in sorted(texts - {None})]
        return tuple(pa.array([keys.key(text) for text in made], pa.string()) for keys in (self.old, self.new))


def _in_folders(vaults: Iterable[Path]) -> Iterator[str]:
    for file in (file for folder in vaults for file in sorted(folder.glob("*.parquet"))):
        yield from pq.read_table(file, columns=["customer_id"])["customer_id"].unique().to_pylist()


def _in_warehouse(home: Home) -> Iterator[str]:
    if is_external() or is_made(home):
        with connect(home, ACTIVATION) as connection:
            yield from (one for (one,) in connection.execute(f"select customer_id from vault.{CUSTOMER_IDS.name}"))


def _in_landing(home: Home) -> Iterator[str]:
    """Who is told of and may never have bought: ingestion keeps no id of theirs."""
    days = LakeTable(home, CUSTOMERS).days()
    for mapping in map(load_mapping, home.sources if days else ()):
        for dimension in (one for one in mapping.dimensions if one.table == CUSTOMERS.name):
            for day in days:
                try:
                    yield from delivered_ids(home, mapping, dimension, day)
                except DataError as error:
                    log.warning("%s", error)
