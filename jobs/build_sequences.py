"""lake/events → lake/sequences: the last events of each customer as of a date, as arrays that training maps.

Point-in-time: what happened and had arrived by D. Running D again gives the same bytes.
"""

import argparse
import logging
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.errors import DataError
from expectations.events import EVENTS
from expectations.sequences import SEQUENCES
from expectations.texts import TEXT_SCORES
from jobs.arguments import add_skip_unchanged, job_parser
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.settings import load_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.behaviour.sequences import SequenceSettings

log = logging.getLogger(__name__)
SLICE_ROWS = 2_000_000
"""Events in memory at a time, unless one delivery holds more."""


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("build_sequences", __doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--ds", type=date.fromisoformat, nargs="+", metavar="D", help="snapshot dates, YYYY-MM-DD")
    what.add_argument(
        "--for-training", type=date.fromisoformat, metavar="D",
        help="every snapshot that `ml train --cutoff D` reads: none if none of its models reads sequences",
    )  # fmt: skip
    parser.add_argument(
        "--models", metavar="A,B", help="with --for-training: those to be trained (default: setting model.models)"
    )
    add_skip_unchanged(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from jobs.behaviour.sequences import SequenceSettings

    if args.ds and args.models:
        arg_parser().error("--models goes with --for-training")
    home = Home.from_environment(args.home)
    settings = load_settings(home, "sequences", SequenceSettings)
    for snapshot in sorted(set(args.ds or training_snapshots(home, args.for_training, args.models))):
        if args.skip_unchanged and is_fresh(home, snapshot, settings):
            log.info("sequences as of %s are up to date", snapshot)
        else:
            build(home, snapshot, settings)


def build(home: Home, snapshot: date, settings: "SequenceSettings") -> None:
    """Writes the sequences as of ``snapshot``."""
    from jobs.behaviour.sequences import write_sequences

    days = delivery_days(home, snapshot, settings)
    LakeTable(home, TEXT_SCORES).require(written_days(home, days, settings))
    with LakeTable(home, SEQUENCES).replaced(snapshot, recipe(settings)) as (scratch, target):
        customers, events = write_sequences(slices(home, days, settings), snapshot, settings, scratch, target)
        write_vectors(home, target)
    log.info("sequences as of %s: %s events of %s customers", snapshot, f"{events:,}", f"{customers:,}")


def delivery_days(home: Home, snapshot: date, settings: "SequenceSettings") -> list[date]:
    """The deliveries to read, in order and without a hole: the look-back, or as much of it as the shop has."""
    from jobs.behaviour.sequences import first_day

    events = LakeTable(home, EVENTS)
    ingested = [day for day in events.days() if day <= snapshot]
    if not ingested:
        raise DataError(f"nothing was ingested up to {snapshot}: ingest first")
    first = max(ingested[0], first_day(snapshot, settings))
    return events.require(first + timedelta(days=n) for n in range((snapshot - first).days + 1))


def slices(home: Home, days: list[date], settings: "SequenceSettings") -> "Iterator[tuple[date, pa.Table, pa.Table]]":
    """``days`` from the newest backwards, SLICE_ROWS at a time: (first day, rows of events, rows of text_scores)."""
    from jobs.behaviour.sequence_columns import CODED, COLUMNS, TEXT_COLUMNS

    events, scores, part, rows = LakeTable(home, EVENTS), LakeTable(home, TEXT_SCORES), [], 0

    def read() -> "tuple[date, pa.Table, pa.Table]":
        coded = ("source", "source_file", "text_hash")
        texts = scores.read_arrow(written_days(home, part, settings), TEXT_COLUMNS, coded)
        return part[0], events.read_arrow(part, COLUMNS, CODED), texts

    for day in reversed(days):
        size = events.row_count(day)
        if part and rows + size > SLICE_ROWS:
            yield read()
            part, rows = [], 0
        part.insert(0, day)
        rows += size
    yield read()


def written_days(home: Home, days: list[date], settings: "SequenceSettings") -> list[date]:
    """Those of ``days`` that brought texts, whose scores must be there; none if texts are switched off."""
    from jobs.text.scores import has_text

    return [day for day in days if has_text(home, day)] if settings.texts else []


def write_vectors(home: Home, target: Path) -> None:
    """text_vectors of the hashes in ``target``: what the shop's encoder made of each text, 0 where none is kept."""
    import numpy as np
    import pyarrow as pa

    hashes, vectors = np.load(target / "text_hashes.npy"), np.zeros((0, 0), np.float16)
    if len(hashes):
        kept = kept_vectors(home, pa.array(hashes.astype(str), pa.string()))
        found = pa.concat_arrays(kept["vector"].chunks).flatten().to_numpy().reshape(len(kept), -1)
        vectors = np.zeros((len(hashes), found.shape[1]), np.float16)
        vectors[np.searchsorted(hashes, kept["text_hash"].to_numpy().astype("S"))] = found
    np.save(target / "text_vectors.npy", vectors)


def kept_vectors(home: Home, hashes: "pa.Array") -> "pa.Table":
    """text_hash and vector of those of ``hashes`` that the shop's encoder has seen; DataError if it is none of them."""
    from jobs.text.encoder import encoder_name
    from jobs.text.settings import TextSettings
    from jobs.text.vectors import VectorCache

    encoder = encoder_name(load_settings(home, "text", TextSettings).encoder)
    kept = VectorCache(home, encoder, scoring="").vectors(hashes)
    if not len(kept):
        raise DataError(f"lake/text_vectors knows none of {len(hashes)} texts under {encoder}: encode them first")
    return kept


def training_snapshots(home: Home, cutoff: date, models: str | None = None) -> list[date]:
    """The cutoffs that training ``models`` as of ``cutoff`` learns from and is tested on; none if none reads events."""
    from ml.models import SEQUENCE_MODELS
    from ml.settings import trained_models, training_cutoffs

    trained = trained_models(models, home.path)
    if not set(trained) & set(SEQUENCE_MODELS):
        log.info("nothing to build: none of %s reads sequences", ", ".join(trained))
        return []
    days = LakeTable(home, EVENTS).days()
    if not days:
        raise DataError("lake/events is empty: ingest first")
    return training_cutoffs(cutoff, days[0], home.path)


@cache
def recipe(settings: "SequenceSettings") -> str:
    """What makes the arrays."""
    from expectations import sequences as contract
    from jobs.behaviour import sequence_columns, sequences

    return recipe_of(SEQUENCES, contract, sequence_columns, sequences, sys.modules[__name__], settings)


def is_fresh(home: Home, snapshot: date, settings: "SequenceSettings") -> bool:
    """Whether the snapshot was written by today's code and settings after every delivery it is made of."""
    events = LakeTable(home, EVENTS)
    days = delivery_days(home, snapshot, settings)
    inputs = [(events, day) for day in days]
    inputs += [(LakeTable(home, TEXT_SCORES), day) for day in written_days(home, days, settings)]
    return LakeTable(home, SEQUENCES).is_fresh(snapshot, recipe(settings), inputs)
