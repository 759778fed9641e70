"""Publishers and servers that die at any instant: readers see the whole old day or the whole new one, nothing else."""

import multiprocessing
import os
import random
import signal
import threading
import time
from datetime import date

import psycopg
import pyarrow as pa
import pytest

from expectations.errors import UnavailableError
from expectations.segments import CUSTOMER_SEGMENTS, SCORES, SEGMENT_SETTINGS
from jobs import publish, setup
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.local import postgres
from jobs.marts import warehouse
from jobs.marts.warehouse_ddl import VIEWS
from jobs.schemas import arrow_schema

pytestmark = pytest.mark.slow

DAY = date(2017, 12, 30)
KILLS = 20
SEED = 20171230

# All in one row: the current day's rows and model, its summary, its settings, the last log entry.
WHOLE = """
    select count(*), min(model_version), max(model_version), min(snapshot_date) = max(snapshot_date),
        (select sum(customers)::bigint from marts.segment_summary where snapshot_date = '2017-12-30'),
        (select value from marts.segment_settings where snapshot_date = '2017-12-30'),
        (select customers from marts.publish_log order by publish_id desc limit 1)
    from marts.customer_segments
"""


def seen_of(customers, version):
    return (customers, version, version, True, customers, float(version), customers)


A, B = seen_of(20_000, 1), seen_of(30_000, 2)


def write_day(home, customers, version):
    """A day of equal customers under different keys: what matters here is that all of them come from one version."""
    same = {
        "snapshot_date": DAY, "value_tier": "high", "lifecycle_stage": "active", "lifecycle_phase": "retention",
        "churn_band": "low", "stage_since": DAY, "previous_stage": None, "cluster_id": 1,
        "purchase_probability_30d": 0.5, "churn_probability_30d": 0.5, "expected_spend_30d": 1.0,
        "spend_if_purchase_30d": 2.0, "recency_days": 1, "frequency_days": 1, "monetary_value": 1.0, "tenure_days": 1,
        "order_count": 1, "first_purchase_date": DAY, "last_purchase_date": DAY, "purchase_amount_30d": 1.0,
        "purchase_amount_365d": 1.0, "gap_mean_days": 1.0, "gap_last_days": 1, "gap_mean_before_last_days": 1.0,
        "purchase_days_365d": 1, "return_amount_30d": 0.0, "return_amount_365d": 0.0, "model_name": "purchase",
        "model_version": version, "is_eligible": True, "churn_probability": 0.5, "churn_days": 30,
        **dict.fromkeys((f"purchase_probability_{days}d" for days in (7, 14, 60, 90)), 0.5),
        **{f"expected_spend_{days}d_{end}": 1.0 for days in (30, 90) for end in ("low", "high")},
        "expected_spend_90d": 3.0, "clv_365d": 12.0, "is_clv_extrapolated": True,
    }  # fmt: skip
    keys = pa.array([f"{version}-{n:08}" for n in range(customers)])
    for table in (CUSTOMER_SEGMENTS, SCORES):
        columns = [
            keys if field.name == "customer_key" else pa.repeat(pa.scalar(same[field.name], field.type), customers)
            for field in arrow_schema(table)
        ]
        LakeTable(home, table).write_arrow(DAY, pa.table(columns, table.column_names))
    setting = {"snapshot_date": DAY, "name": "n", "value": float(version), "text": None, "unit": "share"}
    row = pa.Table.from_pylist([setting | {"origin": "setting", "description": "d"}], arrow_schema(SEGMENT_SETTINGS))
    LakeTable(home, SEGMENT_SETTINGS).write_arrow(DAY, row)


class Reader(threading.Thread):
    """Reads the whole again and again and keeps every answer but A and B; waits out a server that is away."""

    def __init__(self, home: Home):
        super().__init__(daemon=True)
        self.home, self.reads, self.wrong, self.stopping = home, 0, set(), False
        self.start()

    def run(self):
        while not self.stopping:
            try:
                with warehouse.connect(self.home, "bi_reader", autocommit=True) as connection:
                    while not self.stopping:
                        self.note(connection.execute(WHOLE).fetchone())
            except (psycopg.OperationalError, UnavailableError):
                time.sleep(0.05)

    def note(self, answer):
        self.reads += 1
        if answer not in (A, B):
            self.wrong.add(answer)


@pytest.fixture
def home(tmp_path_factory, warehouse_home):
    """The shared server, with version A published in an empty warehouse."""
    with warehouse.connect(warehouse_home) as connection:
        connection.execute("drop schema if exists marts, staging, warehouse cascade")
    setup.create_warehouse(warehouse_home)
    write_day(warehouse_home, *A[:2])
    publish.publish(warehouse_home, DAY)
    return warehouse_home


@pytest.fixture
def readers(home):
    found = [Reader(home) for _ in range(2)]
    yield found
    for reader in found:
        reader.stopping = True
        reader.join(10)


def content(home):
    """Every mart without the log, whose number and clock say how often was tried."""
    with warehouse.connect(home, "bi_reader") as connection:
        views = [view for view in VIEWS if view != "publish_log"]
        return {view: connection.execute(f"select * from marts.{view} order by 1, 2").fetchall() for view in views}


def forked():
    """Children that start with everything imported, so that a kill falls into the publish and not into imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["jobs.publish", "jobs.checks.checkpoint", "great_expectations", "adbc_driver_postgresql.dbapi"]
    )
    return context


def publish_in(children, home):
    child = children.Process(target=publish.publish, args=(home, DAY))
    child.start()
    return child


def seconds_of_a_publish(children, home):
    publish_in(children, home).join()  # the first one also waits for the imports
    begun = time.monotonic()
    publish_in(children, home).join()
    return time.monotonic() - begun


def test_publisher_killed_at_any_instant(home, readers):
    clean, children, draw = content(home), forked(), random.Random(SEED)
    takes, exits = seconds_of_a_publish(children, home), []
    for attempt in range(KILLS):
        write_day(home, *(B if attempt % 2 == 0 else A)[:2])
        child = publish_in(children, home)
        time.sleep(draw.uniform(0, 1.1) * takes)
        child.kill()
        child.join()
        exits.append(child.exitcode)
    assert exits.count(-signal.SIGKILL) > KILLS / 2
    write_day(home, *A[:2])
    publish.publish(home, DAY)
    assert content(home) == clean
    with warehouse.connect(home) as connection:
        assert connection.execute("select tablename from pg_tables where schemaname = 'staging'").fetchall() == []
    for reader in readers:
        assert reader.wrong == set()
        assert reader.reads > KILLS


def test_server_killed_while_publishing(home, readers):
    children, draw = forked(), random.Random(SEED)
    for attempt in range(5):
        wanted = B if attempt % 2 == 0 else A
        write_day(home, *wanted[:2])
        child = publish_in(children, home)
        time.sleep(draw.uniform(0.1, 2.0))
        os.kill(postgres.ensure_running(home).pid, signal.SIGKILL)
        child.join(60)
        assert child.exitcode is not None
        publish.publish(home, DAY)
        with warehouse.connect(home, "bi_reader") as connection:
            assert connection.execute(WHOLE).fetchone() == wanted
    for reader in readers:
        assert reader.wrong == set()
