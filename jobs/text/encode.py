"""Texts → vector, language, sentiment and topic of each, where the engine's workers are."""

import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from expectations.contract import TYPES
from expectations.texts import TEXT_VECTORS
from jobs.schemas import arrow_schema
from jobs.text.encoder import Encoder, load_encoder
from jobs.text.language import language_of
from jobs.text.sentiment import Sentiment
from jobs.text.settings import TextSettings
from jobs.text.topics import Topics

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXTS_A_TASK = 1000
"""Enough that loading an encoder is a small part of a task's time, few enough that no worker stays idle."""
_LOADING = threading.Lock()
_COLUMNS = [column for column in TEXT_VECTORS.columns if column.name != TEXT_VECTORS.partition]
_SCHEMA = pa.schema([arrow_schema(TEXT_VECTORS).field(column.name) for column in _COLUMNS])
_DDL = ", ".join(f"`{column.name}` {TYPES[column.type][0]}" for column in _COLUMNS)


def encode_texts(spark: "SparkSession", texts: pa.Table, settings: TextSettings, name: str) -> pa.Table:
    """text_hash, text and vector (null where not yet known) → the columns of text_vectors but ``encoder``."""
    tasks = -(-texts.num_rows // TEXTS_A_TASK)
    rows = spark.createDataFrame(texts).repartition(tasks, "text_hash")
    return rows.mapInArrow(encoding(settings, name), _DDL).toArrow().cast(_SCHEMA).sort_by("text_hash")


def encoding(settings: TextSettings, name: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that a worker runs over its batches. The encoder is loaded once per process."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield scorer_of(settings, name).score(batch)

    return run


def scorer_of(settings: TextSettings, name: str) -> "Scorer":
    """The process's scorer; tasks that are its threads wait for the one that loads it."""
    with _LOADING:
        return _load(settings, name)


@cache
def _load(settings: TextSettings, name: str) -> "Scorer":
    return Scorer(load_encoder(settings.encoder, name), settings)


class Scorer:
    """Everything that one encoder says of texts."""

    def __init__(self, encoder: Encoder, settings: TextSettings):
        self._encoder, self._settings = encoder, settings
        self._topics = Topics(encoder)
        self.sentiment = Sentiment(encoder, leans=settings.understands("en"))

    def score(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """text_hash, text, vector → text_hash, vector, language, sentiment, topic; a vector given is not made again."""
        texts = batch.column("text").to_pylist()
        languages = [language_of(text, self._settings.latin_language) for text in texts]
        vectors = self._vectors(texts, batch.column("vector"))
        topics = self._topics.of(vectors)
        told = [
            t if self._settings.understands(language) else None for t, language in zip(topics, languages, strict=True)
        ]
        columns = [
            batch.column("text_hash").cast(pa.string()),
            pa.ListArray.from_arrays(
                np.arange(0, vectors.size + 1, self._encoder.dimension, dtype=np.int32), pa.array(vectors.ravel())
            ),
            pa.array(languages, pa.string()),
            pa.array(self.sentiment.of(texts, languages, vectors), pa.float64()),
            pa.array(told, pa.string()),
        ]
        return pa.RecordBatch.from_arrays(columns, names=_SCHEMA.names)

    def _vectors(self, texts: list[str], given: pa.Array) -> np.ndarray:
        vectors = np.empty((len(texts), self._encoder.dimension), np.float32)
        known = given.is_valid().to_numpy(zero_copy_only=False)
        for n in np.flatnonzero(known):
            vectors[n] = given[n].values
        vectors[~known] = self._encoder.encode([texts[n] for n in np.flatnonzero(~known)])
        return vectors
