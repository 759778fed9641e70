"""The published marts as the page of segments reads them: by Airflow's connection, kept for a minute."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from functools import cache
from threading import Lock

from airflow.exceptions import AirflowNotFoundException
from airflow.models import Connection

from lifestage_airflow.ui.html import NotThere

log = logging.getLogger(__name__)
CONNECTION = "lifestage_warehouse"
KEPT_S = 60.0
"""Segments change once a day; the page may be looked at by many."""
KEPT_QUERIES = 200
OPTIONS = "-c statement_timeout=10000 -c default_transaction_read_only=on -c timezone=UTC"

Query = Callable[..., list[dict]]


class Marts:
    """Asks the warehouse; the same question is answered from memory for ``KEPT_S`` seconds."""

    def __init__(self) -> None:
        self._kept: dict[tuple, tuple[float, list[dict]]] = {}
        self._one = Lock()

    def __call__(self, sql: str, *values: object) -> list[dict]:
        """Rows as dictionaries. NotThere if connection, server or view is missing."""
        with self._one:
            at, rows = self._kept.get((sql, values), (0.0, []))
            if time.monotonic() - at > KEPT_S or not at:
                rows = self._ask(sql, values)
                self._kept = dict(list(self._kept.items())[-KEPT_QUERIES:]) | {(sql, values): (time.monotonic(), rows)}
        return rows

    def _ask(self, sql: str, values: tuple) -> list[dict]:
        import psycopg2
        from psycopg2.extras import RealDictCursor

        try:
            with (
                closing(psycopg2.connect(**address(), cursor_factory=RealDictCursor)) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(sql, values)
                return [dict(row) for row in cursor.fetchall()]
        except psycopg2.errors.UndefinedTable as error:
            raise NotThere("The warehouse holds no marts yet: `python -m jobs setup` makes them.") from error
        except psycopg2.Error as error:
            log.warning("connection %s: %s", CONNECTION, error)  # the page names no address to everyone
            raise NotThere(
                f"The warehouse does not answer, or refuses the log-in of connection {CONNECTION}. "
                "The API server's log has the cause."
            ) from error


def address() -> dict[str, object]:
    """psycopg2's arguments by Airflow's connection; what its extra field holds (sslmode, …) is passed on."""
    try:
        found = Connection.get_connection_from_secrets(CONNECTION)
    except AirflowNotFoundException as error:
        raise NotThere(
            f"Airflow has no connection {CONNECTION}: make it of type postgres, with the role bi_reader "
            "(docs/connections.md)."
        ) from error
    given = {
        "host": found.host, "port": found.port or 5432, "dbname": found.schema, "user": found.login,
        "password": found.get_password(), "connect_timeout": 5, "application_name": "lifestage page",
        "options": OPTIONS,
    }  # fmt: skip
    return {**found.extra_dejson, **{name: value for name, value in given.items() if value is not None}}


@cache
def marts() -> Marts:
    """That of this process."""
    return Marts()


def published_days(query: Query) -> list[dict]:
    """The newest publish of each day, the latest day first."""
    return query(
        "select distinct on (snapshot_date) snapshot_date, published_at, customers, model_name, model_version, "
        "checks_passed, checks_warned from marts.publish_log order by snapshot_date desc, publish_id desc"
    )


def whose(query: Query) -> str:
    """Shop and sources as the schema's comment tells them, and what of them is simulated; empty if it tells none."""
    found = query("select obj_description('marts'::regnamespace, 'pg_namespace') as words")
    words = (found[0]["words"] or "" if found else "").rpartition("Shop: ")
    return "".join(words[1:])


def sizes(query: Query, day: date, by: str) -> dict[str, dict]:
    """Stage or tier → its customers and what they are expected to spend; ``by`` names the column."""
    if by not in ("lifecycle_stage", "value_tier"):
        raise ValueError(by)
    rows = query(
        f"select {by} as name, sum(customers)::bigint as customers, sum(expected_spend_30d) as spend "
        f"from marts.segment_summary where snapshot_date = %s group by {by}",
        day,
    )
    return {row["name"]: row for row in rows}


def flows(query: Query, day: date) -> list[dict]:
    """Every way that customers went on the day, those who stayed included."""
    return query(
        "select previous_snapshot_date, from_stage, to_stage, customers, is_expected from marts.stage_transitions "
        "where snapshot_date = %s order by customers desc, from_stage, to_stage",
        day,
    )


def broken(query: Query, day: date) -> list[dict]:
    """Checks of the day that did not hold."""
    return query(
        "select table_name, severity, words from marts.data_quality where snapshot_date = %s and has_held = false "
        "order by severity, table_name, check_name",
        day,
    )
