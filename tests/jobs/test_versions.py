"""A warehouse that outlives its contracts: older versions of a table stay, and retention lets only old days go."""

import threading
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from expectations.segments import CUSTOMER_SEGMENTS, SEGMENT_SUMMARY
from jobs import publish, setup
from jobs.marts import publish_switch, warehouse
from jobs.marts.warehouse_ddl import POINTER, column_ddl, partition_of, stored_name
from tests.jobs.published import DAY, FEW, NEXT, ROWS, empty_warehouse, only, segments, write

NEW = ("stage_since", "cluster_id")
"""Columns that the older version has not; ``tenure_days`` it has as another type."""
OLDER = replace(
    CUSTOMER_SEGMENTS,
    version=CUSTOMER_SEGMENTS.version - 1,
    columns=tuple(
        replace(column, type="string", minimum=None) if column.name == "tenure_days" else column
        for column in CUSTOMER_SEGMENTS.columns
        if column.name not in NEW
    ),
)


@pytest.fixture(autouse=True, scope="module")
def few_tables():
    with only(*FEW):
        yield


@pytest.fixture
def home(warehouse_home, tmp_path, tmp_path_factory):
    """A warehouse that was set up under the older contract, with two days in it."""
    home = empty_warehouse(warehouse_home, tmp_path)
    with warehouse.connect(home) as connection:
        connection.execute(f"drop table warehouse.{stored_name(CUSTOMER_SEGMENTS)} cascade")
        connection.execute(older_ddl())
        for day in (DAY, NEXT):
            insert(connection, day)
        connection.execute(f"insert into {POINTER} values ('current', %s)", [NEXT])
    yield home
    empty_warehouse(home, tmp_path_factory.mktemp("after"))


def older_ddl():
    columns = ", ".join(column_ddl(OLDER, column) for column in OLDER.columns)
    name = f"warehouse.{stored_name(OLDER)}"
    return f"create table {name} ({columns}, primary key ({', '.join(OLDER.key)})) partition by list (snapshot_date)"


def insert(connection, day):
    name = stored_name(OLDER)
    connection.execute(
        f"create table warehouse.{partition_of(name, day)} partition of warehouse.{name} for values in ('{day}')"
    )
    for row in segments(day):
        values = [str(row[c]) if c == "tenure_days" else row[c] for c in OLDER.column_names]
        marks = ", ".join(["%s"] * len(values))
        connection.execute(f"insert into warehouse.{name} ({', '.join(OLDER.column_names)}) values ({marks})", values)


def seen(home, view, columns="snapshot_date, customer_key, stage_since, value_tier, tenure_days"):
    with warehouse.connect(home, "bi_reader") as connection:
        return connection.execute(f"select {columns} from marts.{view} order by 1, 2").fetchall()


def test_an_older_versions_days_are_shown_until_they_are_published_again(home):
    setup.create_warehouse(home)
    now = seen(home, "customer_segments")
    assert [(day, key) for day, key, *_ in now] == [(NEXT, row["customer_key"]) for row in ROWS]
    assert {row[2:] for row in now} == {
        (None, "low", None),
        (None, "high", None),
    }  # what it had not, or as another type
    assert len(seen(home, "customer_segments_history")) == 6
    write(home, segments(NEXT), NEXT)
    publish.publish(home, NEXT)
    assert [row[2] for row in seen(home, "customer_segments")] == [NEXT] * 3
    assert [(row[0], row[2]) for row in seen(home, "customer_segments_history")] == [(DAY, None)] * 3 + [
        (NEXT, NEXT)
    ] * 3
    setup.create_warehouse(home)  # again, with both versions holding days
    assert len(seen(home, "customer_segments_history")) == 6


def test_the_views_comment_says_what_older_days_lack(home):
    setup.create_warehouse(home)
    with warehouse.connect(home, "bi_reader") as connection:
        (text,) = connection.execute(
            "select obj_description('marts.customer_segments'::regclass, 'pg_class')"
        ).fetchone()
    assert "Days that were published before stage_since, cluster_id, tenure_days came in show null there." in text


def test_readers_never_miss_the_marts_while_the_version_changes(home):
    setup.create_warehouse(home)
    counts, stop = set(), threading.Event()

    def poll():
        with psycopg.connect(warehouse.uri(home, "bi_reader"), autocommit=True) as connection:
            while not stop.is_set():
                counts.add(connection.execute("select count(*) from marts.customer_segments").fetchone()[0])

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        with warehouse.connect(home) as connection:  # as under the older contract: of other columns
            connection.execute("drop view marts.customer_segments")
            connection.execute(f"create view marts.customer_segments as select * from warehouse.{stored_name(OLDER)} "
                               f"where snapshot_date = '{NEXT}'")  # fmt: skip
            connection.execute("grant select on marts.customer_segments to bi_reader")
        setup.create_warehouse(home)
    finally:
        stop.set()
        reader.join()
    assert counts == {3}


# -- retention ---------------------------------------------------------------------------------------------------------


def held(home, table=CUSTOMER_SEGMENTS):
    """Days of which the stored versions hold a partition."""
    with warehouse.connect(home) as connection:
        query = "select relname from pg_inherits join pg_class on oid = inhrelid where relname ~ %s order by 1"
        names = connection.execute(query, [f"^{table.name}_v.*[0-9]{{8}}$"]).fetchall()
    return [name.removeprefix(table.name) for (name,) in names]


def test_days_before_those_to_keep_are_dropped_with_the_switch(home):
    setup.create_warehouse(home)
    (home.path / "settings.yaml").write_text("publish: {keep_days: 2}\n")
    try:
        days = [NEXT + timedelta(days=n) for n in range(4)]
        for day in days:
            write(home, segments(day), day)
            publish.publish(home, day)
        assert [name[-8:] for name in held(home)] == [f"{day:%Y%m%d}" for day in days[1:]]
        with warehouse.connect(home) as connection:
            kept = f"select distinct snapshot_date from warehouse.{stored_name(SEGMENT_SUMMARY)} order by 1"
            assert [day for (day,) in connection.execute(kept)] == days  # what is counted over customers stays
        old = days[0]  # published once more: visible, until the next publish
        publish.publish(home, old)
        assert {row[0] for row in seen(home, "customer_segments")} == {days[-1]}
        assert old in {row[0] for row in seen(home, "customer_segments_history")}
        publish.publish(home, days[-1])
        assert {row[0] for row in seen(home, "customer_segments_history")} == set(days[1:])
    finally:
        (home.path / "settings.yaml").unlink()


def test_a_publish_drops_no_more_than_it_can_lock(home, monkeypatch):
    monkeypatch.setattr(publish_switch, "MOST_DROPPED", 1)
    setup.create_warehouse(home)
    (home.path / "settings.yaml").write_text("publish: {keep_days: 5}\n")
    try:
        later = NEXT + timedelta(days=30)
        write(home, segments(later), later)
        assert len(held(home)) == 2
        for left in (2, 1):  # the oldest goes first; the third is the day itself
            publish.publish(home, later)
            assert len(held(home)) == left
    finally:
        (home.path / "settings.yaml").unlink()
