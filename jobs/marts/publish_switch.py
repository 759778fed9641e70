"""The one transaction that makes a staged day visible."""

import logging
import time
from dataclasses import dataclass
from datetime import date, timedelta

import psycopg
from psycopg import errors

from expectations.contract import Table
from expectations.errors import UnavailableError
from expectations.segments import CUSTOMER_SEGMENTS, PUBLISH_LOG, SEGMENT_SUMMARY
from expectations.views import rounded
from jobs.marts.publish_staging import DAY_CHECK, Staged
from jobs.marts.versions import partitions, stored_names
from jobs.marts.warehouse_ddl import POINTER, partition_name, partition_of, quoted, stored_name

log = logging.getLogger(__name__)

SWITCH_LOCK = 0x4C535749
"""Advisory lock that lets one publisher at a time switch a day."""

LOCK_ATTEMPT = "900ms"
"""How long one attempt waits for readers to finish: new readers queue behind it meanwhile. Below PostgreSQL's
deadlock_timeout of 1 s: where a reader holds one table and waits for another, it is the publisher that gives way."""

LOCK_LIMIT_S = 600
"""How long to keep trying before giving up."""

MOST_DROPPED = 60
"""Old partitions that one publish drops; each takes locks, and what is left over waits for the next publish."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What publish_log says of a publish, besides its number and its time."""

    day: date
    customers: int
    content_digest: str
    model_name: str
    model_version: int
    code_version: str
    checks_passed: int
    checks_warned: int


def switch(connection: psycopg.Connection, snapshot: Snapshot, staged: list[Staged], keep_days: int = 0) -> None:
    """Puts the staged tables in the place of the day's partitions, with summary, pointer and log; all or nothing.

    ``keep_days``: days of customers' rows to keep before the current one; 0: all. The day itself always stays.
    """
    with connection.transaction():
        # Readers wait for the commit: it does not wait for a disk that may have gigabytes of staging to write. A server
        # that crashes before ``_make_durable`` shows the whole old day again, and the publisher has not said "done".
        connection.execute("set local synchronous_commit = off")
        _only_switcher(connection)
        _replace_summary(connection, snapshot.day, next(s.name for s in staged if s.table is CUSTOMER_SEGMENTS))
        old = _replaced(connection, snapshot.day, staged)
        old |= _outlived(connection, snapshot.day, staged, keep_days) if keep_days else {}
        # From here to the commit readers are shut out: nothing slow may follow.
        _swap_patiently(connection, snapshot.day, staged, old)
        _move_pointer(connection, snapshot.day)
        _log_publish(connection, snapshot)
    _make_durable(connection)
    # Their files take a while to go, and now nobody waits for it. Left by a kill, they go with the next publish.
    for name in old:
        connection.execute(f"drop table if exists staging.{name}")


def _make_durable(connection: psycopg.Connection) -> None:
    """Waits until the switch is on the disk: a commit that waits takes all before it along."""
    connection.execute(f"update {POINTER} set snapshot_date = snapshot_date where name = 'current'")


def _only_switcher(connection: psycopg.Connection) -> None:
    try:
        with connection.transaction():  # the lock outlives it, the timeout is put back below
            connection.execute(f"set local lock_timeout = '{LOCK_LIMIT_S}s'")
            connection.execute("select pg_advisory_xact_lock(%s)", [SWITCH_LOCK])
    except errors.LockNotAvailable as error:
        found = _holders(connection, "l.locktype = 'advisory' and l.classid = 0 and l.objid = %s", SWITCH_LOCK)
        raise UnavailableError(
            f"the right to switch a day has been held for {LOCK_LIMIT_S} s ({found}): end that session, then retry"
        ) from error
    connection.execute("set local lock_timeout = 0")


def _swap_patiently(connection: psycopg.Connection, day: date, staged: list[Staged], old: dict[str, str]) -> None:
    parents = [f"warehouse.{name}" for each in staged for name in stored_names(connection, each.table)]
    deadline = time.monotonic() + LOCK_LIMIT_S
    while True:
        try:
            with connection.transaction():
                # Of the whole statement: lock_timeout would count for each table anew.
                connection.execute(f"set local statement_timeout = '{LOCK_ATTEMPT}'")
                # Also for a new day: a query planned before it was attached must not run after the pointer has moved.
                connection.execute(f"lock table only {', only '.join(parents)} in access exclusive mode")
                connection.execute("set local statement_timeout = 0")
                connection.execute(f"set local lock_timeout = '{LOCK_ATTEMPT}'")
                for name, parent in old.items():
                    connection.execute(f"alter table warehouse.{parent} detach partition warehouse.{name}")
                    connection.execute(f"alter table warehouse.{name} set schema staging")
                for each in staged:
                    _attach(connection, each.table, each.name, day)
            return
        except (errors.LockNotAvailable, errors.QueryCanceled) as error:
            holders = _holders(connection, "l.relation = any(%s::regclass[])", parents)
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"readers have held the marts for {LOCK_LIMIT_S} s ({holders}): end their transactions, then retry"
                ) from error
            log.info("waiting for readers of the marts to finish: %s", holders)
            time.sleep(1)


def _attach(connection: psycopg.Connection, table: Table, name: str, day: date) -> None:
    parent, partition = f"warehouse.{stored_name(table)}", partition_name(table, day)
    connection.execute(f"alter table staging.{name} set schema warehouse")
    connection.execute(f"alter table warehouse.{name} rename to {partition}")
    connection.execute(
        f"alter table {parent} attach partition warehouse.{partition} for values in ({quoted(str(day))})"
    )
    connection.execute(f"alter table warehouse.{partition} drop constraint {DAY_CHECK}")


def _replaced(connection: psycopg.Connection, day: date, staged: list[Staged]) -> dict[str, str]:
    """Partition → stored table of the day as it is: in the contract's version, or in an older one, which it leaves."""
    stored = [name for each in staged for name in stored_names(connection, each.table)]
    return {partition_of(name, day): name for name in stored if day in partitions(connection, name)}


def _outlived(connection: psycopg.Connection, day: date, staged: list[Staged], keep_days: int) -> dict[str, str]:
    """Partition → stored table of customers' rows from before what is to be kept, the oldest first."""
    (current,) = connection.execute(f"select max(snapshot_date) from {POINTER} where name = 'current'").fetchone()
    bound = max(current or day, day) - timedelta(days=keep_days)
    tables = [each.table for each in staged if "customer_key" in each.table.column_names]
    held = {name: partitions(connection, name) for table in tables for name in stored_names(connection, table)}
    old = sorted(
        (of, name, stored) for stored, days in held.items() for of, name in days.items() if of < bound and of != day
    )
    if old:
        log.info("dropping rows of customers from %s to %s (publish.keep_days: %d)", old[0][0], bound, keep_days)
    return {name: stored for _, name, stored in old[:MOST_DROPPED]}


def _holders(connection: psycopg.Connection, which: str, value: object) -> str:
    found = connection.execute(
        "select distinct a.pid, a.usename, a.application_name from pg_locks l join pg_stat_activity a using (pid) "
        f"where {which} and l.granted and a.pid <> pg_backend_pid() order by a.pid",
        [value],
    ).fetchall()
    return "; ".join(f"session {pid} of {user} {program}".strip() for pid, user, program in found) or "gone by now"


def _replace_summary(connection: psycopg.Connection, day: date, name: str) -> None:
    target = f"warehouse.{stored_name(SEGMENT_SUMMARY)}"
    for stored in stored_names(connection, SEGMENT_SUMMARY):
        connection.execute(f"delete from warehouse.{stored} where snapshot_date = %s", [day])
    # Summed as the views show them, so that a sum over customers is the summary's to the last digit.
    expected, paid = (rounded(SEGMENT_SUMMARY.column(n), n) for n in ("expected_spend_30d", "purchase_amount_365d"))
    connection.execute(
        f"""
        insert into {target} ({", ".join(SEGMENT_SUMMARY.column_names)})
        select
            snapshot_date, value_tier, lifecycle_stage, churn_band,
            count(*),
            count(*)::double precision / sum(count(*)) over ()::double precision,
            sum({expected})::double precision,
            sum({paid})::double precision
        from staging.{name}
        group by snapshot_date, value_tier, lifecycle_stage, churn_band
        order by snapshot_date, value_tier, lifecycle_stage, churn_band
        """
    )


def _move_pointer(connection: psycopg.Connection, day: date) -> None:
    connection.execute(
        f"insert into {POINTER} as pointer (name, snapshot_date) values ('current', %s) on conflict (name) "
        "do update set snapshot_date = greatest(pointer.snapshot_date, excluded.snapshot_date)",
        [day],
    )


def _log_publish(connection: psycopg.Connection, snapshot: Snapshot) -> None:
    connection.execute(
        f"insert into warehouse.{stored_name(PUBLISH_LOG)} (snapshot_date, published_at, customers, content_digest, "
        "model_name, model_version, code_version, checks_passed, checks_warned) "
        "values (%s, clock_timestamp(), %s, %s, %s, %s, %s, %s, %s)",
        [
            snapshot.day, snapshot.customers, snapshot.content_digest, snapshot.model_name, snapshot.model_version,
            snapshot.code_version, snapshot.checks_passed, snapshot.checks_warned,
        ],
    )  # fmt: skip
