"""The validate command: what it gates, what it prints, how it stops, and the Data Docs built from what it keeps."""

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from expectations.commands import run as run_command
from expectations.contract import Check
from expectations.errors import DataError
from expectations.events import EVENTS, INGEST_REPORT
from jobs import validate
from jobs.__main__ import COMMANDS
from jobs.lake import LakeTable

DAY = date(2024, 3, 4)  # a Monday
SALE = "c1,{day} 10:00:00,sale,o{n},p1,2,10.50,0.50,0.25"


def sales(day, count):
    return [SALE.format(day=day, n=n) for n in range(count)]


@pytest.fixture
def run(home, spark, monkeypatch):
    """``run("--table", "events", …)`` runs the command on the tests' engine; returns its exit code."""
    from contextlib import nullcontext

    monkeypatch.setattr(validate, "open_engine", lambda name: nullcontext(spark))
    return lambda *arguments: run_command("jobs", COMMANDS, ["validate", "--home", str(home.path), *arguments])


def test_a_good_day_passes_with_its_report(home, land, ingest, run, capsys):
    land(DAY, *sales(DAY, 3))
    ingest(DAY)
    assert run("--table", "events", "--ds", f"{DAY}") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[:2] for line in lines] == [
        [f"events {DAY}: passed", " 3 rows"],
        [f"ingest_report {DAY}: passed", " 1 rows"],
    ]
    assert (home.validations / "events" / f"{DAY}.json").exists()
    assert (home.validations / "ingest_report" / f"{DAY}.json").exists()


def test_a_day_with_a_third_of_bad_rows_stops_and_names_file_count_and_reason(land, ingest, run, capsys):
    land(DAY, *sales(DAY, 7), *(SALE.format(day=DAY, n=n).replace("10.50", "much") for n in range(3)))
    ingest(DAY)
    assert run("--table", "events", "--ds", f"{DAY}") == DataError.exit_code == 65
    out, err = capsys.readouterr()
    assert "ingest_report 2024-03-04: FAILED" in out
    assert "quarantine_share_value_range_fail: expected at most 0.1" in err
    assert "sales.csv.gz: 3 of 10 rows refused (30.0%): paid_not_a_number=3" in err


def test_one_bad_row_in_fifty_warns_and_passes(land, ingest, run, capsys, caplog):
    land(DAY, *sales(DAY, 49), SALE.format(day=DAY, n=50).replace("10.50", "much"))
    ingest(DAY)
    assert run("--table", "events", "--ds", f"{DAY}") == 0
    assert "1 warned, 0 failed" in capsys.readouterr().out
    assert "quarantine_share_value_range_warn" in caplog.text


def test_a_missing_partition_is_named_with_what_to_do(run, capsys):
    assert run("--table", "events", "--ds", f"{DAY}") == 65
    assert f"events has no partition for {DAY}" in capsys.readouterr().err


def test_rows_that_no_ingest_would_write_are_stopped(home, land, ingest, run, capsys):
    land(DAY, *sales(DAY, 3))
    ingest(DAY)
    events = LakeTable(home, EVENTS)
    # Someone wrote to the lake past the row rules: a line twice, another with an unknown type.
    rows = events.read_arrow([DAY]).to_pylist()
    rows += [rows[0], rows[1] | {"source_line": 99, "event_type": "theft"}]
    events.write_arrow(DAY, pa.Table.from_pylist(rows, schema=events.read_arrow([DAY]).schema))
    assert run("--table", "events", "--ds", f"{DAY}") == 65
    err = capsys.readouterr().err
    assert "events of 2024-03-04 broke 2 of" in err
    assert "key_unique: expected one row per source + source_file + source_line + arrival_date; observed 2 of 5" in err
    assert "event_type_unknown" in err


def test_a_range_is_gated_at_once_and_tells_of_the_empty_file(home, land, ingest, run, capsys, caplog):
    days = [DAY + timedelta(days=n) for n in range(3)]
    for day, count in zip(days, (2, 0, 3), strict=True):
        land(day, *sales(day, count))
    ingest(*days)
    assert run("--table", "events", "--from", f"{days[0]}", "--to", f"{days[-1]}") == 0
    assert f"events {days[0]}…{days[-1]}: passed, 5 rows" in capsys.readouterr().out
    assert "observed 1 of 3 rows (33.33%) (a delivered file without a row)" in caplog.text
    assert (home.validations / "events" / f"{days[0]}_{days[-1]}.json").exists()


def test_what_has_passed_is_skipped_until_rows_or_contract_change(home, land, ingest, run, monkeypatch):
    land(DAY, *sales(DAY, 3))
    ingest(DAY)
    arguments = ("--table", "events", "--ds", f"{DAY}", "--skip-unchanged")
    gated = []
    gate = validate.gate_frame
    monkeypatch.setattr(validate, "gate_frame", lambda *a, **k: gated.append(a[1].name) or gate(*a, **k))

    def ran():
        gated.clear()
        assert run(*arguments) == 0
        return gated != []

    assert ran()
    assert not ran()
    # The same rows written anew are gated anew.
    events = LakeTable(home, EVENTS)
    events.write_arrow(DAY, events.read_arrow([DAY]))
    assert ran()
    assert not ran()
    # So are old rows when the contract asks something else of them.
    stricter = replace(EVENTS, checks=(*EVENTS.checks, Check(kind="row_count", severity="fail", minimum=3, why="w")))
    monkeypatch.setattr(validate, "LAKE", (stricter,))
    assert ran()
    assert not ran()


def test_what_has_failed_is_never_skipped(land, ingest, run):
    land(DAY, *sales(DAY, 2), SALE.format(day=DAY, n=3).replace("10.50", "much"))
    ingest(DAY)
    for _ in range(2):
        assert run("--table", "events", "--ds", f"{DAY}", "--skip-unchanged") == 65


def test_mending_the_file_and_running_again_leaves_what_a_clean_run_leaves(home, land, ingest, run):
    land(DAY, *sales(DAY, 3))
    ingest(DAY)
    run("--table", "events", "--ds", f"{DAY}")
    kept = [home.validations / table.name / f"{DAY}.json" for table in (EVENTS, INGEST_REPORT)]
    clean = [path.read_bytes() for path in kept]
    land(DAY, *sales(DAY, 2), "c1,2024-03-04,sale,o9,p1,2,much,0,0")
    ingest(DAY)
    assert run("--table", "events", "--ds", f"{DAY}") == 65
    land(DAY, *sales(DAY, 3))
    ingest(DAY)
    assert run("--table", "events", "--ds", f"{DAY}") == 0
    assert [path.read_bytes() for path in kept] == clean


@pytest.mark.parametrize(
    "arguments",
    [(), ("--table", "events"), ("--table", "unicorns", "--ds", "2024-03-04"), ("--docs", "--table", "events")],
)
def test_senseless_arguments_are_refused(run, arguments):
    with pytest.raises(SystemExit) as exit_:
        run(*arguments)
    assert exit_.value.code == 2


def test_data_docs_show_every_kept_result_and_no_value(home, land, ingest, run, capsys):
    bad = SALE.format(day=DAY, n=3).replace("10.50", "alice-and-her-secret")
    land(DAY, *sales(DAY, 3), bad)
    ingest(DAY)
    run("--table", "events", "--ds", f"{DAY}")
    capsys.readouterr()
    assert run("--docs") == 0
    site = re.match(r"(.*)/index\.html$", capsys.readouterr().out.strip())[1]
    pages = [
        p for p in home.validations.rglob("*.html") if "/validations/" in str(p).removeprefix(str(home.validations))
    ]
    assert {page.name for page in pages} == {"lake-events.html", "lake-ingest_report.html"}
    assert all(str(page).startswith(site) for page in pages)
    report = next(p for p in pages if "report" in p.name).read_text()
    assert "1 of 1 rows (100.00%)" in report
    assert "more than a tenth of a file refused" in report
    assert not any("alice" in page.read_text() for page in pages)


def test_data_docs_need_no_network_and_tell_what_broke_and_was_not_judged(home, land, ingest, run, capsys):
    land(DAY, *sales(DAY, 3), SALE.format(day=DAY, n=3).replace("10.50", "much"))
    ingest(DAY)
    run("--table", "events", "--ds", f"{DAY}")
    capsys.readouterr()
    run("--docs")
    index = Path(capsys.readouterr().out.strip())
    for page in index.parent.rglob("*.html"):
        assert "http" not in page.read_text(), page
        assert "Shop: corner_shop." in page.read_text(), page
    text = index.read_text()
    assert "quarantine_share_value_range_fail: 1 of 1 rows (100.00%)" in text
    links = re.findall(r'href="([^"]+)"', text)
    assert len(links) == 2
    (report,) = (index.parent / link for link in links if "ingest_report" in link)
    shown = re.findall(r'class="state ([\w-]+)">.*?<span >\s*(\w+):', report.read_text(), re.DOTALL)
    found = {name: state for state, name in shown}
    assert found["quarantine_share_value_range_fail"] == "fails"
    assert found["quarantine_share_value_range_warn"] == "warns"
    assert found["volume_warn"] == "not-judged"
    assert found["key_unique"] == "held"


def test_data_docs_without_a_result_say_what_to_run(run, capsys):
    assert run("--docs") == 65
    assert "holds no result yet" in capsys.readouterr().err
