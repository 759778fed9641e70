"""Raw customer ids of the home's deliveries → vault.customer_ids, where role activation reads them."""

import logging

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.vault import CUSTOMER_IDS, VAULT_LOADS
from jobs.home import Home
from jobs.marts.publish_staging import load_error
from jobs.marts.warehouse import connect, uri
from jobs.reading.vault_file import each_once, stamp

log = logging.getLogger(__name__)

AT_ONCE = 30
"""Deliveries in memory at a time: a year of a large shop's ids would not fit."""


def fill_vault(home: Home) -> int:
    """Adds the customers of every delivery that is new since the last time; returns how many deliveries those were.

    The publisher's role may add to the vault and not read it, so that who is known already is left to the server.
    """
    files = {path.stem: path for path in sorted(home.vault.glob("*.parquet"))}
    # Taken before the files are read, so that what is replaced meanwhile is due again.
    stamps = {day: stamp(path) for day, path in files.items()}
    with connect(home) as connection:
        loaded = dict(connection.execute(f"select arrival_date::text, stamp from vault.{VAULT_LOADS.name}").fetchall())
        due = [day for day in files if loaded.get(day) != stamps[day]]
        for some in (due[n : n + AT_ONCE] for n in range(0, len(due), AT_ONCE)):
            _add(home, each_once([pq.read_table(files[day]) for day in some]))
            _note(connection, {day: stamps[day] for day in some})
            connection.commit()
    if due:
        log.info("the vault knows the customers of %d more deliveries", len(due))
    return len(due)


def _add(home: Home, rows: pa.Table) -> None:
    import adbc_driver_manager
    import adbc_driver_postgresql.dbapi as adbc

    columns = ", ".join(CUSTOMER_IDS.column_names)
    try:
        with adbc.connect(uri(home)) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("new_customers", rows, mode="create", temporary=True)
            # In the order of the key: two publishers at once then wait for each other rather than lock up.
            cursor.execute(
                f"insert into vault.{CUSTOMER_IDS.name} ({columns}) select {columns} from new_customers "
                "order by customer_key on conflict do nothing"
            )
            connection.commit()
    except adbc_driver_manager.Error as error:
        raise load_error("the vault", error) from error


def _note(connection: psycopg.Connection, stamps: dict[str, str]) -> None:
    connection.cursor().executemany(
        f"insert into vault.{VAULT_LOADS.name} (arrival_date, stamp) values (%s, %s) "
        "on conflict (arrival_date) do update set stamp = excluded.stamp",
        list(stamps.items()),
    )
