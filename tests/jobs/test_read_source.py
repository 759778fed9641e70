"""Bytes become lines and fields; damage costs only what lies behind it."""

import csv
import gzip

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from expectations.errors import DataError
from jobs.reading.layout import Layout
from jobs.reading.lines import split_lines
from jobs.reading.read_csv import parse_csv

ROWS = b"id,note\n" + b"".join(b"%d,%d\n" % (n, n * 7919 % 104729) for n in range(20_000))


def parse(raw: bytes, keep_all: bool = False):
    return parse_csv(split_lines(raw, "f.csv"), "f.csv", Layout(), ["id", "note"], keep_all)


def texts(parsed, name):
    return parsed.rows[name].arrow().to_pylist()


def test_a_wrong_checksum_costs_no_row():
    packed = bytearray(gzip.compress(ROWS, mtime=1))
    packed[-6] ^= 1
    lines = split_lines(bytes(packed), "f.csv")
    assert lines.raw == ROWS
    assert lines.damage.startswith(f"damaged after {len(ROWS):,} bytes (Error -3")


def test_garbage_after_a_good_member_costs_no_row():
    lines = split_lines(gzip.compress(ROWS) + b"<html>504</html>", "f.csv")
    assert lines.raw == ROWS
    assert "damaged after" in lines.damage


def test_members_add_up_and_padding_is_no_damage():
    half = ROWS.index(b"\n", len(ROWS) // 2) + 1
    lines = split_lines(gzip.compress(ROWS[:half]) + gzip.compress(ROWS[half:]) + bytes(512), "f.csv")
    assert (lines.raw, lines.damage) == (ROWS, "")


def test_of_a_member_damaged_in_the_middle_what_stood_before_is_kept():
    packed = gzip.compress(ROWS, mtime=1)
    at = len(packed) // 2
    lines = split_lines(packed[:at] + b"\xff" * 64 + packed[at + 64 :], "f.csv")
    same = next((n for n, (a, b) in enumerate(zip(lines.raw, ROWS, strict=False)) if a != b), len(lines.raw))
    assert same > len(ROWS) * 0.4
    assert lines.is_truncated


def test_a_file_damaged_from_its_start_is_told():
    with pytest.raises(DataError, match=r"f.csv: damaged after 0 bytes .*; no line of it can be read"):
        split_lines(b"\x1f\x8bnot gzip at all", "f.csv")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"id,note\r1,a\r2,b\r", r"f.csv, line 1: no line breaks that end in \\n"),
        (b'id,"note\n1,a\n', r"f.csv, line 1: its header is no CSV"),
        (b'"id"x,note\n1,a\n', r"f.csv, line 1: its header is no CSV"),
    ],
)
def test_a_header_that_no_parser_takes_is_told(raw, message):
    with pytest.raises(DataError, match=message):
        parse(raw)


def test_a_long_field_is_no_fault():
    # Longer than the csv module's own limit of 131,072, quoted and not.
    long = "x" * 300_000
    parsed = parse(f'id,note\n1,"{long}"\n2,{long}\n'.encode())
    assert parsed.refused == {}
    assert texts(parsed, "note") == [long, long]
    header = parse(f"id,note,{long}\n1,a,b\n".encode())
    assert len(header.line) == 1


def test_columns_that_nobody_asks_for_may_share_a_name():
    parsed = parse(b"id,note,,,\n1,a,b,c,d\n", keep_all=True)
    assert len(parsed.rows) == 5
    assert [texts(parsed, name) for name in ("id", "note")] == [["1"], ["a"]]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.text('a"\0\ufeff \tÿ,', max_size=5), st.text('b"\0\ufeff,', max_size=5)), max_size=8))
@example([("\ufeffa", "b"), ("a", "b")])
def test_fields_are_those_that_python_reads(fields):
    lines = [",".join(both) for both in fields]
    expected, refused = [], {}
    for n, line in enumerate(lines, 2):
        try:
            (row,) = csv.reader([line], strict=True)
            refused |= {} if len(row) == 2 else {n: "field_count"}
            expected += [[value or None for value in row]] if len(row) == 2 else []
        except csv.Error:
            refused[n] = "bad_quotes"
    parsed = parse("\n".join(["id,note", *lines]).encode())
    assert parsed.refused == refused
    assert [list(row) for row in zip(texts(parsed, "id"), texts(parsed, "note"), strict=True)] == expected
