"""Contract → suite: what is asked, how severely, and under which names. The asking itself is tested with the gate."""

import ast
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

import expectations
from expectations.behaviour import FEATURE_NAMES, FEATURES
from expectations.contract import Check, Column, Table
from expectations.events import EVENTS, INGEST_REPORT
from expectations.suites import build_suite, measured_names
from expectations.tables import TABLES

EACH_TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)


def names(suite):
    return [e.meta["name"] for e in suite.expectations]


@EACH_TABLE
def test_every_rule_of_the_contract_is_asked_once(table):
    expected = {"columns", "key_unique"}
    for c in table.columns:
        expected |= {f"{c.name}_missing"} if not c.nullable or c.required_for else set()
        expected |= {f"{c.name}_unknown"} if c.values else set()
        expected |= {f"{c.name}_not_finite"} if c.type == "double" else set()
        expected |= {f"{c.name}_below_{c.minimum:g}"} if c.minimum is not None else set()
        expected |= {f"{c.name}_above_{c.maximum:g}"} if c.maximum is not None else set()
    expected |= {c.name or "_".join((*c.columns, c.kind, c.severity)) for c in table.checks}
    if {"event_date", "arrival_date"} <= set(table.column_names):
        expected.add("event_date_after_arrival")
    found = names(build_suite(table))
    assert len(found) == len(set(found))
    assert set(found) == expected


@EACH_TABLE
def test_every_expectation_says_how_severe_it_is_what_it_expects_and_why(table):
    for expectation in build_suite(table).expectations:
        assert expectation.severity in ("critical", "warning")
        assert expectation.meta["expected"]
        assert expectation.meta["why"]


def test_severities_are_the_contracts():
    # Row rules stop; a check says itself what it does.
    assert set(names(build_suite(INGEST_REPORT, "warn"))) == {
        "quarantine_share_value_range_warn",
        "rows_read_value_range_warn",
        "volume_warn",
        "unknown_product_warn",
        "added_columns_warn",
    }
    both = names(build_suite(INGEST_REPORT, "fail")) + names(build_suite(INGEST_REPORT, "warn"))
    assert sorted(both) == sorted(names(build_suite(INGEST_REPORT)))


def test_only_what_is_named_is_asked():
    assert names(build_suite(EVENTS, names={"key_unique", "amount_below_0"})) == ["key_unique", "amount_below_0"]


def test_the_key_is_unique_within_a_partition():
    (unique,) = build_suite(EVENTS, names={"key_unique"}).expectations
    assert unique.column_list == ["source", "source_file", "source_line", "arrival_date"]


def test_days_bound_the_partition():
    suite = build_suite(EVENTS, days=(date(2024, 3, 4), date(2024, 3, 6)), names={"partition_of_another_day"})
    (day,) = suite.expectations
    assert (day.column, day.min_value, day.max_value) == ("arrival_date", date(2024, 3, 4), date(2024, 3, 6))


def test_a_share_of_nulls_keeps_its_bound_inside():
    # 1 - 0.9 is a hair below 0.1 in binary, 1 - 0.07 a hair below 0.93: the bound itself must pass.
    for share, mostly in ((0.9, 0.1), (0.07, 0.93), (0.35, 0.65)):
        check = Check(kind="null_share", severity="warn", columns=("a",), maximum=share, why="w")
        (expectation,) = build_suite(table_of(check), names={"a_null_share_warn"}).expectations
        assert expectation.mostly == mostly


def test_measured_checks_are_asked_of_numbers_and_of_their_own_alone():
    suite = build_suite(INGEST_REPORT, names=measured_names(INGEST_REPORT))
    assert sorted(names(suite)) == sorted(measured_names(INGEST_REPORT))
    assert {(e.column, e.row_condition.parameter) for e in suite.expectations} == {
        ("value", name) for name in measured_names(INGEST_REPORT)
    }
    (complete,) = (e for e in suite.expectations if e.meta["name"] == "is_complete_fail")
    assert (complete.min_value, complete.max_value) == (1, 1)


def test_every_number_a_model_reads_says_what_stands_in_for_a_missing_one():
    # Without a rule a model could not be given the row; a column that is never null needs none.
    for column in (FEATURES.column(name) for name in FEATURE_NAMES):
        assert bool(column.impute) == column.nullable, column.name


def test_two_checks_of_one_name_are_refused():
    check = Check(kind="row_count", severity="warn", minimum=1, why="w")
    with pytest.raises(ValueError, match="two checks are called row_count_warn"):
        build_suite(table_of(check, check))


def table_of(*checks):
    columns = (
        Column(name="a", type="string", nullable=True, description="A."),
        Column(name="ds", type="date", description="D."),
    )
    return Table(
        name="t", description="T.", grain="one row per a", key=("a",), partition="ds", columns=columns, checks=checks
    )


def test_only_the_suite_builder_imports_great_expectations():
    for file in Path(expectations.__path__[0]).glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module])
        }
        others = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names) - {"expectations"}
        assert others == ({"great_expectations"} if file.name == "suites.py" else set()), file.name


def test_great_expectations_loads_only_when_a_suite_is_built():
    code = (
        "import sys, expectations.suites, jobs.checks.gate, jobs.validate; "
        "sys.exit('great_expectations' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(expectations.__path__[0]).parent).returncode
        == 0
    )
