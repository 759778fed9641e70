"""lake/events → lake/text_scores: sentiment and topic of what customers wrote; a text is encoded once in its life.

A day without texts costs a look at its files' footers; nothing heavy is imported and no engine started.
"""

import argparse
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from expectations.events import EVENTS
from expectations.texts import TEXT_SCORES, TEXT_VECTORS
from jobs.arguments import add_days, add_engine, add_skip_unchanged, days_of, job_parser
from jobs.engine import open_engine
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.reading.keys import CustomerKeys
from jobs.schemas import arrow_schema
from jobs.settings import load_settings
from jobs.text import chinese, encode, encoder, language, sentiment, topics
from jobs.text.scores import has_text
from jobs.text.settings import TextSettings
from jobs.text.vectors import VectorCache

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)
SLICE_DAYS = 7
"""Days whose texts are in memory at once."""
CHUNK_TEXTS = 20_000
"""Texts encoded between two additions to the cache: some minutes of work, the most that a kill can lose."""
_FROM_EVENTS = [name for name in TEXT_SCORES.column_names if name in EVENTS.column_names]


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("encode_text", __doc__)
    add_days(parser)
    add_engine(parser)
    add_skip_unchanged(parser)
    return parser


class TextScoring:
    """One run over a home: reads texts, encodes what the cache lacks, writes the days' scores."""

    def __init__(self, home: Home, engine: str | None):
        self.home, self.settings = home, load_settings(home, "text", TextSettings)
        self._engine, self._opened = engine, ExitStack()
        self.target, self.events = LakeTable(home, TEXT_SCORES), LakeTable(home, EVENTS)

    def __enter__(self) -> "TextScoring":
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    @cached_property
    def _spark(self) -> "SparkSession":
        return self._opened.enter_context(open_engine(self._engine))

    @cached_property
    def _name(self) -> str:
        return encoder.encoder_name(self.settings.encoder)

    @cached_property
    def _cache(self) -> VectorCache:
        scoring = recipe_of(TEXT_VECTORS, chinese, encode, language, sentiment, topics, self.settings)
        return VectorCache(self.home, self._name, scoring[:12])

    def recipe(self, day: date) -> str:
        """What makes the day's rows."""
        if not has_text(self.home, day):
            return recipe_of(TEXT_SCORES)
        return recipe_of(TEXT_SCORES, self._cache.encoder, self._cache.scoring)

    def is_fresh(self, day: date) -> bool:
        """Whether the day was scored by today's code, settings and encoder after its events were written."""
        return self.target.is_fresh(day, self.recipe(day), [(self.events, day)])

    def run(self, days: list[date]) -> None:
        """Writes text_scores of ``days``, a slice at a time."""
        with_text = [day for day in days if has_text(self.home, day)]
        for day in sorted(set(days) - set(with_text)):
            self.target.write_arrow(day, arrow_schema(TEXT_SCORES).empty_table(), self.recipe(day))
        log.info("%d of %d day(s) hold texts", len(with_text), len(days))
        for n in range(0, len(with_text), SLICE_DAYS):
            self._run_slice(with_text[n : n + SLICE_DAYS])

    def _run_slice(self, days: list[date]) -> None:
        rows = self._rows(days)
        texts = distinct_texts(rows)
        for chunk in self._unknown(texts):
            self._cache.add(encode.encode_texts(self._spark, chunk, self.settings, self._name))
            log.info("scored %s texts", f"{chunk.num_rows:,}")
        scored = with_scores(rows, self._cache.scores(texts["text_hash"]))
        for day in days:
            self.target.write_arrow(day, scored.filter(pc.equal(scored["arrival_date"], day)), self.recipe(day))
        log.info("%s … %s: %s rows, %s distinct texts", days[0], days[-1], f"{len(scored):,}", f"{len(texts):,}")

    def _rows(self, days: list[date]) -> pa.Table:
        """Events with a text that is not blank, and the hash of it."""
        parts = [self.events.read_arrow([day], [*_FROM_EVENTS, "text"]) for day in days]
        rows = pa.concat_tables(
            part.filter(pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(part["text"]), ""), False)) for part in parts
        )
        return rows.append_column("text_hash", hashed(rows["text"], CustomerKeys.of(self.home)))

    def _unknown(self, texts: pa.Table) -> Iterator[pa.Table]:
        """Chunks of the texts that the cache has not scored, each with its vector if there is one."""
        known = self._cache.scores(texts["text_hash"])["text_hash"]
        missing = texts.filter(pc.invert(pc.is_in(texts["text_hash"], known)))
        for n in range(0, len(missing), CHUNK_TEXTS):
            chunk = missing.slice(n, CHUNK_TEXTS)
            vectors = self._cache.vectors(chunk["text_hash"])
            found = pc.index_in(chunk["text_hash"], vectors["text_hash"])
            yield chunk.append_column("vector", vectors["vector"].combine_chunks().take(found))


def hashed(texts: pa.ChunkedArray, keys: CustomerKeys) -> pa.Array:
    """text_hash of each text, hashed once if it repeats. Keyed, so that guesses of a text cannot be tried out."""
    encoded = texts.combine_chunks().dictionary_encode()
    made = [keys.key(f"text\0{text}") for text in encoded.dictionary.to_pylist()]
    return pa.array(made, pa.string()).take(encoded.indices)


def distinct_texts(rows: pa.Table) -> pa.Table:
    """text_hash and text, one row each, ordered by hash."""
    return (
        rows.group_by("text_hash")
        .aggregate([("text", "min")])
        .rename_columns({"text_min": "text"})
        .sort_by("text_hash")
    )


def with_scores(rows: pa.Table, scores: pa.Table) -> pa.Table:
    """Rows of text_scores: each event with the language, sentiment and topic of its text."""
    found = pc.index_in(rows["text_hash"], scores["text_hash"])
    for name in ("language", "sentiment", "topic"):
        rows = rows.append_column(name, scores[name].combine_chunks().take(found.combine_chunks()))
    return rows.select(TEXT_SCORES.column_names)


def main(args: argparse.Namespace) -> None:
    home, days = Home.from_environment(args.home), days_of(args, arg_parser())
    LakeTable(home, EVENTS).require(days)
    with TextScoring(home, args.engine) as scoring:
        days = [day for day in days if not (args.skip_unchanged and scoring.is_fresh(day))]
        if not days:
            log.info("text_scores is up to date")
            return
        scoring.run(days)
