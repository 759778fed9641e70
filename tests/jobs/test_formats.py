"""Files of every format become the same events, line by line; what a mapping adds or cleans up."""

import bz2
import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.events import EVENTS, INGEST_REPORT, QUARANTINE
from jobs.ingest import ingest_days
from jobs.lake import LakeTable
from jobs.reading.keys import CustomerKeys
from jobs.reading.mapping import parse_mapping
from jobs.reading.uncompress import uncompress
from jobs.reading.vault_file import vault_file

DAY = date(2024, 3, 4)
MAPPING = """
source: corner_shop
shop: corner_shop
timezone: Europe/Berlin
currency: EUR
expected: {first: 2024-01-01, last: 2024-12-31}
feeds:
  - name: all
    files: ds={ds}/file
    time_formats: ["%Y-%m-%d %H:%M:%S"]
    event_type: purchase
    columns: {customer_id: who, event_time: at, amount: paid}
"""


@pytest.fixture
def deliver(home):
    """``deliver(bytes, (old, new), ...)``: the day of that file, by MAPPING so changed: (problems, events, report)."""

    def run(data, *changes, day=DAY):
        text = MAPPING
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = home.landing / "corner_shop" / f"ds={day}" / "file"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        problems = ingest_days(home, [parse_mapping(text, "corner_shop.yaml")], [day])
        (report,) = rows(home, INGEST_REPORT, day)
        return problems, rows(home, EVENTS, day), report

    return run


def rows(home, table, day=DAY):
    return LakeTable(home, table).read_arrow([day]).to_pylist()


def packed(table):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def also(lines):
    """More lines of the feed in MAPPING."""
    return ("    columns:", "".join(f"    {line}\n" for line in lines) + "    columns:")


def columns(more):
    return ("paid}", f"paid, {more}}}")


CSV = b"who,at,paid\nc1,2024-03-04 10:00:00,5\nc2,2024-03-04 11:00:00,x\n"
COMPRESSED = {
    "gzip": gzip.compress(CSV), "bzip2": bz2.compress(CSV), "zstd": pa.compress(CSV, codec="zstd", asbytes=True),
    "plain": CSV,
}  # fmt: skip


@pytest.mark.parametrize("data", COMPRESSED.values(), ids=COMPRESSED)
def test_compression_is_known_by_the_first_bytes(deliver, home, data):
    problems, events, report = deliver(data)
    assert (problems, len(events), report["rows_quarantined"]) == ([], 1, 1)
    (refused,) = rows(home, QUARANTINE)
    # The place is one in the uncompressed file.
    assert CSV[refused["byte_start"] : refused["byte_end"]] == b"c2,2024-03-04 11:00:00,x"


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lambda raw: pa.compress(raw, codec="zstd", asbytes=True)]
)
def test_of_a_file_cut_short_what_stands_before_is_read(pack):
    raw = b"".join(b"%d,%d\n" % (n, n * 7919 % 104729) for n in range(400_000))
    whole = pack(raw)
    content, damage = uncompress(whole[: len(whole) * 3 // 4])
    assert raw.startswith(content)
    assert len(content) > len(raw) // 2
    assert "truncated" in damage
    assert uncompress(whole) == (raw, "")
    # A second member goes on where the first ended; what is none is told, and costs little of what stood before.
    assert uncompress(whole + whole) == (raw + raw, "")
    content, damage = uncompress(whole + b"<html>504</html>")
    assert raw.startswith(content)
    assert len(content) > len(raw) - (1 << 18)
    assert damage.startswith("damaged after")


BLANKS = [("files: ds={ds}/file", 'files: ds={ds}/file\n    header: false\n    delimiter: whitespace\n'
           "    column_names: [who, sample, at, cds, paid]"), ("%Y-%m-%d %H:%M:%S", "%Y%m%d")]  # fmt: skip


def test_columns_parted_by_blanks_without_a_header(deliver, home):
    # Blanks before the first value, runs of them between, a carriage return behind; a quote means nothing.
    raw = b' 00004    1 20240304  2   29.33\r\n 00008\t "2 20240304  2   x\r\n00009 3 20240304 2 0.00   \r\n00010 4\r\n'
    problems, events, report = deliver(raw, *BLANKS)
    assert problems == []
    assert [(e["amount"], e["source_line"], e["event_hour"]) for e in events] == [
        (Decimal("29.33"), 1, None), (Decimal("0.00"), 3, None)]  # fmt: skip
    assert events[0]["customer_key"] == CustomerKeys.of(home).key("00004")
    refused = {row["source_line"]: (row["failed_rules"], raw[row["byte_start"] : row["byte_end"]])
               for row in rows(home, QUARANTINE)}  # fmt: skip
    assert refused == {2: (["paid_not_a_number"], raw.split(b"\n")[1]), 4: (["field_count"], raw.split(b"\n")[3])}
    assert (report["rows_read"], report["header"]) == (4, "")


def test_without_a_header_an_empty_file_is_a_day_without_rows(deliver):
    problems, events, report = deliver(b"", *BLANKS)
    assert (problems, events, report["rows_read"], report["is_complete"]) == ([], [], 0, True)


JSON = ("files: ds={ds}/file", "files: ds={ds}/file\n    format: jsonl")
NESTED = ("{customer_id: who, event_time: at, amount: paid}",
          "{customer_id: user.id, event_time: at, amount: paid, category: path, text: note}")  # fmt: skip


def test_json_lines_are_read_one_by_one(deliver, home):
    lines = [
        '{"user": {"id": 17850.0}, "at": "2024-03-04 10:00:00", "paid": 5.1, "path": ["toys", "dolls"], "note":"é\\n"}',
        '{"user": {"id": "17850"}, "at": "2024-03-04 10:00:00", "paid": "7", "extra": {"a": [1, {}]}}',
        '{"user": {"id": 1}, "at": "2024-03-04 10:00:00", "paid": 5',
        "[1, 2]",
        "",
        '{"user": {"id": 1}, "at": "2024-03-04 10:00:00", "paid": {"eur": 5}}',
        '{"user": {"id": null}, "at": "2024-03-04 10:00:00", "paid": 1}',
        '{"user": {"id": 1}, "at": "2024-03-04 10:00:00", "paid": 1, "note": "\\ud800"}',
    ]
    raw = "\n".join(lines).encode()
    ids = also(['ids: {customer_id: {suffix: ".0"}}'])
    problems, events, report = deliver(raw, JSON, NESTED, ids)
    assert problems == []
    assert [(e["amount"], e["category"], e["text"]) for e in events] == [
        (Decimal("5.1"), "toys.dolls", "é"), (Decimal(7), None, None)]  # fmt: skip
    # A number keeps its digits until the id is cleaned: both are one customer.
    assert {e["customer_key"] for e in events} == {CustomerKeys.of(home).key("17850")}
    refused = {row["source_line"]: row for row in rows(home, QUARANTINE)}
    assert {n: row["failed_rules"] for n, row in refused.items()} == {
        3: ["not_json"], 4: ["not_json"], 6: ["paid_not_one_value"], 7: ["customer_key_missing"], 8: ["not_json"],
    }  # fmt: skip
    assert raw[refused[6]["byte_start"] : refused[6]["byte_end"]].decode() == lines[5]
    assert (report["rows_read"], report["rows_with_text"]) == (7, 1)
    assert {"user.id", "at", "paid", "path", "note"} <= set(report["header"].split("\n"))


def test_a_key_that_no_line_has_is_told(deliver):
    (problem,), events, _ = deliver(b'{"at": "2024-03-04 10:00:00", "paid": 1}\n', JSON)
    assert "no line has the key who; the 1 lines cannot be read" in problem
    # One that only some lines have may be missing from a few by chance, never from many.
    line = b'{"who": 1, "at": "2024-03-04 10:00:00"}\n'
    problems, events, report = deliver(line, JSON)
    assert (problems, events, report["reasons"]) == ([], [], "amount_missing=1")
    (problem,), _, _ = deliver(line * 1000, JSON)
    assert "no line has the key paid" in problem


PARQUET = [("files: ds={ds}/file", "files: ds={ds}/file\n    format: parquet"),
           ('    time_formats: ["%Y-%m-%d %H:%M:%S"]\n', "")]  # fmt: skip


def test_parquet_is_read_as_it_is_typed(deliver, home):
    at = [datetime(2024, 3, 3, 23, 30, tzinfo=UTC), None]
    table = pa.table({"who": pa.array([17, 18]), "at": pa.array(at, pa.timestamp("ms", tz="UTC")), "paid": [5.25, 1.0]})
    problems, events, report = deliver(packed(table), *PARQUET)
    assert problems == []
    (event,) = events
    # A time that names its zone is put into the shop's: half past midnight in Berlin.
    assert (event["event_date"], event["event_hour"], event["event_time"]) == (DAY, 0, at[0])
    assert (event["customer_key"], event["amount"]) == (CustomerKeys.of(home).key("17"), Decimal("5.25"))
    # Rows count from 1, and have no bytes of their own.
    (refused,) = rows(home, QUARANTINE)
    assert (refused["source_line"], refused["byte_start"], refused["byte_end"]) == (2, 0, 0)
    assert refused["failed_rules"] == ["event_date_missing", "event_time_missing"]
    assert report["header"] == "at\npaid\nwho"


@pytest.mark.parametrize(
    ("at", "hour", "moment"),
    [
        (
            pa.array(["2024-03-04 00:30:00"]).cast(pa.timestamp("s")),
            0,
            datetime(2024, 3, 3, 23, 30, tzinfo=UTC),
        ),  # the shop's own time
        (pa.array([DAY]), None, datetime(2024, 3, 3, 23, 0, tzinfo=UTC)),  # a date tells no hour
    ],
)
def test_typed_times_without_a_zone_are_the_shops(deliver, at, hour, moment):
    _, (event,), _ = deliver(packed(pa.table({"who": ["a"], "at": at, "paid": [1]})), *PARQUET)
    assert (event["event_hour"], event["event_time"], event["event_date"]) == (hour, moment, DAY)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"who": ["a"], "at": [DAY]}, "missing column paid; its 1 rows cannot be read. Found: who, at"),
        ({"who": ["a"], "at": [DAY], "paid": [[1]]}, "column paid: expected texts, numbers or times, found list<"),
        ({"who": [b"\xff"], "at": [DAY], "paid": [1]}, "column who: expected texts, numbers or times, found binary"),
    ],
)
def test_a_parquet_column_lost_or_retyped_is_told(deliver, table, message):
    (problem,), _, report = deliver(packed(pa.table(table)), *PARQUET)
    assert message in problem
    assert not report["is_complete"]


def test_a_column_that_changed_its_meaning_refuses_its_rows(deliver):
    # Truth values where numbers stood: every row is refused, and the gate stops a day like that.
    _, events, report = deliver(
        packed(pa.table({"who": ["a", "b"], "at": [DAY, DAY], "paid": [True, False]})), *PARQUET
    )
    assert (events, report["quarantine_share"], report["reasons"]) == ([], 1.0, "paid_not_a_number=2")


def test_what_is_no_parquet_is_told(deliver):
    (problem,), _, _ = deliver(CSV, *PARQUET)
    assert "file is no parquet file that can be read" in problem


def test_a_new_column_is_told_against_the_delivery_before(deliver, home):
    friday, sunday = date(2024, 3, 1), date(2024, 3, 3)
    assert deliver(b"who,at,paid\na,2024-03-01 00:00:00,1\n", day=friday)[2]["added_columns"] == ""  # the first one
    wider = b"who,at,paid,mood,,shoe\na,2024-03-03 00:00:00,1,x,y,z\n"
    _, _, report = deliver(wider, day=sunday)  # Saturday brought nothing
    assert (report["added_columns"], report["header"]) == ("mood, shoe", "at\nmood\npaid\nshoe\nwho")
    assert deliver(wider, day=DAY)[2]["added_columns"] == ""  # no longer new
    assert deliver(wider, day=sunday)[2]["added_columns"] == "mood, shoe"  # nor does a later day count


def test_constants_fill_and_a_year_is_assumed(deliver):
    raw = b"who,at\na,3-4\nb,2-29\nc,2-30\n"
    more = ["constants: {amount: 0, channel: web, quantity: 2, currency: CNY}", "assumed_year: 2024"]
    changes = [('"%Y-%m-%d %H:%M:%S"', '"%-m-%-d"'), (", amount: paid", ""), also(more)]
    _, events, report = deliver(raw, *changes)
    assert [(e["event_date"], e["amount"], e["quantity"], e["price"], e["channel"], e["currency"]) for e in events] == [
        (date(2024, 3, 4), 0, 2, 0, "web", "CNY"), (date(2024, 2, 29), 0, 2, 0, "web", "CNY")]  # fmt: skip
    assert report["reasons"] == "event_time_not_a_time=1"


def test_ids_are_cleaned_after_the_event_type_saw_them(deliver, home):
    # A cancellation C17 is a return of order 17.
    changes = [
        ("event_type: purchase", "event_type: {default: purchase, when: [{column: order, prefix: C, is: return}]}"),
        columns("order_id: order, product_id: sku"),
        also(['ids: {customer_id: {suffix: ".0"}, order_id: {prefix: C, zeros: strip}, product_id: {case: upper}}']),
    ]
    at = "2024-03-04 10:00:00"
    raw = f"who,at,paid,order,sku\n7.0,{at},1,17,ab\n7,{at},1,C017,AB\n7,{at},1,000,\n".encode()
    _, events, _ = deliver(raw, *changes)
    assert [(e["event_type"], e["order_id"], e["product_id"]) for e in events] == [
        ("purchase", "17", "AB"), ("return", "17", "AB"), ("purchase", "0", None)]  # fmt: skip
    assert {e["customer_key"] for e in events} == {CustomerKeys.of(home).key("7")}
    assert events[0]["product_hash"] == events[1]["product_hash"]


def test_null_characters_are_no_part_of_a_text(deliver, home):
    # PostgreSQL takes none: one such id would stop every publish after it.
    at = "2024-03-04 10:00:00"
    raw = f"who,at,paid,sku\n7\0,{at},1,a\0b\n\0 7 \0,{at},1,\0\n7,{at},\x001,ab\n".encode()
    _, events, _ = deliver(raw, columns("product_id: sku"))
    assert [(e["product_id"], e["amount"]) for e in events] == [("ab", 1), (None, 1), ("ab", 1)]
    assert {e["customer_key"] for e in events} == {CustomerKeys.of(home).key("7")}
    assert pq.read_table(vault_file(home, DAY))["customer_id"].to_pylist() == ["7"]


def test_fields_of_reviews_and_prices(deliver):
    changes = [
        ("event_type: purchase", "event_type: review"), also(["rating_scale: [1, 5]"]),
        columns("rating: stars, text: words, category: [dept, class], quantity: n, price: each, arrival_time: seen, "
                "discount_amount: [less, coupon]"),
    ]  # fmt: skip
    raw = (
        b"who,at,paid,stars,words,dept,class,n,each,seen,less,coupon\n"
        b"a,2024-03-04 10:00:00,9,4,nice,Dresses,V. Neck,3,2.5,2024-03-04 12:00:00,,0.5\n"
        b"a,2024-03-04 10:00:00,9,6,,,Knits,0,,,,\n"
        b"a,2024-03-04 10:00:00,9,,,,,3,,2024-03-04,,\n"
        b"a,2024-03-04 10:00:00,10,1,,,,3,,,1,0.5\n"
    )
    _, events, report = deliver(raw, *changes)
    names = ("rating", "text", "category", "price", "discount_amount")
    assert [tuple(e[name] for name in names) for e in events] == [
        # A dot within a part would part the path once more. A blank discount is none beside one that is written.
        (0.75, "nice", "Dresses.V  Neck", Decimal("2.5"), Decimal("0.5")),
        (0.0, None, None, Decimal("3.3333"), Decimal("1.5")),  # 10 for 3 is rounded to four places
    ]
    assert events[0]["arrival_time"] == datetime(2024, 3, 4, 11, tzinfo=UTC)
    assert report["reasons"] == "arrival_time_not_a_time=1; rating_above_1=1"


VALUE = st.one_of(
    st.sampled_from(["c1", "", " ", "2024-03-04 10:00:00", "1", "-1", "x", '"', "\t", "ÿ", "\0"]), st.none()
)
FORMATS = {
    "csv": lambda table: ",".join(table) + "\n" + "".join(
        ",".join(value or "" for value in row) + "\n" for row in zip(*table.values(), strict=True)),
    "whitespace": lambda table: "".join(
        " ".join(value or "" for value in row) + "\r\n" for row in zip(*table.values(), strict=True)),
    "jsonl": lambda table: "".join(
        json.dumps(dict(zip(table, row, strict=True))) + "\n" for row in zip(*table.values(), strict=True)),
}  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "whitespace", "jsonl", "parquet"])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.lists(st.tuples(VALUE, VALUE, VALUE), max_size=8), repeats=st.booleans(), whole=st.booleans())
def test_in_every_format_kept_and_refused_and_dropped_are_what_was_read(deliver, home, form, drawn, repeats, whole):
    drawn = [(f"c{n}", "2024-03-04 10:00:00", row[2]) if whole else row for n, row in enumerate(drawn)] + drawn[:2]
    table = {name: [row[n] for row in drawn] for n, name in enumerate(("who", "at", "paid"))}
    data = packed(pa.table({name: pa.array(texts, pa.string()) for name, texts in table.items()})) \
        if form == "parquet" else FORMATS[form](table).encode()  # fmt: skip
    how = {"csv": [], "jsonl": [JSON], "parquet": PARQUET[:1],
           "whitespace": [("files: ds={ds}/file", "files: ds={ds}/file\n    header: false\n    delimiter: whitespace\n"
                           "    column_names: [who, at, clock, paid]")]}[form]  # fmt: skip
    policies = ["drop_without_customer: true", *(["drop_duplicates: true"] if repeats else [])]
    problems, events, report = deliver(data, *how, also(policies))
    if problems:  # no line has one of the keys that all need
        assert form == "jsonl"
        assert "no line has the key" in problems[0]
        return
    assert report["rows_read"] == report["rows_kept"] + report["rows_quarantined"] + report["rows_dropped"]
    assert report["rows_kept"] == len(events)
    assert report["rows_quarantined"] == len(rows(home, QUARANTINE))
    # Each row that is not a blank line was read, by a count that knows nothing of the readers.
    blank = (
        0 if form in ("jsonl", "parquet") else sum(line.strip("\r") == "" for line in data.decode().split("\n")[:-1])
    )
    assert report["rows_read"] == len(drawn) - blank
