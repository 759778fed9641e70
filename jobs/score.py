"""lake/features + a registered model version → lake/scores, embeddings: what every customer will do next."""

import argparse
import logging
from datetime import date
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURES
from expectations.commands import model_version
from expectations.segments import EMBEDDINGS, SCORES
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable

if TYPE_CHECKING:
    import pyarrow as pa

    from ml.predict import Predictor

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("score", __doc__)
    add_day(parser)
    parser.add_argument(
        "--model", type=model_version, required=True, metavar="NAME/VERSION", help="a registered version"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.cohorts import INPUT_COLUMNS
    from ml.predict import load_predictor
    from ml.recalibrate import recipe_for, under
    from ml.threads import one_thread

    home, day = Home.from_environment(args.home), args.ds
    rows = LakeTable(home, FEATURES).read_arrow([day], ["snapshot_date", *INPUT_COLUMNS])
    predictor = load_predictor(*args.model, home.path)
    if predictor.model.uses_sequences:
        renew_sequences(home, day)
    with one_thread():  # the same calibration whatever the machine
        recipe = recipe_for(predictor, day, home.path)
    predictor = under(predictor, recipe.calibration)
    scores, embeddings = scored(predictor, rows, day, home, *args.model)
    LakeTable(home, SCORES).write_arrow(day, scores, str(recipe))
    keep_embeddings(home, day, embeddings)
    told = f"on {recipe.customers:,} customers of {recipe.calibrated_on}" if recipe.calibrated_on else "as trained"
    shown = f"{predictor.label} ({predictor.about.model}), calibrated {told}"
    log.info("scored %s customers as of %s with %s", f"{len(rows):,}", day, shown)


def keep_embeddings(home: Home, day: date, embeddings: "pa.Table | None") -> None:
    """Those of a day scored before by a model that makes some give way to none: they are not of this version."""
    from jobs.schemas import arrow_schema

    target = LakeTable(home, EMBEDDINGS)
    if embeddings is not None or target.has(day):
        target.write_arrow(day, arrow_schema(EMBEDDINGS).empty_table() if embeddings is None else embeddings)


def renew_sequences(home: Home, day: date) -> None:
    """Builds the sequences that the model reads, unless they are there and fresh."""
    from jobs import build_sequences

    build_sequences.main(
        build_sequences.arg_parser().parse_args(["--home", str(home.path), "--ds", str(day), "--skip-unchanged"])
    )


def scored(
    predictor: "Predictor", rows: "pa.Table", day: date, home: Home, name: str, version: int
) -> "tuple[pa.Table, pa.Table | None]":
    """Rows of SCORES, and of EMBEDDINGS if the model makes any."""
    import pyarrow as pa

    told = predictor.score(rows, day, home.path)
    known = {"customer_key": rows["customer_key"], "snapshot_date": rows["snapshot_date"]}
    model = {
        "model_name": pa.repeat(name, len(rows)),
        "model_version": pa.repeat(pa.scalar(version, pa.int32()), len(rows)),
        "model_cutoff_date": pa.repeat(date.fromisoformat(predictor.about.cutoff), len(rows)),
    }
    columns = known | {"is_eligible": predictor.is_eligible(rows)} | model
    columns |= {column: told[column] for column in told.column_names}
    scores = pa.table({column: columns[column] for column in SCORES.column_names})
    if "embedding" not in columns:
        return scores, None
    return scores, pa.table({column: columns[column] for column in EMBEDDINGS.column_names})
