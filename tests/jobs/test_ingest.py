"""Landing files become events, quarantine and a report that adds up; bad input costs nothing but itself."""

import csv
import gzip
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.errors import DataError
from expectations.events import EVENTS, INGEST_REPORT, QUARANTINE
from jobs import ingest as ingest_job
from jobs import lake
from jobs.aggregate import refuse_incomplete
from jobs.lake import LakeTable
from jobs.reading import mapping, read_csv, threads
from jobs.reading.fixed_times import read_fixed
from jobs.reading.keys import CustomerKeys
from jobs.reading.times import _by_format, _by_parser, times
from tests.jobs.corner_shop import CORNER_SHOP, HEADER

DAY = date(2024, 3, 4)  # a Monday
SALE = "c1,2024-03-04 10:00:00,sale,o1,p1,2,10.50,0.50,0.25"


def rows(home, table, *days):
    return LakeTable(home, table).read_arrow(days or [DAY]).to_pylist()


def test_a_row_is_typed_keyed_and_dated(home, land, ingest):
    land(DAY, " c1 ,2024-03-04 00:30:00,sale,o1,p1,2,10.50,0.50,0.25")
    assert ingest(DAY) == []
    (event,) = rows(home, EVENTS)
    # The id is trimmed, then keyed: the raw id stands nowhere.
    assert event["customer_key"] == CustomerKeys.of(home).key("c1")
    # Half past midnight in Berlin is still the day before in UTC; the business date is the shop's.
    assert event["event_time"] == datetime(2024, 3, 3, 23, 30, tzinfo=UTC)
    assert event["event_date"] == DAY
    assert event["amount"] == Decimal("10.5000")
    # Two discount columns add up.
    assert event["discount_amount"] == Decimal("0.7500")
    assert (event["currency"], event["source_line"]) == ("EUR", 2)


def test_returns_turn_positive_and_other_negatives_are_refused(home, land, ingest):
    land(DAY, "c1,2024-03-04,refund,o1,p1,-2,-10.50,0,0", "c1,2024-03-04,sale,o2,p1,-1,5,0,0")
    ingest(DAY)
    (event,) = rows(home, EVENTS)
    assert (event["event_type"], event["quantity"], event["amount"]) == ("return", Decimal(2), Decimal("10.5"))
    (refused,) = rows(home, QUARANTINE)
    assert (refused["source_line"], refused["failed_rules"]) == (3, ["quantity_below_0"])


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("c1,2024-03-04,sale,o1,p1,two,10,0,0", ["pieces_not_a_number"]),
        ("c1,yesterday,sale,o1,p1,2,10,0,0", ["event_time_not_a_time"]),
        # No such day, second or month; a year of two digits; digits that the format does not have.
        ("c1,2024-02-30,sale,o1,p1,2,10,0,0", ["event_time_not_a_time"]),
        ("c1,2023-02-29,sale,o1,p1,2,10,0,0", ["event_time_not_a_time"]),
        ("c1,2024-03-04 23:59:60,sale,o1,p1,2,10,0,0", ["event_time_not_a_time"]),
        ("c1,24-03-04,sale,o1,p1,2,10,0,0", ["event_time_not_a_time"]),
        ("c1,2024-3-4,sale,o1,p1,2,10,0,0", ["event_time_not_a_time"]),
        # A clock that was never set.
        ("c1,1970-01-01 00:00:00,sale,o1,p1,2,10,0,0", ["event_date_too_early"]),
        ("c1,1989-12-31,sale,o1,p1,2,10,0,0", ["event_date_too_early"]),
        ("c1,2024-03-04,theft,o1,p1,2,10,0,0", ["event_type_unknown"]),
        # A purchase without an amount has no value; a view needs none.
        ("c1,2024-03-04,sale,o1,p1,2,,0,0", ["amount_missing"]),
        ("c1,2024-03-04,sale,o1,p1,2,1e20,0,0", ["amount_too_large"]),
        # What is dated after its delivery would show the future to a snapshot.
        ("c1,2024-03-05,sale,o1,p1,2,10,0,0", ["event_date_after_arrival"]),
        ("c1,2024-03-04,sale,o1,p1,2,10,0", ["field_count"]),
        ('c1,2024-03-04,sale,"o1,p1,2,10,0,0', ["bad_quotes"]),
        # Quotes count only where a field begins: these are two, and leave the last field open.
        ('c1,2024-03-04,sale,o"1,"p1,2,10,0,0', ["bad_quotes"]),
        ("c1,2024-03-04,sale,o1\rx,p1,2,10,0,0", ["stray_return"]),
    ],
)
def test_a_bad_row_goes_to_quarantine_with_its_rules_and_place(home, land, ingest, line, rules):
    path = land(DAY, SALE, line, SALE.replace("o1", "o3"))
    assert ingest(DAY) == []
    assert len(rows(home, EVENTS)) == 2
    (refused,) = rows(home, QUARANTINE)
    assert refused["failed_rules"] == rules
    assert refused["source_line"] == 3
    # The byte range points at the line's own text in the uncompressed file.
    raw = gzip.decompress(path.read_bytes())
    assert raw[refused["byte_start"] : refused["byte_end"]].decode() == line


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("%-d.%-m.%Y", ["4.3.2024", "04.03.2024", "4.03.2024"], ["4.3.24", "30.2.2024", "004.3.2024", "4. 3.2024"]),
        ("%d/%m/%Y", ["04/03/2024"], ["4/3/2024", "03/31/2024", "31/02/2024"]),
        ("%d %b %y", ["04 Mar 24", "04 MAR 24"], ["4 Mar 24", "04 Mar 2024", "30 Feb 24"]),
        ("%Y-%m-%dT%I:%M:%S%p", ["2024-03-04T12:00:00AM"], ["2024-03-04T13:00:00AM", "2024-03-04T12:00:00"]),
    ],
)
def test_a_time_counts_as_its_format_writes_it(form, good, bad):
    # One digit is enough only where the format says so.
    assert times(pa.array([*good, *bad, None]), (form,))[0].to_pylist() == (
        [datetime.fromisoformat("2024-03-04")] * len(good) + [None] * len(bad) + [None]
    )


@settings(max_examples=200)
@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 35), st.times())
def test_times_are_those_that_python_reads(month, day, clock):
    # Every day number of a month, possible or not, against the standard library.
    text = f"{month:%Y-%m}-{day:02d} {clock:%H:%M:%S}"
    try:
        expected = datetime.strptime(f"{text}+0000", "%Y-%m-%d %H:%M:%S%z").replace(tzinfo=None)
    except ValueError:
        expected = None
    assert times(pa.array([text]), ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"))[0].to_pylist() == [expected]


_FORMS = {"%Y-%m-%d %H:%M:%S UTC": "2024-02-28 23:59:58 UTC", "%d.%m.%Y": "31.12.2023", "%Y%m%d00:00": "2020022900:00"}


@settings(max_examples=200, deadline=None)
@given(
    form=st.sampled_from(sorted(_FORMS)), changes=st.lists(st.tuples(st.integers(0, 30), st.sampled_from("0123459 -é")))
)
def test_times_of_fixed_places_are_those_of_the_general_parser(form, changes):
    # One valid time, and the same with characters changed: what arithmetic reads, the parser reads, and no other.
    text, texts = _FORMS[form], [_FORMS[form]]
    for place, character in changes:
        text = text[:place] + character + text[place + 1 :]
        texts.append(text)
    by_parser = _by_parser(pa.array(texts), form)
    fixed = pa.array(read_fixed(pa.array(texts), form), from_pandas=True)
    assert _by_format(pa.array(texts), form).equals(by_parser)
    assert all(found == known for found, known in zip(fixed, by_parser, strict=True) if found.is_valid)
    assert fixed[0].is_valid


def test_text_that_is_not_utf8_costs_its_line_alone(home, land, ingest):
    text = f"{HEADER}\n{SALE}\n".encode() + b"c\xff,2024-03-04,sale,o2,p1,1,1,0,0\n" + SALE.encode() + b"\n"
    land(DAY, raw=text)
    assert ingest(DAY) == []
    assert len(rows(home, EVENTS)) == 2
    assert rows(home, QUARANTINE)[0]["failed_rules"] == ["not_text"]


def test_windows_line_ends_a_byte_order_mark_and_quoted_fields_are_read(home, land, ingest):
    lines = [HEADER, 'c1,2024-03-04,sale,"o,1","p ""1""",2,10.50,0,0', "c2,2024-03-04,sale,o2,p1,x,1,0,0", ""]
    raw = b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
    land(DAY, raw=raw)
    assert ingest(DAY) == []
    (event,) = rows(home, EVENTS)
    assert (event["order_id"], event["product_id"]) == ("o,1", 'p "1"')
    (refused,) = rows(home, QUARANTINE)
    # Bytes are counted in the file as delivered, mark included.
    assert raw[refused["byte_start"] : refused["byte_end"]].decode().strip() == lines[2]


def test_rows_without_a_customer_are_dropped_by_policy_and_counted(home, land, ingest):
    land(DAY, SALE, SALE.replace("c1", ""))
    ingest(DAY)
    (report,) = rows(home, INGEST_REPORT)
    assert (report["rows_read"], report["rows_kept"], report["rows_dropped"], report["reasons"]) == (
        2,
        1,
        1,
        "no_customer=1",
    )


def test_a_missing_open_day_is_told_and_a_closed_day_is_an_empty_one(home, ingest):
    (problem,) = ingest(DAY)
    assert "sales.csv.gz: missing" in problem
    assert str(DAY) in problem
    sunday = date(2024, 3, 3)
    assert ingest(sunday) == []
    assert rows(home, EVENTS, sunday) == []


def test_part_of_a_day_is_not_added_up(home, land, ingest):
    ingest(DAY)  # nothing was delivered
    (report,) = rows(home, INGEST_REPORT)
    assert (report["is_complete"], report["rows_read"]) == (False, 0)
    with pytest.raises(DataError, match=r"not delivered whole: ds=2024-03-04/sales.csv.gz of 2024-03-04"):
        refuse_incomplete(home, [DAY])
    land(DAY, SALE)
    assert ingest(DAY, skip_unchanged=True) == []
    refuse_incomplete(home, [DAY])


def test_a_day_beyond_what_the_mapping_expects_is_refused(ingest):
    with pytest.raises(DataError, match=r"2025-03-04 lies outside the days on which corner_shop is expected"):
        ingest(date(2025, 3, 4))


def test_a_missing_column_is_named_with_what_was_found(home, land, ingest):
    land(DAY, "c1,2024-03-04,sale", header="customer,at,kind")
    (problem,) = ingest(DAY)
    assert "sales.csv.gz, line 1: missing columns order, product, pieces, paid, rebate, coupon" in problem
    assert "the 1 rows below cannot be read" in problem
    assert "Found 3 of 9: customer, at, kind, and 0 others the mapping does not name" in problem


def test_a_file_without_its_header_tells_nobody_who_bought(home, land, ingest):
    land(DAY, SALE, header="Jane Roe,2024-03-04,sale,o1,p1,2,paid,0,0")
    (problem,) = ingest(DAY)
    assert "Found 1 of 9: paid, and 8 others the mapping does not name; has the file a header?" in problem
    assert "Jane" not in problem


@pytest.mark.parametrize("raw", [b"", gzip.compress(b""), b"\n \n"])
def test_an_empty_file_is_told(home, land, ingest, raw):
    land(DAY, raw=raw)
    (problem,) = ingest(DAY)
    assert "sales.csv.gz is empty" in problem


def test_of_a_truncated_file_the_whole_lines_are_kept(home, land, ingest):
    lines = [SALE.replace("o1", f"o{n}") for n in range(2000)]
    whole = land(DAY, *lines).read_bytes()
    land(DAY, raw=whole[: len(whole) // 2])
    (problem,) = ingest(DAY)
    (report,) = rows(home, INGEST_REPORT)
    assert "truncated" in problem
    assert f"{report['rows_kept']} were kept" in problem
    assert not report["is_complete"]
    assert 0 < report["rows_kept"] < 2000
    assert report["rows_kept"] == len(rows(home, EVENTS))
    # Delivered again whole, the day is what a clean first run gives.
    land(DAY, raw=whole)
    assert ingest(DAY) == []
    assert len(rows(home, EVENTS)) == 2000


def test_the_command_saves_what_it_can_before_it_fails(home, land, tmp_path, monkeypatch):
    land(DAY, SALE)
    (tmp_path / "corner_shop.yaml").write_text(CORNER_SHOP)
    monkeypatch.setattr(mapping, "FOLDER", tmp_path)
    args = ingest_job.arg_parser().parse_args(["--home", str(home.path), "--from", "2024-03-04", "--to", "2024-03-05"])
    with pytest.raises(DataError, match=r"1 file\(s\).*\n.*2024-03-05.*missing"):
        ingest_job.main(args)
    assert len(rows(home, EVENTS)) == 1


def test_the_same_file_makes_the_same_bytes_and_is_not_read_again(home, land, ingest):
    land(DAY, SALE, "c2,2024-03-04,sale,o2,p1,1,3,0,0")
    ingest(DAY)
    file = next(LakeTable(home, EVENTS).folder(DAY).glob("*.parquet"))
    first, written = file.read_bytes(), LakeTable(home, EVENTS).written_at(DAY)
    ingest(DAY, skip_unchanged=True)
    assert LakeTable(home, EVENTS).written_at(DAY) == written
    ingest(DAY)
    assert next(LakeTable(home, EVENTS).folder(DAY).glob("*.parquet")).read_bytes() == first


def test_a_large_file_is_read_in_pieces_and_written_in_parts(home, land, ingest, monkeypatch):
    lines = [f"c{n % 5},2024-03-04 {n % 24:02}:00:00,sale,o{n},p{n % 3},2,{n}.50,0,0" for n in range(60)]
    lines[7], lines[31], lines[59] = "c1,2024-03-04,sale", lines[31].replace("sale", "theft"), '"'
    lines[20] = lines[20].replace("p2", '"p,2"')
    land(DAY, *lines)
    ingest(DAY)
    small = [rows(home, table) for table in (EVENTS, QUARANTINE, INGEST_REPORT)]
    monkeypatch.setattr(read_csv, "BLOCK_BYTES", 200)
    monkeypatch.setattr(threads, "WORTH_ROWS", 1)
    monkeypatch.setattr(lake, "PART_ROWS", 5)
    ingest(DAY)
    assert [rows(home, table) for table in (EVENTS, QUARANTINE, INGEST_REPORT)] == small
    assert [event["source_line"] for event in small[0]] == [n + 2 for n in range(60) if n not in (7, 31, 59)]
    # Twelve parts, whose names sort as the rows do.
    assert len(list(LakeTable(home, EVENTS).folder(DAY).glob("*.parquet"))) == 12


_field = st.one_of(
    st.sampled_from(["c1", "", "2024-03-04", "sale", "refund", "look", "o1", "1", "-1", "2.5", "\ufeff", "\0", "ÿ"]),
    st.sampled_from(['"', '""', '"a"', 'a"b', '"a"b', '"a,b"', '"a""b"', "\r", "a\rb", '"\r"', "x" * 200_000]),
    st.just('"' + "y" * 200_000 + '"'),
    st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)), max_size=6),
)
_lines = st.lists(st.lists(_field, min_size=1, max_size=10).map(",".join), max_size=12)
# Half of the lines have as many commas as the header.
_whole = st.lists(st.lists(_field, min_size=9, max_size=9).map(",".join), max_size=6)


def unreadable(line: str) -> str | None:
    """The rule that makes the line unreadable, by Python's own parser of a single line."""
    text = line.removesuffix("\r")
    if "\r" in text:
        return "stray_return"
    try:
        (fields,) = csv.reader([text], strict=True)
    except csv.Error:
        return "bad_quotes"
    return None if len(fields) == 9 else "field_count"


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.tuples(_lines, _whole).map(lambda both: both[0] + both[1]).flatmap(st.permutations))
def test_whatever_is_delivered_every_line_is_accounted_for(home, land, ingest, lines):
    """read = kept + quarantined + dropped; each filled line is read once; unreadable are those Python cannot read."""
    land(DAY, *lines)
    assert ingest(DAY) == []
    (report,) = rows(home, INGEST_REPORT)
    filled = {n: line for n, line in enumerate(lines, 2) if line not in ("", "\r")}
    assert report["rows_read"] == len(filled)
    assert report["rows_read"] == report["rows_kept"] + report["rows_quarantined"] + report["rows_dropped"]
    assert report["rows_kept"] == len(rows(home, EVENTS))
    refused = {row["source_line"]: row["failed_rules"] for row in rows(home, QUARANTINE)}
    assert report["rows_quarantined"] == len(refused)
    unread = ("stray_return", "bad_quotes", "field_count", "not_text", "truncated_line")
    found = {n: rules[0] for n, rules in refused.items() if rules[0] in unread}
    assert found == {n: rule for n, line in filled.items() if (rule := unreadable(line))}
