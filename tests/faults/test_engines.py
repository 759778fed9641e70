"""Every job of an engine gives equal tables on Sail, on Apache Spark here and in a cluster, and by Spark Connect."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from expectations.behaviour import (
    CUSTOMER_DAY,
    CUSTOMER_HISTORY,
    CUSTOMER_MONTH,
    CUSTOMER_PRODUCT,
    FEATURES,
    PREFERENCES,
)
from expectations.contract import Table
from expectations.events import EVENTS
from expectations.profiles import EVENT_PROFILE, PRICE_BOUNDS
from expectations.segments import CUSTOMER_SEGMENTS, SCORES, SEGMENT_SETTINGS
from expectations.texts import TEXT_SCORES
from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from tests.faults.spark_cluster import SPARK, clean_environment, connect_server, standalone
from tests.jobs.random_shop import random_events

pytestmark = pytest.mark.slow
needs_java = pytest.mark.skipif(not shutil.which("java"), reason="Apache Spark needs Java 17")

FIRST, DAYS = date(2024, 1, 1), 63
LAST = FIRST + timedelta(days=DAYS - 1)
"""In the third month: January is read as a month, February and March by days, the life before March as a history."""
RANGE = ("--from", str(FIRST), "--to", str(LAST))
ENCODE, AGGREGATE = ("encode_text", *RANGE), ("aggregate", *RANGE)
FEATURES_OF_LAST, SEGMENT = ("build_features", "--ds", str(LAST)), ("segment", "--ds", str(LAST))
GATE_EVENTS = ("validate", "--table", "events", *RANGE)
GATES = (GATE_EVENTS, *(("validate", "--table", table, "--ds", str(LAST)) for table in ("customer_day", "features")))
BY_DAYS = (EVENT_PROFILE, PRICE_BOUNDS, TEXT_SCORES, CUSTOMER_DAY, CUSTOMER_PRODUCT)
BY_SNAPSHOTS = (CUSTOMER_MONTH, CUSTOMER_HISTORY, PREFERENCES, FEATURES, CUSTOMER_SEGMENTS, SEGMENT_SETTINGS)
KEY = "ab" * 32  # one customer key for all homes, so that rows can be compared


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("both engines")


@pytest.fixture(scope="module")
def shop(folder) -> Home:
    """A simulated shop of texts, returns and campaigns, ingested; among its events some that are odder than its own."""
    home = Home(folder / "shop")
    run(home, "simulate", "--customers", "150", "--days", str(DAYS), "--seed", "3", "--broken-share", "0")
    run(home, "ingest", *RANGE)
    odd = random_events(customers=40, first=FIRST, days=DAYS, seed=1)
    for day in (FIRST + timedelta(days=n) for n in range(DAYS)):
        events = LakeTable(home, EVENTS)
        more = [row for row in odd if row["arrival_date"] == day]
        rows = pa.Table.from_pylist(more, schema=arrow_schema(EVENTS))
        events.write_arrow(day, pa.concat_tables([events.read_arrow([day]), rows]))
    return home


@pytest.fixture(scope="module")
def sail(shop) -> Home:
    """The home after every job on Sail."""
    home = copy_of(shop, "sail")
    for job in (ENCODE, AGGREGATE, FEATURES_OF_LAST):
        run(home, *job, "--engine", "sail")
    score(home)
    run(home, *SEGMENT)
    for job in GATES:
        run(home, *job, "--engine", "sail")
    return home


@needs_java
def test_apache_spark_on_this_machine_gives_the_same(shop, sail):
    home = copy_of(shop, "spark")
    for job in (ENCODE, AGGREGATE, FEATURES_OF_LAST):
        run(home, *job, "--engine", "spark", LIFESTAGE_SPARK_MASTER="local[2]")
    score(home)
    run(home, *SEGMENT)
    for job in GATES:
        run(home, *job, "--engine", "spark", LIFESTAGE_SPARK_MASTER="local[2]")
    assert_equal_tables(sail, home, (*BY_DAYS, *BY_SNAPSHOTS))
    assert_equal_verdicts(sail, home, gates=4)  # ingest_report is gated with the events


@pytest.fixture(scope="module")
def master(folder) -> Iterator[str]:
    """A standalone master with two workers."""
    logs = folder / "cluster"
    logs.mkdir()
    with standalone(logs) as address:
        yield address


@needs_java
def test_spark_submit_to_a_standalone_cluster_gives_the_same(shop, sail, master):
    home = copy_of(shop, "cluster")
    for job in (ENCODE, AGGREGATE, FEATURES_OF_LAST):
        submit(home, master, *job)
    score(home)
    run(home, *SEGMENT)
    # As Airflow's tasks reach a cluster: without spark-submit.
    run(home, *GATE_EVENTS, "--engine", "spark", LIFESTAGE_SPARK_MASTER=master)
    assert_equal_tables(sail, home, (*BY_DAYS, *BY_SNAPSHOTS))
    assert_equal_verdicts(sail, home, gates=2)


@needs_java
def test_a_cluster_without_room_for_an_executor_is_told_with_its_address(sail, master):
    done = submitted(sail, master, "--executor-memory", "8g", job=GATE_EVENTS)
    said = done.stdout + done.stderr  # spark-submit passes on the exit code, and all that Python prints as output
    assert done.returncode == 75, said[-4000:]
    assert f"{master} started no executor within 60 s" in said


@needs_java
def test_a_spark_connect_server_gives_the_same(shop, sail, folder):
    home = copy_of(shop, "connect")
    logs = folder / "connect"
    logs.mkdir()
    project = {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(REPOSITORY)}
    with connect_server(logs, **project) as address:
        for job in (ENCODE, AGGREGATE):
            run(home, *job, "--engine", address)
    assert_equal_tables(sail, home, BY_DAYS)


# -- running ---------------------------------------------------------------------------------------------------------


def run(home: Home, *argv: str, **environment: str) -> None:
    """``python -m jobs …``, which must succeed."""
    done = process(home, [sys.executable, "-m", "jobs", *argv], **environment)
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-4000:]}"


def submit(home: Home, master: str, *job: str) -> None:
    done = submitted(home, master, "--executor-memory", "512m", job=job)
    assert done.returncode == 0, f"{job}: {done.stdout[-2000:]}{done.stderr[-4000:]}"


def submitted(home: Home, master: str, *options: str, job: tuple[str, ...]) -> subprocess.CompletedProcess:
    """As docs/engines.md says."""
    size = ("--driver-memory", "512m", "--conf", "spark.sql.shuffle.partitions=4", "--conf", "spark.ui.enabled=false")
    command = [str(SPARK / "bin" / "spark-submit"), "--master", master, *size, *options]
    settings = {"PYSPARK_PYTHON": sys.executable, "SPARK_CONF_DIR": str(REPOSITORY / "jobs" / "spark_conf")}
    return process(home, [*command, str(REPOSITORY / "jobs" / "__main__.py"), *job], **settings)


def process(home: Home, command: list[str], **environment: str) -> subprocess.CompletedProcess:
    given = {"LIFESTAGE_HOME": str(home.path), "LIFESTAGE_CUSTOMER_KEY": KEY, **environment}
    base = {name: value for name, value in clean_environment().items() if name != "LIFESTAGE_ENGINE"}
    return subprocess.run(
        command, cwd=REPOSITORY, env={**base, **given}, text=True, capture_output=True, timeout=1500, check=False
    )


def copy_of(shop: Home, name: str) -> Home:
    target = shop.path.parent / f"home {name}"
    shutil.copytree(shop.path, target)
    return Home(target)


def score(home: Home) -> None:
    """Scores that a rule makes of the features, so that segments meet every tier and band."""
    features = LakeTable(home, FEATURES).read_arrow([LAST], ["customer_key", "recency_days", "monetary_value"])
    recency = features["recency_days"].fill_null(365).to_numpy()
    spend = features["monetary_value"].fill_null(0.0).to_numpy()
    probability = np.exp2(-recency / 20.0)
    rows = {
        "customer_key": features["customer_key"],
        "snapshot_date": pa.array([LAST] * len(features), pa.date32()),
        "purchase_probability_30d": probability,
        "is_eligible": [True] * len(features),
        **dict.fromkeys((f"purchase_probability_{days}d" for days in (7, 14, 60, 90)), probability),
        "churn_probability_30d": 1 - probability,
        "churn_probability": 1 - probability,
        "churn_days": pa.array([30] * len(features), pa.int32()),
        "spend_if_purchase_30d": spend,
        "expected_spend_30d": probability * spend,
        "expected_spend_90d": 3 * probability * spend,
        **{f"expected_spend_{days}d_{end}": spend for days in (30, 90) for end in ("low", "high")},
        "clv_365d": 12 * spend,
        "is_clv_extrapolated": [True] * len(features),
        "model_name": ["a rule"] * len(features),
        "model_version": pa.array([1] * len(features)),
        "model_cutoff_date": [LAST] * len(features),
    }
    LakeTable(home, SCORES).write_arrow(LAST, pa.table({name: rows[name] for name in SCORES.column_names}))


# -- comparing -------------------------------------------------------------------------------------------------------


def assert_equal_tables(expected: Home, found: Home, tables: tuple[Table, ...]) -> None:
    for table in tables:
        days = LakeTable(expected, table).days()
        assert days, f"{table.name} was not written"
        assert LakeTable(found, table).days() == days, table.name
        # The engines hash customers in ways of their own, so that a customer may stand in another of a table's files.
        by = [(name, "ascending") for name in (table.partition, *table.key)]
        one, other = (LakeTable(home, table).read_arrow(days).sort_by(by) for home in (expected, found))
        assert one.num_rows == other.num_rows > 0, table.name
        for name in table.column_names:
            assert_equal_columns(one[name].combine_chunks(), other[name].combine_chunks(), f"{table.name}.{name}")


def assert_equal_columns(one: pa.Array, other: pa.Array, name: str) -> None:
    """Row by row, in the order of their keys: floats within 1e-9 of their size, all else exactly."""
    assert one.type == other.type, name
    if pa.types.is_floating(one.type):
        assert one.is_null().equals(other.is_null()), name
        np.testing.assert_allclose(other.drop_null(), one.drop_null(), rtol=1e-9, atol=0, err_msg=name)
    else:
        differing = [(a, b) for a, b in zip(one.to_pylist(), other.to_pylist(), strict=True) if a != b]
        assert not differing, f"{name}: {len(differing)} rows differ, first {differing[0]}"


def assert_equal_verdicts(expected: Home, found: Home, gates: int) -> None:
    """The kept results of each gate that ran, down to what each check observed."""
    results = sorted(path.relative_to(found.validations) for path in found.validations.rglob("*.json"))
    assert len(results) == gates
    for result in results:
        assert (found.validations / result).read_text() == (expected.validations / result).read_text(), result
