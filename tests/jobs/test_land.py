"""A history is split into the days it is made of: no byte lost, none changed, all files or none."""

import bz2
import csv
import errno
import gzip
import io
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.errors import DataError, SetupError
from expectations.events import INGEST_REPORT, QUARANTINE
from jobs import land
from jobs.ingest import ingest_days
from jobs.lake import LakeTable
from jobs.land import land_files
from jobs.onboarding import split, streams
from jobs.onboarding.day_files import TextDays
from jobs.onboarding.odd_days import odd_days
from jobs.onboarding.streams import chunks_of, compress, files_below, open_stream
from jobs.reading.mapping import Expected, parse_mapping

SHOP = """
source: corner_shop
shop: corner_shop
timezone: Europe/Berlin
currency: EUR
expected: {first: 2024-03-01, last: 2024-03-31}
feeds:
  - name: sales
    files: "FILES"
    LAYOUT
    time_formats: FORMATS
    event_type: view
    columns: COLUMNS
"""
HEADER = b"customer,at,note\n"


def mapping_of(
    files="ds={ds}/sales.csv.gz",
    layout="",
    formats='["%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]',
    columns="{customer_id: customer, event_time: at}",
):
    text = (
        SHOP.replace("FILES", files).replace("LAYOUT", layout).replace("FORMATS", formats).replace("COLUMNS", columns)
    )
    return parse_mapping(text, "corner_shop.yaml")


@pytest.fixture
def split_up(tmp_path):
    """``split_up(*contents)`` lands files of these bytes and returns the day files' uncompressed bytes by name."""

    def go(*contents: bytes, files="{ds}.csv", replace=False, **mapping) -> dict[str, bytes]:
        history = tmp_path / "history"
        for n, content in enumerate(contents):
            history.mkdir(exist_ok=True)
            (history / f"{n}.csv").write_bytes(content)
        landing = tmp_path / "landing"
        go.landed = land_files(landing, mapping_of(files, **mapping).feeds[0], "UTC", files_below(history), replace)
        return {str(p.relative_to(landing)): read(p) for p in sorted(landing.rglob("*")) if p.is_file()}

    return go


def read(path: Path) -> bytes:
    with open_stream(path) as stream:
        return b"".join(chunks_of(stream, 1 << 20))


def test_each_line_goes_to_its_day_in_the_order_of_the_file(split_up):
    days = split_up(HEADER + b"a,2024-03-02,1\nb,2024-03-01,2\nc,2024-03-02 23:59:59,3\n")
    assert days == {
        "2024-03-01.csv": HEADER + b"b,2024-03-01,2\n",
        "2024-03-02.csv": HEADER + b"a,2024-03-02,1\nc,2024-03-02 23:59:59,3\n",
    }


def test_bytes_stay_as_they_stood(split_up):
    # A mark before the header, carriage returns, quotes, blanks, bytes that are no text, an empty line, no last break.
    body = b'"a, b", 2024-03-01 ,"x ""y"""\r\n\r\nb,2024-03-01,\xff\xfe\r\nc,2024-03-01,z'
    assert split_up(b"\xef\xbb\xbf" + HEADER + body) == {"2024-03-01.csv": b"\xef\xbb\xbf" + HEADER + body}


@pytest.mark.parametrize("broken", [b"x,yesterday,1\n", b"x,2024-03-04\n", b'"x,2024-03-04,1\n', b"x,1970-01-01,1\n"])
def test_a_line_without_a_day_goes_with_the_line_before_it(split_up, broken):
    # Not a time, too few fields, an open quote, a clock that was never set.
    days = split_up(HEADER + b"a,2024-03-02,1\n" + broken + b"b,2024-03-01,1\n")
    assert days["2024-03-02.csv"] == HEADER + b"a,2024-03-02,1\n" + broken
    assert split_up.landed.undated == 1


def test_lines_without_a_day_before_all_others_go_with_the_first_that_has_one(split_up):
    days = split_up(HEADER + b"x,?,1\ny,?,1\na,2024-03-02,1\nb,2024-03-01,1\n")
    assert days["2024-03-02.csv"] == HEADER + b"x,?,1\ny,?,1\na,2024-03-02,1\n"


def test_what_has_no_day_is_quarantined_with_its_reason(home, tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes(HEADER + b"a,2024-03-02,1\nb,yesterday,1\n")
    mapping = mapping_of("ds={ds}/sales.csv.gz")
    land_files(home.landing_of("corner_shop"), mapping.feeds[0], "UTC", [path])
    ingest_days(home, [mapping], [date(2024, 3, 2)])
    (refused,) = LakeTable(home, QUARANTINE).read_arrow([date(2024, 3, 2)]).to_pylist()
    assert (refused["source_line"], refused["failed_rules"]) == (3, ["event_time_not_a_time"])
    (report,) = LakeTable(home, INGEST_REPORT).read_arrow([date(2024, 3, 2)]).to_pylist()
    assert report["rows_read"] == 2


def test_a_file_without_any_time_is_refused_and_nothing_is_written(split_up, tmp_path):
    with pytest.raises(DataError, match=r"not one of its first 2 lines .* column at .*%Y-%m-%d"):
        split_up(HEADER + b"a,1.3.2024,1\nb,2.3.2024,1\n")
    assert not [p for p in (tmp_path / "landing").rglob("*") if p.is_file()]


def test_files_of_a_folder_join_and_a_missing_line_break_glues_nothing(split_up):
    days = split_up(HEADER + b"a,2024-03-01,1", HEADER + b"b,2024-03-01,1\n")
    assert days == {"2024-03-01.csv": HEADER + b"a,2024-03-01,1\nb,2024-03-01,1\n"}


def test_a_day_cannot_have_two_headers(split_up):
    # Rows of both under one header would be read into wrong columns.
    with pytest.raises(DataError, match=r"1\.csv and .*0\.csv both have rows of 2024-03-01"):
        split_up(HEADER + b"a,2024-03-01,1\n", b"at,customer,note\n2024-03-01,b,1\n")


def test_a_later_file_may_have_other_columns(split_up):
    days = split_up(HEADER + b"a,2024-03-01,1\n", b"at,customer\n2024-03-02,b\n")
    assert days["2024-03-02.csv"] == b"at,customer\n2024-03-02,b\n"


@pytest.mark.parametrize(
    ("suffix", "first"), [(".gz", b"\x1f\x8b"), (".zst", b"\x28\xb5\x2f\xfd"), (".bz2", b"BZh"), ("", b"cus")]
)
def test_day_files_are_compressed_as_their_name_says(split_up, tmp_path, suffix, first):
    days = split_up(HEADER + b"a,2024-03-01,1\n", files="{ds}.csv" + suffix)
    assert days == {f"2024-03-01.csv{suffix}": HEADER + b"a,2024-03-01,1\n"}
    assert (tmp_path / "landing" / f"2024-03-01.csv{suffix}").read_bytes().startswith(first)


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lambda data: pa.compress(data, "zstd", asbytes=True),
        # Members one after another, as `cat a.gz b.gz` makes.
        lambda data: gzip.compress(data[:25]) + gzip.compress(data[25:]),
    ],
)
def test_a_history_may_be_compressed(split_up, pack):
    plain = HEADER + b"a,2024-03-01,1\n"
    assert split_up(pack(plain)) == {"2024-03-01.csv": plain}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda data: pa.compress(data, "zstd", asbytes=True)])
def test_a_history_cut_short_lands_nothing(split_up, pack, tmp_path):
    whole = HEADER + b"".join(b"c%d,2024-03-0%d,%d\n" % (n, n % 9 + 1, n * n) for n in range(9999))
    with pytest.raises(DataError, match="damaged or end early"):
        split_up(pack(whole)[:-20])
    assert not [p for p in (tmp_path / "landing").rglob("*") if p.is_file()]


def test_landing_again_changes_nothing_and_says_so(split_up, tmp_path):
    content = HEADER + b"a,2024-03-01,1\nb,2024-03-02,1\n"
    split_up(content, files="{ds}.csv.gz")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "landing").iterdir()}
    split_up(content, files="{ds}.csv.gz")
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "landing").iterdir()} == before
    assert (split_up.landed.written, split_up.landed.unchanged) == (0, 2)


def test_another_file_is_not_overwritten_unless_told(split_up):
    split_up(HEADER + b"a,2024-03-01,1\n")
    other = HEADER + b"b,2024-03-01,1\nb,2024-03-02,1\n"
    with pytest.raises(
        DataError, match=r"1 of 2 day files .* 2024-03-01\.csv(.|\n)*--replace".replace("* 2024", "*2024")
    ):
        split_up(other)
    # All or nothing: the day that stood in nobody's way is not there either.
    days = split_up(other, replace=True)
    assert list(days) == ["2024-03-01.csv", "2024-03-02.csv"]
    assert (split_up.landed.written, split_up.landed.replaced) == (1, 1)


def test_memory_does_not_hold_the_file_whole(split_up, monkeypatch):
    # In pieces of 64 bytes, lines are cut anywhere and days come and go: the days are those of one piece.
    content = HEADER + b"".join(b"c%d,2024-03-%02d,n%d\n" % (n, n * 5 % 28 + 1, n) for n in range(500))
    whole = split_up(content)
    monkeypatch.setattr(split, "CHUNK_BYTES", 64)
    assert split_up(content) == whole
    assert split_up.landed.rows == 500


NOTE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(1, 28), NOTE), min_size=1, max_size=30))
def test_days_hold_what_the_csv_module_reads_of_the_whole(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("land")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [("customer", "at", "note"), *((note or "-", f"2024-03-{d:02d}", note) for d, note in rows)]
    )
    (folder / "h.csv").write_text(text.getvalue(), newline="")
    land_files(folder / "out", mapping_of("{ds}.csv").feeds[0], "UTC", [folder / "h.csv"])
    for day in {d for d, _ in rows}:
        with open(folder / "out" / f"2024-03-{day:02d}.csv", newline="") as file:
            landed = list(csv.reader(file))
        assert [row[2] for row in landed[1:]] == [note for d, note in rows if d == day]


def test_days_that_surprise_the_mapping_are_told_with_what_to_write():
    expected = Expected(first=date(2024, 3, 1), last=date(2024, 3, 31))
    no_sundays = [date(2024, 3, d) for d in range(1, 32) if date(2024, 3, d).weekday() != 6 and d != 14]
    lines = list(odd_days(expected, [*no_sundays, date(2024, 4, 1)]))
    assert "1 days lie outside expected.first … expected.last (2024-04-01)" in lines[0]
    assert "expected.weekdays is [mon, tue, wed, thu, fri, sat]" in lines[1]
    assert "1 expected days have no rows" in lines[2]
    assert lines[2].endswith("[2024-03-14]")
    # Files that may be missing are not missed.
    assert len(list(odd_days(expected, no_sundays, optional=True))) == 0


def test_a_mapping_of_several_feeds_asks_which(tmp_path):
    with pytest.raises(SetupError, match=r"several feeds: choose one by --feed: transactions, coupon_redemptions"):
        land.main(land.arg_parser().parse_args(["--source", "complete_journey", "--path", str(tmp_path)]))


def test_the_command_lands_in_the_home_and_says_what_is_next(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(land, "load_mapping", lambda source: mapping_of())
    (tmp_path / "history.csv").write_bytes(HEADER + b"a,2024-03-01,1\n?,?,1\n")
    home = tmp_path / "a home"
    args = ["--home", str(home), "--source", "corner_shop", "--path", str(tmp_path / "history.csv")]
    land.main(land.arg_parser().parse_args(args))
    out = capsys.readouterr().out
    assert "2 rows of 1 file(s) lie in 1 daily files (2024-03-01 … 2024-03-01)" in out
    assert "1 rows have no day" in out
    assert "ingest --source corner_shop --from 2024-03-01 --to 2024-03-01" in out
    assert (home / "landing" / "corner_shop" / "ds=2024-03-01" / "sales.csv.gz").is_file()


def test_a_path_that_is_not_there_is_a_wrong_setting(tmp_path):
    with pytest.raises(SetupError, match="no such file or folder"):
        files_below(tmp_path / "nowhere")


def test_json_lines_have_no_header_to_repeat(split_up):
    lines = [
        b'{"customer": "a", "at": "2024-03-02", "n": 1.50}\n',
        b'{"at": "2024-03-01", "customer": "b"}\n',
        b"{broken\n",
    ]
    days = split_up(b"".join(lines), files="{ds}.jsonl", layout="format: jsonl")
    assert days == {"2024-03-02.jsonl": lines[0], "2024-03-01.jsonl": lines[1] + lines[2]}


def test_lines_parted_by_blanks_under_no_header_stay_as_they_stood(split_up):
    # As CDNOW delivers: a leading blank, runs of blanks, carriage returns.
    days = split_up(
        b" 00004 19970101  2\r\n 00021   19970102 3\r\n",
        layout="header: false\n    column_names: [customer, at, n]\n    delimiter: whitespace",
        formats='["%Y%m%d"]',
    )
    assert days == {"1997-01-01.csv": b" 00004 19970101  2\r\n", "1997-01-02.csv": b" 00021   19970102 3\r\n"}


def test_dates_without_a_year_have_the_mappings(split_up):
    days = split_up(HEADER + b"a,6-4,1\nb,12-31,1\n", layout="assumed_year: 2014", formats='["%-m-%-d"]')
    assert list(days) == ["2014-06-04.csv", "2014-12-31.csv"]


def test_a_row_is_delivered_when_the_shop_recorded_it(split_up):
    # Recorded two days late: it arrives then. Recorded before it happened (a clock that is wrong): not before its day.
    days = split_up(
        b"customer,at,seen\na,2024-03-01,2024-03-03\nb,2024-03-01,2024-02-01\nc,2024-03-01,\n",
        columns="{customer_id: customer, event_time: at, arrival_time: seen}",
    )
    assert {name: content.count(b"\n") - 1 for name, content in days.items()} == {
        "2024-03-01.csv": 2,
        "2024-03-03.csv": 1,
    }


def test_rows_of_a_parquet_file_keep_values_types_and_order(tmp_path, monkeypatch):
    monkeypatch.setattr(split, "BATCH_ROWS", 100)
    at = [datetime.fromisoformat(f"2024-03-{n * 5 % 28 + 1:02d} 23:30") for n in range(1000)]
    table = pa.table(
        {"customer": [f"c{n}" for n in range(1000)], "at": at, "paid": pa.array(range(1000), pa.decimal128(9, 2))}
    )
    pq.write_table(table, tmp_path / "history.parquet", compression="zstd")
    feed = mapping_of("{ds}.parquet", layout="format: parquet").feeds[0]
    landed = land_files(tmp_path / "landing", feed, "UTC", [tmp_path / "history.parquet"])
    assert (landed.rows, landed.written) == (1000, 28)
    for day in range(1, 29):
        path = tmp_path / "landing" / f"2024-03-{day:02d}.parquet"
        assert pq.read_table(path).equals(table.filter(pa.array([one.day == day for one in at])))
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert land_files(tmp_path / "landing", feed, "UTC", [tmp_path / "history.parquet"]).unchanged == 28


def test_a_parquet_time_of_a_zone_falls_on_the_shops_day(tmp_path):
    # 23:30 in London's winter is already the next day in Berlin.
    at = pa.array([datetime(2024, 3, 1, 23, 30, tzinfo=UTC)])
    pq.write_table(pa.table({"customer": ["c"], "at": at}), tmp_path / "history.parquet")
    feed = mapping_of("{ds}.parquet", layout="format: parquet").feeds[0]
    assert land_files(tmp_path / "landing", feed, "Europe/Berlin", [tmp_path / "history.parquet"]).days == [
        date(2024, 3, 2)
    ]


def test_a_file_without_line_breaks_does_not_fill_the_memory(split_up, monkeypatch):
    # As old spreadsheets save: carriage returns alone.
    monkeypatch.setattr(streams, "LONGEST_LINE", 1000)
    monkeypatch.setattr(split, "CHUNK_BYTES", 64)
    with pytest.raises(DataError, match=r"no line break within 1,000 bytes: lines must end in \\n"):
        split_up(HEADER[:-1] + b"\ra,2024-03-01,1" * 200)


def test_a_history_without_a_row_is_told(split_up):
    with pytest.raises(DataError, match="no line below the header"):
        split_up(HEADER)


def test_what_a_killed_run_left_is_cleared_away(split_up, tmp_path):
    left = tmp_path / "landing" / "_landing-of-a-dead-run"
    left.mkdir(parents=True)
    (left / "lock").touch()
    (left / "2024-03-01.part").write_bytes(b"half of it")
    assert list(split_up(HEADER + b"a,2024-03-01,1\n")) == ["2024-03-01.csv"]
    assert [path.name for path in (tmp_path / "landing").iterdir()] == ["2024-03-01.csv"]


def test_a_full_disk_leaves_whole_files_alone(split_up, monkeypatch, tmp_path):
    # The third day cannot be written: two are there, whole; nothing half is, and the next run goes on.
    written = []

    def write(self, day, path, name):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(day)
        compress(self._part(day), path, like=name)

    content = HEADER + b"".join(b"a,2024-03-0%d,1\n" % day for day in range(1, 6))
    with monkeypatch.context() as patch:
        patch.setattr(TextDays, "write", write)
        with pytest.raises(OSError, match="No space left"):
            split_up(content)
    landing = tmp_path / "landing"
    assert sorted(path.name for path in landing.iterdir()) == ["2024-03-01.csv", "2024-03-02.csv"]
    split_up(content)
    assert (split_up.landed.written, split_up.landed.unchanged) == (3, 2)
