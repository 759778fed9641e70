"""What was refused can be found, read and, once mended, ingested again."""

import gzip
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import DataError, SetupError
from jobs import quarantine
from jobs.ingest import ingest_days
from jobs.onboarding.shown import shown
from jobs.quarantine import replay, summary
from jobs.reading.mapping import parse_mapping
from tests.jobs.corner_shop import CORNER_SHOP, HEADER

DAY = date(2024, 3, 4)
GOOD = "c1,2024-03-04 10:00:00,sale,o1,p1,2,10.50,0.50,0.25"
BAD_NUMBER = "c2,2024-03-04 10:00:00,sale,o2,p1,two,10,0,0"
BAD_BOTH = "c3,yesterday,sale,o3,p1,two,10,0,0"
FILE = "ds=2024-03-04/sales.csv.gz"


@pytest.fixture
def mended(monkeypatch, corner_shop):
    """Replays under the corner shop's mapping, which is none of those shipped."""
    monkeypatch.setattr(quarantine, "load_mapping", lambda source: corner_shop)


def test_rules_are_counted_and_shown_with_their_place_and_text(home, land, ingest):
    path = land(DAY, GOOD, BAD_NUMBER, BAD_BOTH)
    ingest(DAY)
    text = summary(home, DAY)
    assert f"corner_shop {FILE}: 3 rows read, 1 kept, 0 dropped, 2 quarantined" in text
    # A line counts under every rule it broke; the commonest rule comes first.
    assert text.index("pieces_not_a_number: 2") < text.index("event_time_not_a_time: 1")
    start = len(gzip.decompress(path.read_bytes()).split(BAD_NUMBER.encode())[0])
    assert f"{path}:3 (bytes {start:,}–{start + len(BAD_NUMBER):,})  {BAD_NUMBER}" in text
    assert f"{path}:4" in text


def test_as_many_lines_are_shown_as_asked_for(home, land, ingest):
    land(DAY, *[BAD_NUMBER] * 5)
    ingest(DAY)
    assert summary(home, DAY, show=3).count(BAD_NUMBER) == 3
    assert BAD_NUMBER not in summary(home, DAY, show=0)


@pytest.mark.parametrize(
    ("good", "words"),
    [
        # The contract of ingest_report: above a tenth fails, above a hundredth warns.
        (8, "11.11% refused: more than the 10% at which the gate stops the line"),
        (9, "10.00% refused: the gate warns above 1%, stops above 10%"),
        (99, "1.00% refused: within the 1%"),
    ],
)
def test_the_refused_share_stands_beside_the_gates_bounds(home, land, ingest, good, words):
    land(DAY, *[GOOD] * good, BAD_NUMBER)
    ingest(DAY)
    assert words in summary(home, DAY)


def test_the_homes_own_bounds_are_told(home, land, ingest):
    land(DAY, *[GOOD] * 8, BAD_NUMBER)
    ingest(DAY)
    (home.path / "settings.yaml").write_text(
        "checks: {ingest_report.quarantine_share_value_range_fail: {maximum: 0.5}}\n"
    )
    assert "11.11% refused: the gate warns above 1%, stops above 50%" in summary(home, DAY)


def test_a_clean_day_says_so(home, land, ingest):
    land(DAY, GOOD)
    ingest(DAY)
    assert summary(home, DAY) == "2024-03-04: nothing was refused"


def test_another_file_than_was_ingested_is_not_quoted(home, land, ingest):
    land(DAY, BAD_NUMBER)
    ingest(DAY)
    land(DAY, GOOD, GOOD, BAD_NUMBER)
    # The old byte range would cut another line.
    text = summary(home, DAY)
    assert "was changed since it was ingested" in text
    assert "10.50" not in text


def test_a_file_that_is_gone_or_missing_is_told(home, land, ingest):
    path = land(DAY, BAD_NUMBER)
    ingest(DAY)
    path.unlink()
    assert "no longer there" in summary(home, DAY)
    # What was read of it whole stays: a cleared landing empties no lake.
    assert "of an earlier, whole delivery of the day is left as it is" in ingest(DAY)[-1]
    assert "no longer there" in summary(home, DAY)


def test_a_file_that_never_came_is_told(home, land, ingest):
    path = land(DAY, GOOD)
    path.unlink()
    assert ingest(DAY)
    assert f"missing: deliver {path} again" in summary(home, DAY)


def test_a_day_that_was_not_ingested_names_the_job_to_run(home):
    with pytest.raises(DataError, match="no partition for 2024-03-04: run the job that writes it"):
        summary(home, DAY)


def test_replay_ingests_the_mended_file_and_says_what_changed(home, land, ingest, mended, capsys):
    land(DAY, GOOD, BAD_NUMBER)
    ingest(DAY)
    land(DAY, GOOD, BAD_NUMBER.replace("two", "2"))
    assert replay(home, DAY) == []
    table = capsys.readouterr().out
    assert "1 -> 2" in table
    assert "1 -> 0" in table
    assert "pieces_not_a_number=1 -> none" in table
    assert summary(home, DAY) == "2024-03-04: nothing was refused"


def test_replay_of_a_day_never_ingested_counts_from_nothing(home, land, mended, capsys):
    land(DAY, GOOD)
    replay(home, DAY)
    assert "- -> 1" in capsys.readouterr().out


def test_replay_ends_with_the_error_of_a_file_that_is_still_damaged(home, land, mended, ingest):
    path = land(DAY, GOOD, BAD_NUMBER)
    ingest(DAY)
    path.write_bytes(path.read_bytes()[:-9])
    args = quarantine.arg_parser().parse_args(["--home", str(home.path), "--ds", str(DAY), "--replay"])
    with pytest.raises(DataError, match=r"still wrong(.|\n)*ends early"):
        quarantine.main(args)


def test_a_source_of_another_home_is_a_wrong_setting(home):
    args = quarantine.arg_parser().parse_args(["--home", str(home.path), "--ds", str(DAY), "--source", "tmall"])
    with pytest.raises(SetupError, match="has no source 'tmall'; it has corner_shop"):
        quarantine.main(args)


def test_what_a_terminal_would_obey_is_written_out():
    # An escape sequence in a customer's field must not move the reader's cursor.
    assert shown(b"a\x1b[2Jb\xff") == "a\\x1b[2Jb\\xff"
    assert shown("čaj".encode()) == "čaj"
    assert len(shown(b"x" * 10_000)) == 301


def test_lines_are_shown_in_the_encoding_of_their_feed(home, land, monkeypatch):
    mapping = parse_mapping(CORNER_SHOP.replace("name: sales", "name: sales\n    encoding: cp1252"), "corner_shop.yaml")
    monkeypatch.setattr(quarantine, "load_mapping", lambda source: mapping)
    raw = f"{HEADER}\r\n{BAD_NUMBER.replace('p1', 'Grüntee')}\r\n".encode("cp1252")
    land(DAY, raw=raw)
    ingest_days(home, [mapping], [DAY])
    assert summary(home, DAY).split("\n\n")[0].endswith("c2,2024-03-04 10:00:00,sale,o2,Grüntee,two,10,0,0")


def test_a_row_of_a_parquet_file_is_shown_by_its_columns(home, monkeypatch):
    text = CORNER_SHOP.replace("sales.csv.gz", "sales.parquet").replace(
        "name: sales", "name: sales\n    format: parquet"
    )
    mapping = parse_mapping(text, "corner_shop.yaml")
    path = home.landing / "corner_shop" / f"ds={DAY}" / "sales.parquet"
    path.parent.mkdir(parents=True)
    rows = [dict(zip(HEADER.split(","), line.split(","), strict=True)) for line in (GOOD, BAD_NUMBER)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    ingest_days(home, [mapping], [DAY])
    # It has rows, counted from 1, and no bytes of its own.
    assert f"{path}:2  customer=c2, at=2024-03-04 10:00:00" in summary(home, DAY)
