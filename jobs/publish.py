"""Segments of one day → warehouse: load into staging, audit there, then switch the day in one transaction.

A reader sees the whole old day or the whole new one. Publishing a day again replaces it; the current day, which the
views without a date show, only moves forward.
"""

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import psycopg
from psycopg import errors

from expectations.contract import Table
from expectations.errors import DataError, UnavailableError
from expectations.segments import CUSTOMER_SEGMENTS, SCORES
from expectations.version import code_version
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.marts.publish_staging import content_digest, drop_leftovers, load, make_attachable, not_set_up
from jobs.marts.publish_switch import Snapshot, switch
from jobs.marts.warehouse import connect, uri
from jobs.marts.warehouse_ddl import PARTITIONED

log = logging.getLogger(__name__)

DAY_LOCK = 0x4C445059
"""First half of the advisory lock on a day's publish; the second is the day as yyyymmdd."""

DAY_LOCK_TIMEOUT = "15min"


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
    """Makes the lake's segments of ``day`` visible in the marts.

    Raises DataError if the audit refuses them (the marts stay as they are, the staging table stays for inspection),
    UnavailableError if the warehouse goes away or another publisher or reader holds on for too long.
    """
    rows = {table: LakeTable(home, table).read_arrow([day]) for table in PARTITIONED}
    scored = LakeTable(home, SCORES).read_arrow([day], ["customer_key"]).num_rows
    with connect(home, autocommit=True) as connection, _explained(), _only_publisher_of(connection, day):
        drop_leftovers(connection, day)
        staged = {table: load(home, table, day, rows[table]) for table in PARTITIONED}
        log.info("loaded %d customers of %s into staging", rows[CUSTOMER_SEGMENTS].num_rows, day)
        try:
            passed, warned = audit(home, connection, staged, day, scored)
            model_name, model_version = _model(connection, staged[CUSTOMER_SEGMENTS], day)
        except DataError as error:
            kept = ", ".join(f"staging.{name}" for name in staged.values())
            raise DataError(f"{error}\nnothing was published; the refused rows are in {kept}") from error
        for table, name in staged.items():
            make_attachable(connection, table, name, day)
        snapshot = Snapshot(
            day=day, customers=scored, content_digest=content_digest(connection, staged[CUSTOMER_SEGMENTS]),
            model_name=model_name, model_version=model_version, code_version=code_version(),
            checks_passed=passed, checks_warned=warned,
        )  # fmt: skip
        switch(connection, snapshot, staged)
    log.info("%s is visible in the marts", day)
    return snapshot


def audit(
    home: Home, connection: psycopg.Connection, staged: dict[Table, str], day: date, scored: int
) -> tuple[int, int]:
    """Checks the staged rows; returns how many checks held and how many warned. DataError if one fails."""
    name = staged[CUSTOMER_SEGMENTS]
    found = connection.execute(f"select count(*) from staging.{name}").fetchone()[0]
    if found != scored:
        raise DataError(
            f"audit of {day}: {found:,} customers have a segment, {scored:,} a score in lake/scores: "
            f"run `python -m jobs segment --ds {day}` again"
        )
    from jobs.checks.gate import gate_sql  # Great Expectations takes seconds to import

    address = uri(home, driver="psycopg")
    results = [gate_sql(home, table, address, "staging", name, day) for table, name in staged.items()]
    for result in results:
        result.raise_if_failed(advice=f"mend what wrote the segments of {day}, segment that day again, then publish it")
    held = [outcome for result in results for outcome in result.outcomes if outcome.passed]
    return 1 + len(held), sum(len(result.warned) for result in results)


def _model(connection: psycopg.Connection, name: str, day: date) -> tuple[str, int]:
    models = connection.execute(
        f"select distinct model_name, model_version from staging.{name} order by 1, 2"
    ).fetchall()
    if len(models) != 1:
        shown = ", ".join(f"{model}/{version}" for model, version in models)
        raise DataError(f"audit of {day}: one model scores a day, these rows name {len(models)}: {shown}")
    return models[0]


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
        raise UnavailableError(f"the warehouse went away while publishing: {error}") from error
