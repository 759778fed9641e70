"""Prints NAME/VERSION to score a day with: the version its scores name if it was scored before, else the champion.

So a re-run of a day gives what the day gave, whatever was promoted since. A version that can score no more, since the
features are others now or it is gone, gives way to the champion.
"""

import argparse
import logging
from datetime import date

import pyarrow.parquet as pq

from expectations.commands import command_parser
from expectations.errors import DataError, SetupError
from expectations.segments import SCORES
from ml.home import HomePath, partition_folder

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "resolve", __doc__)
    parser.add_argument(
        "--ds", type=date.fromisoformat, required=True, metavar="D", help="the day to be scored, YYYY-MM-DD"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    print(resolve(args.ds, args.home))


def resolve(day: date, home: HomePath = None) -> str:
    """NAME/VERSION for ``day``; DataError if its scores name several, SetupError where it needs a champion in vain."""
    from ml.registry import MODEL_NAME, required_champion

    before = scored_with(day, home)
    if before and not (why_not := unfit(*before, home)):
        return "{}/{}".format(*before)
    chosen = f"{MODEL_NAME}/{required_champion(home)}"
    if before:
        log.warning("%s was scored with %s/%d, from now on with the champion %s: %s", day, *before, chosen, why_not)
    return chosen


def unfit(name: str, version: int, home: HomePath = None) -> str:
    """Why a version can score no more; empty if it can. The champion is not asked: nothing could take its place."""
    from ml.registry import champion

    if version == champion(home, name):
        return ""
    from ml.predict import require_scorable

    try:
        require_scorable(name, version, home)
    except (DataError, SetupError) as error:  # not where something did not answer: a retry may find it well
        return str(error)
    return ""


def scored_with(day: date, home: HomePath = None) -> tuple[str, int] | None:
    """(name, version) in the rows of lake/scores of ``day``; None if the day was not scored.

    Nor does a day count that was scored under an earlier contract, by a version that today's code cannot ask.
    """
    found = set()
    for file in partition_folder(SCORES, day, home).glob("*.parquet"):
        if set(SCORES.column_names) - set(pq.read_schema(file).names):
            return None
        rows = pq.read_table(file, columns=["model_name", "model_version"], partitioning=None)
        found |= {
            (row["model_name"], row["model_version"])
            for row in rows.group_by(rows.column_names).aggregate([]).to_pylist()
        }
    if len(found) > 1:
        named = ", ".join(f"{name}/{version}" for name, version in sorted(found))
        raise DataError(f"{partition_folder(SCORES, day, home)} was scored with several models: {named}; remove it")
    return next(iter(found), None)
