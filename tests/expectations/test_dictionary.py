"""DICTIONARY.md is what the contracts say, and says all of it."""

import re

import pytest

from expectations import dictionary as module
from expectations.__main__ import main
from expectations.dictionary import FILE, dictionary, differences
from expectations.lifecycle import LIFECYCLE_PHASES
from expectations.segments import CHURN_BANDS, VALUE_TIERS
from expectations.tables import LAKE
from expectations.views import VIEWS, shown_type


def section(heading):
    """The text under a heading, up to the next one of its kind or above."""
    _, _, after = dictionary().partition(f"\n### {heading}\n")
    return re.split(r"\n##+ ", after)[0]


def cells(text):
    """Rows of the section's table, as lists of cells without quotes."""
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def test_the_committed_dictionary_is_current():
    stale = differences(FILE.read_text(encoding="utf-8"))
    assert not stale, "run `python -m expectations` and commit it:\n" + "\n".join(stale)


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda v: v.name)
def test_a_view_lists_every_column_in_order_with_its_postgres_type_and_unit(view):
    text = section(f"marts.{view.name}")
    assert view.answers in text
    assert f"- Grain: {view.grain or view.table.grain};" in text
    if view.like:
        assert f"`marts.{view.like}`" in text
        return
    found = [(name, type_, unit) for name, type_, unit, *_ in cells(text)]
    assert found == [(c.name, shown_type(c), c.unit) for c in view.table.columns]
    # Money and shares are exact numbers in the views, whatever the stored tables keep.
    exact = {name for name, type_, unit in found if type_ == "numeric"}
    assert exact == {name for name, _, unit in found if unit in ("currency", "share")}


@pytest.mark.parametrize("table", LAKE, ids=lambda t: t.name)
def test_a_lake_table_lists_every_column_with_its_meaning(table):
    text = section(table.name)
    assert all(check.why in text for check in table.checks)
    if table.name in VIEWS:
        assert f"Columns: those of `marts.{table.name}`." in text
        return
    assert [row[0] for row in cells(text)] == table.column_names
    assert all(column.description in text for column in table.columns)


def test_the_glossary_explains_every_word_that_a_segment_may_hold():
    assert [row[0] for row in cells(section("Value tiers"))] == list(VALUE_TIERS)
    assert [row[0] for row in cells(section("Churn bands"))] == list(CHURN_BANDS)
    stages = {row[0]: row[2].partition("`")[0] for row in cells(section("Lifecycle stages"))}
    assert stages == LIFECYCLE_PHASES


def test_thresholds_named_in_the_glossary_are_rows_of_segment_settings():
    from jobs.segments.settings import DESCRIPTIONS

    text = dictionary().partition("## Glossary")[2].partition("## Tables of the lake")[0]
    named = set(
        re.findall(r"\b(?:\w+_(?:rule|from|gaps|quantile|below_\w+)|(?:new|reactivated|silent|loyal)_\w*days)\b", text)
    )
    assert named
    assert named <= DESCRIPTIONS.keys()


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    widths = None
    for line in dictionary().splitlines():
        if not line.startswith("|"):
            widths = None
            continue
        width = len(re.split(r"(?<!\\)\|", line))
        assert widths in (None, width), line
        widths = width


def test_check_names_the_stale_lines_and_writing_mends_them(tmp_path, monkeypatch, capsys):
    file = tmp_path / "DICTIONARY.md"
    monkeypatch.setattr(module, "FILE", file)
    monkeypatch.setattr("expectations.__main__.FILE", file)
    # Not there at all: stale.
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    file.write_text(file.read_text(encoding="utf-8").replace("| days |", "| weeks |", 1), encoding="utf-8")
    capsys.readouterr()
    assert main(["--check"]) == 1
    out, err = capsys.readouterr()
    assert re.search(r"^-\| `churn_days` \| integer \| weeks \|", out, re.M)
    assert re.search(r"^\+\| `churn_days` \| integer \| days \|", out, re.M)
    assert "python -m expectations" in err


def test_checks_are_named_in_one_piece():
    assert "- Check (fail) `row_count_fail`: row count at least 1" in FILE.read_text()
