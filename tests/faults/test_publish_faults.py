"""Publishers, servers and disks that give out at any instant: readers see the whole old day or the whole new one.

KILLS, in the environment, says how often a publisher is killed at random; counts are printed (pytest -s).
"""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from expectations.errors import UnavailableError
from expectations.lifecycle import STAGE_TRANSITIONS
from expectations.segments import SCORES
from expectations.tables import PUBLISHED
from expectations.views import VIEWS
from jobs import publish, setup
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.local import postgres
from jobs.local.postgres_cluster import give_to_server
from jobs.marts import publish_switch, warehouse
from tests.benchmarks.publish_speed import DAY, day_of

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "20"))
READERS, PAUSE_S = 8, 0.05
SEED = 20171230
NEXT = DAY + timedelta(days=1)

A, B = (2_000, 1), (3_000, 2)
"""Customers and model version of two versions of the day; every table but one has another number of rows in each."""


def counted(table):
    return "coalesce(sum(customers), 0)::bigint" if table is STAGE_TRANSITIONS else "count(*)"


# All in one row: the day's model, the rows of every table, its summary and its last entry in the log.
SHOWN = {view.name: view.table for view in VIEWS.values() if view.table in PUBLISHED}
WHOLE = f"""
    select (select min(model_version) from marts.customer_segments_history where snapshot_date = '{DAY}'),
        (select max(model_version) from marts.customer_segments_history where snapshot_date = '{DAY}'),
        (select sum(customers)::bigint from marts.segment_summary where snapshot_date = '{DAY}'),
        (select customers from marts.publish_log where snapshot_date = '{DAY}' order by publish_id desc limit 1),
        {", ".join(f"(select {counted(table)} from marts.{view} where snapshot_date = '{DAY}')"
                   for view, table in SHOWN.items())}
"""  # fmt: skip


def write_lake(folder, version, day=DAY):
    """The day's tables in a lake of their own: every customer's key begins with the version."""
    home = Home(folder)
    home.adopt("complete_journey", "complete_journey")
    customers, number = version
    for table, rows in day_of(customers, others=100 * number, day=day).items():
        for name in {"customer_key", "model_version"} & set(table.column_names):
            place = rows.schema.get_field_index(name)
            value = rows[name].cast(pa.string())
            value = pa.array([f"{number}-{key}" for key in value.to_pylist()]) if name == "customer_key" else value
            value = pa.repeat(pa.scalar(number, pa.int32()), len(rows)) if name == "model_version" else value
            rows = rows.set_column(place, rows.schema.field(name), value)
        LakeTable(home, table).write_arrow(day, rows)
    return {table: LakeTable(home, table).row_count(day) for table in PUBLISHED}


def seen_of(version, rows):
    customers, number = version
    shown = (customers if table is STAGE_TRANSITIONS else rows[table] for table in SHOWN.values())
    return (number, number, customers, customers, *shown)


def moved(answer):
    """What is seen of the day when another one is current: views of the current day alone have no row of it."""
    head, shown = answer[:4], answer[4:]
    return (*head, *(0 if VIEWS[view].is_current else n for view, n in zip(SHOWN, shown, strict=True)))


class Shop:
    """The shared server's home, and the two versions of the day that its lake may show."""

    def __init__(self, home, folder):
        self.home, self.folder = home, folder
        self.answers = {v: seen_of(v, write_lake(folder / str(v[1]), v)) for v in (A, B)}

    def show(self, version):
        """Puts the version's lake in the home's place by one rename."""
        link = self.home.path / ".lake"
        link.symlink_to(self.folder / str(version[1]) / "lake")
        os.replace(link, self.home.lake)

    def publish(self, version):
        self.show(version)
        publish.publish(self.home, DAY)

    def seen(self):
        with warehouse.connect(self.home, "bi_reader") as connection:
            return connection.execute(WHOLE).fetchone()

    def leftovers(self):
        with warehouse.connect(self.home) as connection:
            query = "select tablename from pg_tables where schemaname = 'staging'"
            return [name for (name,) in connection.execute(query)]

    def content(self):
        """Every mart without the log, whose number and clock say how often was tried."""
        with warehouse.connect(self.home, "bi_reader") as connection:
            views = [view for view in VIEWS if view != "publish_log"]
            return {view: connection.execute(f"select * from marts.{view} order by 1, 2, 3, 4").fetchall()
                    for view in views}  # fmt: skip


class Reader(threading.Thread):
    """Reads the whole again and again and keeps every answer but the right ones; waits out a server that is away."""

    def __init__(self, shop: Shop):
        super().__init__(daemon=True)
        self.shop, self.seen, self.wrong, self.stopping = shop, Counter(), set(), False
        self.known = {answer: version for version, answer in shop.answers.items()}
        self.start()

    def run(self):
        while not self.stopping:
            try:
                with warehouse.connect(self.shop.home, "bi_reader", autocommit=True) as connection:
                    while not self.stopping:
                        self.note(connection.execute(WHOLE).fetchone())
                        time.sleep(PAUSE_S)
            except psycopg.errors.DeadlockDetected as error:
                self.wrong.add(str(error))
            except (psycopg.OperationalError, UnavailableError):
                time.sleep(0.05)

    def note(self, answer):
        if answer in self.known:
            self.seen[self.known[answer]] += 1
        else:
            self.wrong.add(answer)


@pytest.fixture(scope="module")
def shop(tmp_path_factory, warehouse_home):
    """With version A published in an empty warehouse."""
    folder = tmp_path_factory.mktemp("lakes")
    if warehouse_home.lake.is_dir() and not warehouse_home.lake.is_symlink():
        warehouse_home.lake.rename(folder / "before")
    with warehouse.connect(warehouse_home) as connection:
        connection.execute("drop schema if exists marts, staging, warehouse cascade")
    setup.create_warehouse(warehouse_home)
    made = Shop(warehouse_home, folder)
    made.publish(A)
    yield made
    warehouse_home.lake.unlink()
    warehouse_home.lake.mkdir()


@pytest.fixture
def readers(shop):
    found = [Reader(shop) for _ in range(READERS)]
    yield found
    for reader in found:
        reader.stopping = True
        reader.join(10)


def judged(readers):
    """Nobody has seen anything but a whole day; how often which."""
    for reader in readers:
        assert reader.wrong == set()
    return sum((reader.seen for reader in readers), Counter())


# -- children that publish ---------------------------------------------------------------------------------------------


def forked():
    """Children that start with everything imported, so that a kill falls into the publish and not into imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["jobs.publish", "jobs.checks.checkpoint", "great_expectations", "adbc_driver_postgresql.dbapi"]
    )
    return context


CHILDREN = forked()

# What a publish does, in its order.
STEPS = {
    "drop_leftovers": publish, "stage_all": publish, "digest_of_day": publish, "switch": publish,
    "_replace_summary": publish_switch, "_swap_patiently": publish_switch, "_attach": publish_switch,
    "_move_pointer": publish_switch, "_log_publish": publish_switch,
}  # fmt: skip


def publish_telling(home, begun: Connection, fatal: str = ""):
    """Publishes; says when it begins to switch. Dies by its own hand at the end of the step ``fatal``."""
    for name, module in STEPS.items():
        setattr(module, name, _telling(getattr(module, name), begun, name, name == fatal))
    publish.publish(home, DAY)


def _telling(step, begun, name, is_fatal):
    def told(*arguments):
        if name == "switch":
            begun.send(name)
        done = step(*arguments)
        if is_fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return told


@contextmanager
def child(shop, fatal="") -> Iterator[tuple[multiprocessing.Process, Connection]]:
    told, telling = CHILDREN.Pipe(duplex=False)
    process = CHILDREN.Process(target=publish_telling, args=(shop.home, telling, fatal))
    process.start()
    telling.close()
    try:
        yield process, told
    finally:
        process.kill()
        process.join()
        told.close()


def seconds_of_a_publish(shop):
    """Without the imports, which the first child waits for."""
    for _ in range(2):
        began = time.monotonic()
        with child(shop) as (process, _told):
            process.join()
    return time.monotonic() - began


def test_publisher_killed_at_every_step(shop, readers):
    before, exits = A, []
    for step in STEPS:
        now = B if before == A else A
        shop.show(now)
        with child(shop, fatal=step) as (process, _told):
            process.join()
            exits.append(process.exitcode)
        # Each dies at its step's end: nothing is visible before the switch has ended, and then all of it is.
        assert shop.seen() == shop.answers[now if step == "switch" else before], step
        shop.publish(now)
        assert (shop.seen(), shop.leftovers()) == (shop.answers[now], []), step
        before = now
    assert exits == [-signal.SIGKILL] * len(STEPS)
    print(f"\nkilled at each of {len(STEPS)} steps; readers saw {dict(judged(readers))}")


def test_publisher_killed_at_any_instant(shop, readers):
    shop.publish(A)
    clean, draw, counts = shop.content(), random.Random(SEED), Counter()
    takes = seconds_of_a_publish(shop)
    while counts["killed"] < KILLS:
        attempt = counts.total()
        shop.show(B if attempt % 2 == 0 else A)
        with child(shop) as (process, told):
            began = time.monotonic()
            if attempt % 3:
                time.sleep(draw.uniform(0, takes))
            else:  # every third within the switch, which is a small part of the whole
                with suppress(EOFError):
                    told.recv()
                time.sleep(draw.uniform(0, 0.15))
            process.kill()
            process.join()
            killed = process.exitcode == -signal.SIGKILL
        counts["killed" if killed else "was through"] += 1
        if not killed and attempt % 3:  # a machine with less to do than before is quicker
            takes = min(takes, time.monotonic() - began)
        assert counts.total() < 3 * KILLS + 10, counts
        answer = shop.seen()
        assert answer in shop.answers.values()
    shop.publish(A)
    assert shop.content() == clean
    assert shop.leftovers() == []
    seen = judged(readers)
    assert all(sum(reader.seen.values()) > 0 for reader in readers)
    print(f"\n{KILLS} kills: {dict(counts)}; {READERS} readers: A {seen[A]:,} times, B {seen[B]:,}, nothing else")


def test_server_restarted_while_publishing(shop, readers):
    draw = random.Random(SEED)
    fast = signal.SIGINT
    for attempt in range(6):
        wanted = B if attempt % 2 == 0 else A
        shop.show(wanted)
        with child(shop) as (process, _told):
            time.sleep(draw.uniform(0.1, 2.0))
            os.kill(postgres.ensure_running(shop.home).pid, signal.SIGKILL if attempt % 3 else fast)
            process.join(120)
            assert process.exitcode is not None
        publish.publish(shop.home, DAY)
        with warehouse.connect(shop.home, "bi_reader") as connection:
            query = "select count(*), max(model_version) from marts.customer_segments"
            assert connection.execute(query).fetchone() == wanted
    judged(readers)


@pytest.fixture
def small_disk(shop):
    """The writer's tables on a disk of 2 MB of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder = Path(shop.home.path.parent / "small disk")
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a disk")
    location = folder / "tables"
    location.mkdir(mode=0o700)
    give_to_server(shop.home, location)
    with warehouse.connect(shop.home, "postgres", "warehouse", autocommit=True) as admin:
        admin.execute(f"create tablespace small owner lifestage_writer location '{location}'")
        admin.execute("alter role lifestage_writer set default_tablespace = small")
    yield folder
    with warehouse.connect(shop.home, "postgres", "warehouse", autocommit=True) as admin:
        admin.execute("alter role lifestage_writer reset default_tablespace")
        for (name,) in admin.execute("select tablename from pg_tables where schemaname = 'staging'").fetchall():
            admin.execute(f"drop table staging.{name}")
        admin.execute("drop tablespace small")
    subprocess.run(["umount", str(folder)], check=True)
    shutil.rmtree(folder)


def test_a_full_disk_at_staging_publishes_nothing(shop, readers, request):
    before = shop.seen()
    shop.show(B)
    request.getfixturevalue("small_disk")
    with pytest.raises(UnavailableError, match="No space left on device"):
        publish.publish(shop.home, DAY)
    assert shop.seen() == before
    with warehouse.connect(shop.home, "postgres", "warehouse", autocommit=True) as admin:
        admin.execute("alter role lifestage_writer reset default_tablespace")  # the disk has room again
    publish.publish(shop.home, DAY)
    assert shop.leftovers() == []
    with warehouse.connect(shop.home, "bi_reader") as connection:
        assert connection.execute("select count(*) from marts.customer_segments").fetchone() == (B[0],)
    judged(readers)


def test_two_publishers_of_one_day_and_of_two(shop, readers):
    shop.publish(A)
    write_lake(shop.folder / str(A[1]), A, NEXT)
    for reader in readers:
        reader.known[moved(shop.answers[A])] = A
    children = [CHILDREN.Process(target=publish.publish, args=(shop.home, day)) for day in (DAY, NEXT, DAY, NEXT)]
    for process in children:
        process.start()
    for process in children:
        process.join(300)
    assert [process.exitcode for process in children] == [0] * 4
    assert shop.leftovers() == []
    with warehouse.connect(shop.home, "bi_reader") as connection:
        query = "select snapshot_date, count(*) from marts.customer_segments_history group by 1 order by 1"
        assert connection.execute(query).fetchall() == [(DAY, A[0]), (NEXT, A[0])]
        assert connection.execute("select min(snapshot_date) from marts.next_actions").fetchone() == (NEXT,)
    judged(readers)


def test_an_old_day_published_again_changes_that_day_alone(shop):
    publish_day(shop, NEXT)
    with warehouse.connect(shop.home, "bi_reader") as connection:

        def current():
            return {view: connection.execute(f"select * from marts.{view} order by 1, 2, 3").fetchall()
                    for view, each in VIEWS.items() if each.is_current}  # fmt: skip

        before = current()
        connection.rollback()
        shop.publish(B)
        assert current() == before
        query = "select snapshot_date, count(*) from marts.customer_segments_history group by 1 order by 1"
        assert connection.execute(query).fetchall() == [(DAY, B[0]), (NEXT, A[0])]


def publish_day(shop, day):
    if not LakeTable(Home(shop.folder / str(A[1])), SCORES).has(day):
        write_lake(shop.folder / str(A[1]), A, day)
    shop.show(A)
    publish.publish(shop.home, day)
