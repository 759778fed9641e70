"""The whole line for one shop: land, bootstrap history in bulk, train, the last open days through Airflow, summary.

What is there and unchanged is reused, so that running it again is quick and leaves the marts as they were.
"""

import argparse
import os
import re
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from expectations.behaviour import FEATURES
from expectations.errors import DataError
from expectations.segments import SCORES
from expectations.tables import PUBLISHED
from jobs import aggregate, build_features
from jobs.arguments import add_engine, job_parser
from jobs.home import Home
from jobs.ingest import deliveries, is_unchanged
from jobs.lake import LakeTable
from jobs.local.processes import only_run
from jobs.local.stages import Stages
from jobs.marts.warehouse import READER, connect
from jobs.open_day import is_closed
from jobs.reading.mapping import Mapping, load_mapping
from jobs.stale import stale_jobs

SAMPLE = "complete_journey"


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("run_shop", __doc__)
    parser.add_argument("--source", default=SAMPLE, help="name of a mapping in jobs/sources (default: the sample shop)")
    parser.add_argument("--landing", type=Path, metavar="DIR", help="folder of the shop's daily files")
    parser.add_argument("--days", type=int, default=3, help="last open days to run through Airflow (default: 3)")
    add_engine(parser)
    return parser


def landed_days(landing: Path, mapping: Mapping) -> list[date]:
    """Open days for which every required file is there, in order."""
    days: set[date] | None = None
    for feed in mapping.feeds:
        if not feed.optional:
            found = set(_days_of_feed(landing, feed.files))
            days = found if days is None else days & found
    return sorted(day for day in days or () if mapping.expected.is_open(day))


def _days_of_feed(landing: Path, files: str) -> list[date]:
    pattern = re.compile(re.escape(files).replace(r"\{ds\}", r"(\d{4}-\d\d-\d\d)"))
    paths = (str(path.relative_to(landing)) for path in landing.glob(files.replace("{ds}", "*")))
    return [date.fromisoformat(match[1]) for path in paths if (match := pattern.fullmatch(path))]


def plan_days(days: list[date], daily: int) -> tuple[date, date, list[date]]:
    """First and last day of the history to bootstrap, and the days to run one by one after it."""
    if len(days) <= daily:
        raise DataError(f"{len(days)} open day(s) have landed; at least {daily + 1} are needed")
    runs = days[-daily:]
    return (
        days[0],
        runs[0] - timedelta(days=1),
        [runs[0] + timedelta(days=n) for n in range((runs[-1] - runs[0]).days + 1)],
    )


def main(args: argparse.Namespace) -> None:
    home, mapping = Home.from_environment(args.home), load_mapping(args.source)
    engine = args.engine or os.environ.get("LIFESTAGE_ENGINE") or "sail"
    with only_run(home):
        run(Stages(home, engine), mapping, args.landing, args.days)


def run(stages: Stages, mapping: Mapping, landing: Path | None, days: int) -> None:
    """Every stage in order, each shown as it goes."""
    from jobs.run_days import run_days
    from ml.settings import load_model_settings

    home = stages.home
    where = ["--landing", str(landing.resolve())] if landing else []
    stages.run("setup", "jobs", "setup", "--source", mapping.source, *where)
    with stages.background("databases", partial(initialise_databases, home)):
        if mapping.source == SAMPLE and not landing:
            stages.run("land", "jobs", "land_sample")
        first, last, daily = plan_days(require_landed(home, mapping), days)
        cutoff = last - timedelta(days=load_model_settings(home.path).horizons.judged_days)
        bootstrap(stages, first, last, cutoff)
    stages.run("train", "ml", "train", "--cutoff", str(cutoff), "--reuse")
    due = due_days(home, mapping, daily)
    for day in sorted(set(daily) - set(due)):
        stages.say("daily", f"{day} is published and unchanged")
    if due:
        with stages.narrated("daily", "jobs.run_days"):
            run_days(home, due, stages.engine)
    stages.run("summary", "jobs", "summary", results=True)
    stages.say("done", f"in {stages.elapsed:.0f} s; largest process {stages.peak_mb:,.0f} MB")


def initialise_databases(home: Home) -> None:
    """Airflow's and MLflow's own tables: half a minute of start-up that ingestion can hide."""
    from jobs.local.airflow_env import migrate
    from ml.tracking import initialise

    migrate(home)
    initialise(home.path)


def require_landed(home: Home, mapping: Mapping) -> list[date]:
    """The days that have landed; DataError that says where files were looked for."""
    landing = home.landing_of(mapping.source)
    days = landed_days(landing, mapping)
    if not days:
        wanted = ", ".join(feed.files.format(ds="YYYY-MM-DD") for feed in mapping.feeds if not feed.optional)
        raise DataError(
            f"no day of {mapping.source} in {landing}: expected files {wanted}. Name the folder: LANDING=DIR"
        )
    return days


def bootstrap(stages: Stages, first: date, last: date, cutoff: date) -> None:
    """History in bulk: one call a job over the whole range; what is unchanged is left alone."""
    span = ("--from", str(first), "--to", str(last))
    engine = ("--engine", stages.engine)
    stages.run("ingest", "jobs", "ingest", *span, "--skip-unchanged")
    stages.run("validate events", "jobs", "validate", "--table", "events", *span, *engine, "--skip-unchanged")
    stages.run("encode text", "jobs", "encode_text", *span, *engine, "--skip-unchanged")
    stages.run("aggregate", "jobs", "aggregate", *span, *engine, "--skip-unchanged")
    training = ("--for-training", str(cutoff))
    stages.run("build features", "jobs", "build_features", *training, *engine, "--skip-unchanged")
    stages.run("build sequences", "jobs", "build_sequences", *training, "--skip-unchanged")


def due_days(home: Home, mapping: Mapping, days: list[date]) -> list[date]:
    """The days to run: the first that is not shown as its inputs make it, and every later one."""
    for n, day in enumerate(days):
        if not is_published(home, mapping, day):
            return days[n:]
    return []


def is_published(home: Home, mapping: Mapping, day: date) -> bool:
    """Whether the warehouse shows the day as today's files, history, code and settings make it."""
    features, scores = (LakeTable(home, table) for table in (FEATURES, SCORES))
    if not (is_unchanged(home, day, deliveries(home, mapping, day)) and aggregate.is_fresh(home, day)):
        return False
    if is_closed(home, day):  # it is noted, and the marts have no such day
        return True
    if not (build_features.is_fresh(home, day) and scores.written_at(day) > features.written_at(day)):
        return False
    if stale_jobs(home, day):
        return False
    made = [LakeTable(home, table).written_at(day) for table in PUBLISHED]
    if min(made) <= features.written_at(day):
        return False
    with connect(home, READER) as connection:
        (published,) = connection.execute(
            "select max(published_at) from marts.publish_log where snapshot_date = %s", [day]
        ).fetchone()
    return published is not None and published.timestamp() * 1e9 > max(made)
