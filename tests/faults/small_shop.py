"""A tenth of the sample shop: its line run as a person runs it, and what BI then sees."""

import os
import subprocess
import sys
from pathlib import Path

from expectations.version import REPOSITORY
from expectations.views import VIEWS
from jobs.home import Home
from jobs.marts.warehouse import READER, connect

LAST = "2017-12-31"
MARTS = tuple(view for view in VIEWS if view != "publish_log")
KEY = "ab" * 32  # one customer key for all homes, so that rows can be compared


def command(home: Home, *argv: str, timeout: float = 1500) -> subprocess.CompletedProcess:
    environment = {**os.environ, "LIFESTAGE_HOME": str(home.path), "LIFESTAGE_CUSTOMER_KEY": KEY}
    for name in [name for name in environment if name.startswith("SPARK_")]:  # of an engine in this test's process
        del environment[name]
    return subprocess.run(
        [sys.executable, "-m", "jobs", *argv],
        cwd=REPOSITORY,
        env=environment,
        text=True,
        capture_output=True,
        timeout=timeout,
    )


def run_shop(home: Home, landing: Path, *argv: str) -> str:
    done = command(home, "run_shop", "--landing", str(landing), *argv)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def marts(home: Home) -> dict[str, list[tuple]]:
    """Every row of every mart as bi_reader sees it, in the order of its columns."""
    with connect(home, READER) as connection:
        return {mart: sorted(connection.execute(f"select * from marts.{mart}"), key=repr) for mart in MARTS}


def publishes(home: Home) -> list[tuple]:
    columns = "snapshot_date, customers, content_digest, model_name, model_version"
    query = f"select {columns} from marts.publish_log order by publish_id"
    with connect(home, READER) as connection:
        return connection.execute(query).fetchall()
