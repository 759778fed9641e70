"""A day's tables → warehouse: load them all into staging, audit them there, then switch the day in one transaction.

A reader sees the whole old day or the whole new one. Publishing a day again replaces it; the current day, which the
views without a date show, only moves forward. Raw ids of customers that deliveries brought go into the vault.
"""

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg import errors

from expectations.errors import DataError, SetupError, UnavailableError
from expectations.segments import CUSTOMER_SEGMENTS, SCORES
from expectations.tables import PUBLISHED
from expectations.version import code_version
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.marts.publish_audit import audit, model_of
from jobs.marts.publish_staging import Staged, digest_of_day, drop_leftovers, not_set_up, stage_all
from jobs.marts.publish_switch import Snapshot, switch
from jobs.marts.vault import fill_vault
from jobs.marts.warehouse import connect
from jobs.marts.warehouse_ddl import stored_name
from jobs.settings import load_settings

log = logging.getLogger(__name__)

DAY_LOCK = 0x4C445059
"""First half of the advisory lock on a day's publish; the second is the day as yyyymmdd."""

DAY_LOCK_TIMEOUT = "15min"

WRITTEN_BY = {
    "customer_segments": "segment",
    "segment_settings": "segment",
    "stage_transitions": "segment",
    "clusters": "cluster",
    "customer_tags": "tag",
    "segment_portraits": "portray",
    "risk_alerts": "assess_risk",
    "churn_watchlist": "watch_churn",
    "recommendations": "recommend",
    "recommendation_quality": "recommend",
    "next_actions": "choose_actions",
    "cohort_retention": "measure_outcomes",
    "model_performance": "measure_outcomes",
    "data_quality": "measure_outcomes",
}
"""Published table → the job that writes a day of it."""


@dataclass(frozen=True)
class PublishSettings:
    """``keep_days``: days before the current one whose rows of customers stay in the warehouse; 0: all of them.

    What is counted over customers stays for good. Bounds of the audit are set in section ``checks``.
    """

    keep_days: int = 0

    def __post_init__(self) -> None:
        if self.keep_days < 0:
            raise SetupError(f"publish: keep_days must be 0 (keep all) or more, found {self.keep_days}")


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("publish", __doc__)
    add_day(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    snapshot = publish(Home.from_environment(args.home), args.ds)
    print(
        f"published {snapshot.day}: {snapshot.customers:,} customers scored by {snapshot.model_name}/"
        f"{snapshot.model_version}; {snapshot.checks_passed} checks held, {snapshot.checks_warned} warned; "
        f"content {snapshot.content_digest[:12]}"
    )


def publish(home: Home, day: date) -> Snapshot:
    """Makes the lake's tables of ``day`` visible in the marts.

    Raises DataError if one of them is missing or the audit refuses them (the marts stay as they are, the staging tables
    stay for inspection), UnavailableError if the warehouse goes away, its disk is full, or another publisher or reader
    holds on for too long.
    """
    settings = load_settings(home, "publish", PublishSettings)
    require(home, day)
    scored = LakeTable(home, SCORES).row_count(day)
    with connect(home, autocommit=True) as connection, _explained(), _only_publisher_of(connection, day):
        for table in PUBLISHED:  # rather than to find out after the audit that one is missing
            connection.execute(f"select from warehouse.{stored_name(table)} limit 0")
        fill_vault(home)
        drop_leftovers(connection, day)
        staged: list[Staged] = []
        try:
            checked = audit(home, connection, day, _noted(stage_all(home, day), staged), scored)
        except DataError as error:
            if not staged:
                raise
            kept = ", ".join(sorted(f"staging.{each.name}" for each in staged))
            raise DataError(f"{error}\nnothing was published; the refused rows are in {kept}") from error
        segments = next(each for each in staged if each.table is CUSTOMER_SEGMENTS)
        model_name, model_version = model_of(connection, segments.name)
        snapshot = Snapshot(
            day=day, customers=segments.rows, content_digest=digest_of_day(staged), model_name=model_name,
            model_version=model_version, code_version=code_version(), checks_passed=checked.held,
            checks_warned=checked.warned,
        )  # fmt: skip
        switch(connection, snapshot, staged, settings.keep_days)
    log.info("%s is visible in the marts", day)
    return snapshot


def require(home: Home, day: date) -> None:
    """DataError that names the jobs to run if a table of the day, or its scores, are missing."""
    lacking = {}
    for table in (SCORES, *PUBLISHED):
        try:
            LakeTable(home, table).require([day])
        except DataError:
            lacking[table.name] = WRITTEN_BY.get(table.name, "score")
    if lacking:
        jobs = " and ".join(f"`python -m jobs {job} --ds {day}`" for job in dict.fromkeys(lacking.values()))
        has = "has" if len(lacking) == 1 else "have"
        raise DataError(f"{', '.join(lacking)} {has} no partition for {day}: run {jobs} first")


def _noted(staging: Iterator[Staged], noted: list[Staged]) -> Iterator[Staged]:
    for each in staging:
        log.info("loaded %d rows of %s", each.rows, each.table.name)
        noted.append(each)
        yield each


@contextmanager
def _only_publisher_of(connection: psycopg.Connection, day: date) -> Iterator[None]:
    """One publisher a day, from loading to switching; the lock goes with the connection, so a kill frees it."""
    lock = [DAY_LOCK, int(f"{day:%Y%m%d}")]
    if not connection.execute("select pg_try_advisory_lock(%s, %s)", lock).fetchone()[0]:
        log.info("another publish of %s is running: waiting for it", day)
        connection.execute(f"set lock_timeout = '{DAY_LOCK_TIMEOUT}'")
        try:
            connection.execute("select pg_advisory_lock(%s, %s)", lock)
        except errors.LockNotAvailable as error:
            raise UnavailableError(f"another publish of {day} has not ended within {DAY_LOCK_TIMEOUT}") from error
        connection.execute("set lock_timeout = 0")
    yield


@contextmanager
def _explained() -> Iterator[None]:
    """The server's errors as a person's: what is missing, or that another try may do."""
    try:
        yield
    except (errors.UndefinedTable, errors.InvalidSchemaName, errors.InsufficientPrivilege) as error:
        raise not_set_up(error) from error
    except psycopg.OperationalError as error:
        raise UnavailableError(f"the warehouse did not carry the publish through: {error}") from error
