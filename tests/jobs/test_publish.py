"""Publishing a day: what readers see before, between and after; audits that refuse; repeats that change nothing."""

import hashlib
import re
import threading
import time
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import DataError, SetupError, UnavailableError
from expectations.lifecycle import LIFECYCLE_PHASES
from expectations.segments import CUSTOMER_SEGMENTS, SCORES, SEGMENT_SETTINGS
from expectations.version import REPOSITORY
from jobs import publish, setup
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.marts import publish_switch, warehouse
from jobs.marts.warehouse_ddl import VIEWS
from jobs.schemas import arrow_schema

DAY = date(2017, 12, 30)
NEXT = DAY + timedelta(days=1)

# Three customers: a prospect with every null there can be, and two whose numbers are awkward to print and to add up.
ROWS = [
    {
        "customer_key": "c1", "value_tier": "low", "lifecycle_stage": "prospect", "churn_band": "high",
        "purchase_probability_30d": 0.1, "expected_spend_30d": 0.0, "recency_days": None, "frequency_days": 0,
        "monetary_value": None, "tenure_days": 0, "order_count": 0, "first_purchase_date": None,
        "last_purchase_date": None, "purchase_amount_30d": 0.0, "purchase_amount_365d": 0.0, "gap_mean_days": None,
    },
    {
        "customer_key": "c2", "value_tier": "high", "lifecycle_stage": "loyal", "churn_band": "low",
        "purchase_probability_30d": 1.0, "expected_spend_30d": 0.1 + 0.2, "recency_days": 0, "frequency_days": 2**40,
        "monetary_value": 1 / 3, "tenure_days": 2**31 - 1, "order_count": 7, "first_purchase_date": date(1999, 12, 31),
        "last_purchase_date": DAY, "purchase_amount_30d": 1e15 + 0.5, "purchase_amount_365d": 123.25,
        "gap_mean_days": 2 / 3,
    },
    {
        "customer_key": "Ü,\t'\"\\\n", "value_tier": "high", "lifecycle_stage": "loyal", "churn_band": "low",
        "purchase_probability_30d": 0.7, "expected_spend_30d": 0.7, "recency_days": 3, "frequency_days": 1,
        "monetary_value": 2.5, "tenure_days": 3, "order_count": 1, "first_purchase_date": DAY,
        "last_purchase_date": DAY, "purchase_amount_30d": 2.5, "purchase_amount_365d": 0.75, "gap_mean_days": None,
    },
]  # fmt: skip


def segments(day=DAY, rows=ROWS, **changes):
    """The rows with what follows from them; ``changes`` go into every row."""
    return [
        {
            "snapshot_date": day, **row, "lifecycle_phase": LIFECYCLE_PHASES[row["lifecycle_stage"]],
            "stage_since": day, "previous_stage": None, "cluster_id": None,
            "churn_probability_30d": 1 - row["purchase_probability_30d"], "spend_if_purchase_30d": 1.0,
            "churn_probability": 1 - row["purchase_probability_30d"], "churn_days": 30, "is_eligible": True,
            **dict.fromkeys((f"purchase_probability_{days}d" for days in (7, 14, 60, 90)), 0.5),
            **{f"expected_spend_{days}d_{end}": 1.0 for days in (30, 90) for end in ("low", "high")},
            "expected_spend_90d": None, "clv_365d": 12.5, "is_clv_extrapolated": True,
            "gap_last_days": None, "gap_mean_before_last_days": None, "purchase_days_365d": 0,
            "return_amount_30d": 0.0, "return_amount_365d": 0.0,
            "model_name": "purchase", "model_version": 3, **changes,
        }
        for row in rows
    ]  # fmt: skip


def write(home, rows, day=DAY, scored=None, cut=0.5):
    """Into the lake as segment and score leave it. ``scored``: customers in scores, if not all of ``rows``."""
    scores = [{name: row[name] for name in SCORES.column_names} for row in rows][:scored]
    settings = {
        "name": "high_value_from",
        "value": cut,
        "text": None,
        "unit": "currency",
        "origin": "computed",
        "description": "Cut.",
    }
    parts = {CUSTOMER_SEGMENTS: rows, SCORES: scores, SEGMENT_SETTINGS: [{"snapshot_date": day, **settings}]}
    for table, part in parts.items():
        # Without the contract's "not null", which pyarrow would hold such rows to already here.
        schema = pa.schema([field.with_nullable(True) for field in arrow_schema(table)])
        LakeTable(home, table).write_arrow(day, pa.Table.from_pylist(part, schema))


@pytest.fixture
def home(warehouse_home, tmp_path):
    """The shared server with an empty warehouse, and an empty lake."""
    with warehouse.connect(warehouse_home) as connection:
        connection.execute("drop schema if exists marts, staging, warehouse cascade")
    setup.create_warehouse(warehouse_home)
    lake = warehouse_home.path / "lake"
    lake.rename(tmp_path / "lake")
    lake.mkdir()
    return warehouse_home


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


def test_digest_is_the_rows_text(home):
    # Computed here from PostgreSQL's description of its text format, for rows whose numbers print the same everywhere.
    rows = [row for row in segments() if row["customer_key"] == "c1"]
    write(home, rows)

    def text(value):
        if value is None or isinstance(value, bool):
            return {None: "\\N", True: "t", False: "f"}[value]
        return f"{value:g}" if isinstance(value, float) else str(value)

    lines = "".join("\t".join(text(row[name]) for name in CUSTOMER_SEGMENTS.column_names) + "\n" for row in rows)
    assert publish.publish(home, DAY).content_digest == hashlib.sha256(lines.encode()).hexdigest()


def digest_of(home, rows):
    """Of staged rows alone: no audit, no switch."""
    write(home, rows)
    name = publish.load(home, CUSTOMER_SEGMENTS, DAY, LakeTable(home, CUSTOMER_SEGMENTS).read_arrow([DAY]))
    with warehouse.connect(home) as connection:
        return publish.content_digest(connection, name)


def test_digest_follows_the_rows(home):
    digests = Counter()
    for rows in (segments(), segments()[::-1], segments(recency_days=4), segments(monetary_value=None)):
        digests[digest_of(home, rows)] += 1
    assert sorted(digests.values()) == [1, 1, 2]  # the order does not matter, any value does


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


def readme_queries():
    part = (REPOSITORY / "README.md").read_text().partition("## For the BI analyst")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sql\n(.*?)```", part, re.DOTALL)
    return [query.strip() for block in blocks for query in block.split(";") if query.strip()]


def test_readmes_queries_answer_the_analyst(home):
    # Two snapshots with a day between them that was never published; the older one is published again last.
    later = NEXT + timedelta(days=1)
    moved = [row | {"lifecycle_stage": "active"} for row in ROWS if row["lifecycle_stage"] == "loyal"] + ROWS[:1]
    for day, rows in ((DAY, ROWS), (later, moved), (DAY, ROWS)):
        write(home, segments(day, rows), day)
        publish.publish(home, day)
    with warehouse.connect(home, "bi_reader") as connection:
        answers = [connection.execute(query).fetchall() for query in readme_queries()]
    fresh, stages, to_call, moves, lines = answers
    assert (fresh[0][0], fresh[0][2]) == (later, 3)
    assert {stage: n for stage, n, _ in stages} == {"active": 2, "prospect": 1}
    assert [row[0] for row in to_call] == ["c1"]
    assert moves == [("loyal", "active", 2)]
    assert [(day, str(value)) for day, value in lines] == [(DAY, "0.50"), (later, "0.50")]


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
        "nothing was published; the refused rows are in staging.customer_segments_v3_20171231_",
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
        (segments(), 2, r"3 customers have a segment, 2 a score"),
        (segments()[:2] + segments(model_version=4)[2:], None, r"name 2: purchase/3, purchase/4"),
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
    with pytest.raises(DataError, match=f"customer_segments has no partition for {DAY}"):
        publish.publish(home, DAY)


def test_no_setup_is_named(home):
    write(home, segments())
    with warehouse.connect(home) as connection:
        connection.execute("drop schema staging cascade")
    with pytest.raises(SetupError, match=r"not set up.*staging.*`python -m jobs setup`"):
        publish.publish(home, DAY)
    setup.create_warehouse(home)  # what the message says
    publish.publish(home, DAY)


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
