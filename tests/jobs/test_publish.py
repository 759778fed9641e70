"""Publishing a day: what readers see before, between and after; audits that refuse; repeats that change nothing."""

import hashlib
import shutil
import struct
import threading
import time
from collections import Counter
from datetime import date
from decimal import Decimal

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import DataError, SetupError, UnavailableError
from expectations.segments import CUSTOMER_SEGMENTS, SEGMENT_SETTINGS
from jobs import publish, setup
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.marts import publish_switch, warehouse
from jobs.marts.rows_digest import rows_digest
from jobs.marts.warehouse_ddl import VIEWS
from tests.jobs.published import DAY, FEW, NEXT, ROWS, empty_warehouse, only, segments, write


@pytest.fixture(autouse=True, scope="module")
def few_tables():
    with only(*FEW):
        yield


@pytest.fixture
def home(warehouse_home, tmp_path):
    return empty_warehouse(warehouse_home, tmp_path)


def read(home, view, order="1, 2"):
    with warehouse.connect(home, "bi_reader") as connection:
        return connection.execute(f"select * from marts.{view} order by {order}").fetchall()


def marts(home):
    """Everything that readers see, but for the log's number and clock."""
    seen = {view: read(home, view) for view in VIEWS}
    seen["publish_log"] = [row[1:2] + row[3:] for row in seen["publish_log"]]
    return seen


def staging(home):
    with warehouse.connect(home) as connection:
        return [name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'staging'")]


# -- what is published -------------------------------------------------------------------------------------------------


def test_values_arrive_as_they_are(home):
    write(home, segments())
    publish.publish(home, DAY)
    names = CUSTOMER_SEGMENTS.column_names
    with warehouse.connect(home) as connection:
        stored = connection.execute("select * from warehouse.customer_segments_v3").fetchall()
    found = {row[1]: dict(zip(names, row, strict=True)) for row in stored}
    assert found == {row["customer_key"]: {name: row[name] for name in names} for row in segments()}
    assert read(home, "segment_settings") == [(DAY, "high_value_from", 0.5, None, "currency", "computed", "Cut.")]


def test_views_show_money_in_cents(home):
    write(home, segments())
    publish.publish(home, DAY)
    money = [column.name for column in CUSTOMER_SEGMENTS.columns if column.unit == "currency"]
    with warehouse.connect(home, "bi_reader") as connection:
        rows = connection.execute(f"select customer_key, {', '.join(money)} from marts.customer_segments").fetchall()
        connection.execute("select round(expected_spend_30d, 2) from marts.customer_segments_history")
    found = {key: dict(zip(money, map(str, amounts), strict=True)) for key, *amounts in rows}
    # A double carries 15 digits, so a half beyond them is not seen.
    assert found["c2"]["purchase_amount_30d"] == "1000000000000000.00"
    assert (found["c2"]["expected_spend_30d"], found["c2"]["monetary_value"]) == ("0.30", "0.33")
    assert found["c1"]["monetary_value"] == "None"


def test_summary_adds_up_exactly(home):
    write(home, segments())
    publish.publish(home, DAY)
    assert [tuple(map(str, row)) for row in read(home, "segment_summary")] == [
        (str(DAY), "high", "loyal", "low", "2", "0.666667", "1.00", "124.00"),  # 0.1 + 0.2 + 0.7, as money
        (str(DAY), "low", "prospect", "high", "1", "0.333333", "0.00", "0.00"),
    ]


def test_sums_over_customers_are_the_summarys_to_the_cent(home):
    # Thirds and half cents: their sum rounded is another one than the sum of what the view shows.
    amounts = [n / 3 for n in range(200)] + [n + 0.005 for n in range(200)]
    rows = [
        ROWS[n % 3] | {"customer_key": f"{n}", "expected_spend_30d": amount, "purchase_amount_365d": 2 * amount}
        for n, amount in enumerate(amounts)
    ]
    write(home, segments(rows=rows))
    publish.publish(home, DAY)
    assert round(sum(amounts), 2) != float(sum(round(Decimal(repr(a)), 2) for a in amounts))
    summed = "value_tier, lifecycle_stage, churn_band, sum(expected_spend_30d), sum(purchase_amount_365d)"
    with warehouse.connect(home, "bi_reader") as connection:
        by_segment, segment = (
            connection.execute(f"select {summed} from marts.{view} group by 1, 2, 3 order by 1").fetchall()
            for view in ("customer_segments", "segment_summary")
        )
    assert by_segment == segment


def test_log_says_what_was_published(home):
    write(home, segments())
    snapshot = publish.publish(home, DAY)
    (entry,) = read(home, "publish_log")
    assert entry[1] == DAY
    assert entry[3:7] == (3, snapshot.content_digest, "purchase", 3)
    assert entry[8] > 20
    assert entry[9] == 0


def test_a_digest_is_over_presence_and_values_column_by_column():
    rows = pa.table({"a": ["x", None, "Ü"], "n": pa.array([1, None, -2], pa.int32()), "p": [0.5, -1.0, None]})
    there = b"\1\0\1"
    expected = b"a\0" + there + struct.pack("<3i", 1, 0, 2) + "xÜ".encode()
    expected += b"n\0" + there + struct.pack("<3i", 1, 0, -2) + b"p\0\1\1\0" + struct.pack("<3d", 0.5, -1, 0)
    assert rows_digest(rows) == hashlib.sha256(expected).hexdigest()
    days = pa.table({"d": pa.array([date(1970, 1, 2), None]), "b": [None, True]})
    expected = b"d\0\1\0" + struct.pack("<2i", 1, 0) + b"b\0\0\1\0\1"
    assert rows_digest(days) == hashlib.sha256(expected).hexdigest()


@given(
    st.lists(st.tuples(st.none() | st.text(max_size=3), st.none() | st.floats(allow_nan=False)), max_size=9), st.data()
)
def test_a_digest_knows_rows_from_one_another_however_they_are_chunked(items, data):
    def table(items):
        schema = pa.schema([("a", pa.string()), ("p", pa.float64())])
        return pa.Table.from_pylist([{"a": a, "p": p} for a, p in items], schema)

    cut = data.draw(st.integers(0, len(items)))
    chunked = pa.concat_tables([table(items[:cut]), table([("other", 1.0), *items]).slice(cut + 1)])
    assert rows_digest(chunked) == rows_digest(table(items))
    other = data.draw(st.lists(st.sampled_from([*items, (None, None), ("", None), (None, 0.0)]), max_size=9))
    same = [tuple(map(repr, item)) for item in other] == [tuple(map(repr, item)) for item in items]
    assert (rows_digest(table(other)) == rows_digest(table(items))) == same


def test_the_days_digest_covers_every_table_and_value(home):
    def digest(**changes):
        write(home, segments(**changes.pop("row", {})), **changes)
        return publish.publish(home, DAY).content_digest

    first = digest()
    assert digest() == first
    assert len({first, digest(cut=0.25), digest(row={"recency_days": 4}), digest(row={"monetary_value": None})}) == 4


def test_again_gives_equal_marts(home):
    write(home, segments())
    publish.publish(home, DAY)
    once = marts(home)
    publish.publish(home, DAY)
    again = marts(home)
    assert again.pop("publish_log") == 2 * once.pop("publish_log")
    assert again == once
    assert [row[0] for row in read(home, "publish_log")] == [1, 2]


def test_old_day_again_leaves_current_alone(home):
    for day in (DAY, NEXT):
        write(home, segments(day), day)
        publish.publish(home, day)
    current = read(home, "customer_segments")
    assert {row[0] for row in current} == {NEXT}
    write(home, segments(rows=ROWS[:1]), cut=0.25)
    publish.publish(home, DAY)
    assert read(home, "customer_segments") == current
    assert Counter(row[0] for row in read(home, "customer_segments_history")) == {DAY: 1, NEXT: 3}
    assert [(row[0], row[2]) for row in read(home, "segment_settings")] == [(DAY, 0.25), (NEXT, 0.5)]
    assert sum(row[4] for row in read(home, "segment_summary") if row[0] == DAY) == 1


def test_setup_keeps_what_is_published(home):
    write(home, segments())
    publish.publish(home, DAY)
    before = marts(home)
    setup.create_warehouse(home)
    assert marts(home) == before


def test_administrators_address_of_a_server_of_ones_own(home, monkeypatch):
    # Every way in (psycopg, ADBC, SQLAlchemy) takes the writer's role, so that the views go on reading what it owns.
    monkeypatch.setenv("LIFESTAGE_WAREHOUSE_URI", warehouse.uri(home, "postgres", "warehouse"))
    write(home, segments())
    publish.publish(home, DAY)
    assert len(read(home, "customer_segments")) == 3
    owners = "select distinct tableowner from pg_tables where schemaname in ('warehouse', 'staging')"
    with warehouse.connect(home) as connection:
        assert connection.execute(owners).fetchall() == [("lifestage_writer",)]


# -- what is refused ---------------------------------------------------------------------------------------------------


NAN = float("nan")
BROKEN = [
    *segments(NEXT)[:1],
    *segments(NEXT, recency_days=-1, value_tier="gold")[1:],
    *segments(NEXT, expected_spend_30d=NAN)[:1],  # and c1 for the second time
]


def test_failed_audit_publishes_nothing(home):
    write(home, segments())
    publish.publish(home, DAY)
    before = marts(home)
    write(home, BROKEN, NEXT)
    with pytest.raises(DataError) as raised:
        publish.publish(home, NEXT)
    for part in (
        "recency_days_below_0: expected at least 0 days; observed 2 of 4 rows (50.00%)",
        "value_tier_unknown: expected one of top, high, medium, low; observed 2 of 4 rows",
        "expected_spend_30d_not_finite",
        "key_unique",
        "nothing was published; the refused rows are in staging.",
        "staging.customer_segments_v3_20171231_",
    ):
        assert part in str(raised.value)
    assert marts(home) == before
    assert len(staging(home)) == 2  # kept, to be looked at
    write(home, segments(NEXT), NEXT)
    publish.publish(home, NEXT)
    assert staging(home) == []
    assert {row[0] for row in read(home, "customer_segments")} == {NEXT}


@pytest.mark.parametrize(
    ("rows", "scored", "message"),
    [
        ([], None, r"row_count"),  # an empty snapshot must never replace a full one
        (segments()[:2] + segments(NEXT)[2:], None, r"another_day"),
        (segments(), 2, r"customers_match_scores: .*3 rows, 2 in lake/scores"),
        (segments()[:2] + segments(model_version=4)[2:], None, r"one_model: .*at most 1 .*purchase/3, purchase/4"),
    ],
)
def test_audit_refuses(home, rows, scored, message):
    write(home, rows, DAY, scored)
    with pytest.raises(DataError, match=f"(?s){message}.*nothing was published"):
        publish.publish(home, DAY)
    assert not any(marts(home).values())


def test_null_where_none_may_be_is_refused(home):
    # The engine's writer does not know "not null"; the lake's reader does.
    write(home, segments())
    file = LakeTable(home, CUSTOMER_SEGMENTS).folder(DAY) / "part-0.parquet"
    pq.write_table(pa.Table.from_pylist(segments(value_tier=None)).select(CUSTOMER_SEGMENTS.column_names), file)
    with pytest.raises(DataError, match=r"(?s)customer_segments.*2017-12-30.* does not fit .*contract.*value_tier"):
        publish.publish(home, DAY)


def test_a_day_without_segments_is_named(home):
    with pytest.raises(DataError, match=f"scores, customer_segments.* have no partition for {DAY}: run `python"):
        publish.publish(home, DAY)
    write(home, segments())
    shutil.rmtree(LakeTable(home, SEGMENT_SETTINGS).folder(DAY))
    with pytest.raises(DataError, match=r"^segment_settings has no .*`python -m jobs segment --ds 2017-12-30` first$"):
        publish.publish(home, DAY)


def test_no_setup_is_named(home):
    write(home, segments())
    with warehouse.connect(home) as connection:
        connection.execute("drop schema staging cascade")
    with pytest.raises(SetupError, match=r"not set up.*staging.*`python -m jobs setup`"):
        publish.publish(home, DAY)
    setup.create_warehouse(home)  # what the message says
    publish.publish(home, DAY)
    with warehouse.connect(home) as connection:
        connection.execute("drop table warehouse.segment_settings_v2 cascade")
    with pytest.raises(SetupError, match=r"not set up.*segment_settings_v2.*`python -m jobs setup`"):
        publish.publish(home, DAY)
    assert staging(home) == []  # told before anything was loaded


# -- many at once ------------------------------------------------------------------------------------------------------


class Publishing(threading.Thread):
    """A publish of its own; ``join`` raises what it raised."""

    def __init__(self, home: Home, day: date):
        super().__init__()
        self.home, self.day, self.error = home, day, None
        self.start()

    def run(self):
        try:
            publish.publish(self.home, self.day)
        except Exception as error:
            self.error = error

    def result(self):
        self.join(60)
        assert not self.is_alive()
        if self.error:
            raise self.error


def wait_for_log(caplog, text):
    deadline = time.monotonic() + 30
    while not any(text in record.getMessage() for record in caplog.records):
        assert time.monotonic() < deadline, f"never said {text!r}"
        time.sleep(0.02)


def test_second_publisher_of_a_day_waits(home, caplog):
    caplog.set_level("INFO")
    write(home, segments())
    with warehouse.connect(home, autocommit=True) as first, publish._only_publisher_of(first, DAY):
        second = Publishing(home, DAY)
        wait_for_log(caplog, "another publish of 2017-12-30 is running")
        assert staging(home) == []  # it has not begun: it would drop what the first is loading
    second.result()
    assert len(read(home, "customer_segments")) == 3


def test_two_publishers_at_once(home):
    write(home, segments())
    write(home, segments(NEXT), NEXT)
    publishers = [Publishing(home, day) for day in (DAY, NEXT, DAY, NEXT)]
    for publisher in publishers:
        publisher.result()
    seen = marts(home)
    assert [len(seen[view]) for view in ("customer_segments", "customer_segments_history", "publish_log")] == [3, 6, 4]
    assert {row[0] for row in seen["customer_segments"]} == {NEXT}
    assert staging(home) == []


def test_reader_keeps_its_day_and_does_not_block_others(home, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr(publish_switch, "LOCK_ATTEMPT", "200ms")
    write(home, segments())
    publish.publish(home, DAY)
    before = marts(home)
    with warehouse.connect(home, "bi_reader") as slow:
        slow.execute("select * from marts.customer_segments").fetchall()  # and its transaction stays open
        write(home, segments(rows=ROWS[:1]))
        second = Publishing(home, DAY)
        wait_for_log(caplog, "waiting for readers of the marts to finish: session")
        assert marts(home) == before  # others read on, within the attempt's 200 ms
        assert len(slow.execute("select * from marts.customer_segments").fetchall()) == 3
    second.result()
    assert len(read(home, "customer_segments")) == 1


def test_endless_reader_is_named(home, monkeypatch):
    monkeypatch.setattr(publish_switch, "LOCK_LIMIT_S", 0)
    monkeypatch.setattr(publish_switch, "LOCK_ATTEMPT", "100ms")
    write(home, segments())
    publish.publish(home, DAY)
    with warehouse.connect(home, "bi_reader", application_name="a dashboard") as slow:
        slow.execute("select * from marts.customer_segments_history")
        with pytest.raises(UnavailableError, match=r"session .* of bi_reader a dashboard"):
            publish.publish(home, DAY)
    publish.publish(home, DAY)
    assert staging(home) == []


def test_a_session_that_sits_on_the_switch_is_named(home, monkeypatch):
    monkeypatch.setattr(publish_switch, "LOCK_LIMIT_S", 1)
    write(home, segments())
    with warehouse.connect(home, "bi_reader", autocommit=True, application_name="a sleeper") as idle:
        idle.execute("select pg_advisory_lock(%s)", [publish_switch.SWITCH_LOCK])
        with pytest.raises(UnavailableError, match=r"held for 1 s \(session \d+ of bi_reader a sleeper\): end that"):
            publish.publish(home, DAY)
        assert read(home, "customer_segments") == []
    publish.publish(home, DAY)
    assert len(read(home, "customer_segments")) == 3


def test_query_planned_before_a_new_day_never_finds_nothing(home):
    # The parent is locked for a new day too: the pointer must not move under a query that knows no such partition.
    write(home, segments())
    publish.publish(home, DAY)
    write(home, segments(NEXT), NEXT)
    counts, stop = set(), threading.Event()

    def poll():
        with psycopg.connect(warehouse.uri(home, "bi_reader"), autocommit=True) as connection:
            while not stop.is_set():
                counts.add(connection.execute("select count(*) from marts.customer_segments").fetchone()[0])

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for day in (NEXT, DAY):
            publish.publish(home, day)
    finally:
        stop.set()
        reader.join()
    assert counts == {3}
