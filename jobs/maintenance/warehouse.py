"""What publishes that never ended have left in the warehouse; then the server's own house-keeping.

Old days of the marts themselves go with each publish (``publish.keep_days``).
"""

import logging
import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial

from jobs.home import Home
from jobs.maintenance.gone import Gone, MaintainSettings
from jobs.marts.warehouse import connect
from jobs.publish import DAY_LOCK

log = logging.getLogger(__name__)

DAY = re.compile(r"\w+?_v\d+_(\d{8})")
"""A staging table's name tells its day."""
STAGED = "select tablename, pg_total_relation_size(format('staging.%I', tablename)) from pg_tables"
KEPT = """
select format('%I.%I', n.nspname, c.relname), c.relkind = 'p'
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('warehouse', 'vault') and c.relkind in ('r', 'p') and not c.relispartition order by 1
"""


def find(home: Home, day: date, settings: MaintainSettings) -> Iterator[Gone]:
    """Staging tables of days before ``staging_days``; what a publisher is filling now is left alone."""
    with connect(home, autocommit=True) as connection:
        staged = connection.execute(f"{STAGED} where schemaname = 'staging' order by 1").fetchall()
    for name, size in staged if settings.staging_days else ():
        if (named := DAY.match(name)) and date.fromisoformat(named[1]) < day - timedelta(days=settings.staging_days):
            yield Gone("staging tables", name, size, partial(_drop, home, name, date.fromisoformat(named[1])))


def _drop(home: Home, name: str, day: date) -> None:
    with connect(home, autocommit=True) as connection:
        lock = [DAY_LOCK, int(f"{day:%Y%m%d}")]
        if connection.execute("select pg_try_advisory_lock(%s, %s)", lock).fetchone()[0]:
            connection.execute(f"drop table if exists staging.{name}")
        else:
            log.info("staging.%s is left: %s is being published", name, day)


def afterwards(home: Home, day: date) -> None:
    """VACUUM and ANALYZE. A day's partition is written once, so only tables that change are vacuumed; of partitioned
    ones the server, which counts each partition by itself, would never learn the whole's statistics.
    """
    with connect(home, autocommit=True) as connection:
        tables = connection.execute(KEPT).fetchall()
        for name, is_partitioned in tables:
            connection.execute(f"{'analyze' if is_partitioned else 'vacuum (analyze)'} {name}")
    log.info("vacuumed and analysed %d tables", len(tables))
