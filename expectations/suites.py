"""Contract → Great Expectations suite. The one file of this room that imports Great Expectations.

Row rules keep the names that quarantine uses (``amount_missing``, ``event_type_unknown``, ``quantity_below_0``), so
that a rule reads the same wherever it is broken. Each expectation's ``meta`` holds that name, what is expected and why.
"""

import importlib.util
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date
from types import ModuleType
from typing import TYPE_CHECKING

from expectations.check_texts import expected
from expectations.contract import ROW_CHECKS, Check, Column, Severity, Table
from expectations.without import without

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.expectations.expectation import Expectation

CLOUD = ("google.api_core", "google.auth", "google.cloud", "google.oauth2")
"""Stores of Google's, which Great Expectations can do without."""
SEVERITIES: dict[Severity, str] = {"fail": "critical", "warn": "warning"}
"""Ours → Great Expectations'."""


def import_gx() -> ModuleType:
    """Great Expectations. What no contract asks for is left out or put off until used: nearly half of its start."""
    if "great_expectations" not in sys.modules:
        if "scipy.stats" not in sys.modules:
            _put_off("scipy", "stats")
        with _plots_left_out(), without("pyspark.ml", *CLOUD):
            import great_expectations  # noqa: F401
    return sys.modules["great_expectations"]


@contextmanager
def _plots_left_out() -> Iterator[None]:
    """One expectation, of the Kullback-Leibler divergence, draws; it would say that altair is not there."""
    if "altair" in sys.modules:
        yield
        return
    sys.modules["altair"] = ModuleType("altair")
    try:
        yield
    finally:
        del sys.modules["altair"]


def _put_off(package: str, name: str) -> None:
    """``from package import name`` reads the module from now on only when one of its names is asked for."""
    spec = importlib.util.find_spec(f"{package}.{name}")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    setattr(sys.modules[package], name, module)


def build_suite(
    table: Table,
    severity: Severity | None = None,
    *,
    days: tuple[date, date] | None = None,
    names: Collection[str] | None = None,
) -> "gx.ExpectationSuite":
    """Every rule and check of the contract; only those of ``severity`` or ``names`` if given.

    Row rules and the checks of ROW_CHECKS are asked of the table's rows, the other checks of measured numbers (see
    ``measured_names``). ``days``: first and last partition that the rows may belong to.
    ValueError if two checks would bear one name.
    """
    gx = import_gx()
    expectations = [*_table_rules(table, days)]
    for column in table.columns:
        expectations += _column_rules(column)
    expectations += [_check(check) for check in table.checks]
    _refuse_doubles(table, [e.meta["name"] for e in expectations])
    wanted = [
        e
        for e in expectations
        if (severity is None or e.severity == SEVERITIES[severity]) and (names is None or e.meta["name"] in names)
    ]
    return gx.ExpectationSuite(name=table.name, expectations=wanted)


def _refuse_doubles(table: Table, names: list[str]) -> None:
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"table {table.name}: two checks are called {', '.join(doubled)}")


def _labels(name: str, severity: Severity, expected: str, why: str) -> dict:
    meta = {"name": name, "expected": expected, "why": why}
    return {"severity": SEVERITIES[severity], "meta": meta, "description": f"{name}: {expected} ({why})"}


def _table_rules(table: Table, days: tuple[date, date] | None) -> Iterator["Expectation"]:
    import great_expectations.expectations as gxe

    yield gxe.ExpectTableColumnsToMatchOrderedList(
        column_list=table.column_names,
        **_labels(
            "columns", "fail", f"the {len(table.columns)} columns of the contract, in its order", "jobs read by name"
        ),
    )
    # Rows of several partitions may lie in one frame; the key is unique within each.
    key = list(dict.fromkeys((*table.key, table.partition)))
    unique = _labels("key_unique", "fail", f"one row per {' + '.join(key)}", f"the grain is {table.grain}")
    if len(key) > 1:
        yield gxe.ExpectCompoundColumnsToBeUnique(column_list=key, **unique)
    else:
        yield gxe.ExpectColumnValuesToBeUnique(column=key[0], **unique)
    if days:
        expected = (
            f"{table.partition} = {days[0]}" if days[0] == days[1] else f"{table.partition} in {days[0]}…{days[1]}"
        )
        yield gxe.ExpectColumnValuesToBeBetween(
            column=table.partition, min_value=days[0], max_value=days[1],
            **_labels("partition_of_another_day", "fail", expected, "a partition holds the rows of its own day"),
        )  # fmt: skip
    if {"event_date", "arrival_date"} <= set(table.column_names):
        yield gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="arrival_date", column_B="event_date", or_equal=True,
            **_labels("event_date_after_arrival", "fail", "event_date at most arrival_date",
                      "what is dated after its own delivery would show the future to a snapshot"),
        )  # fmt: skip


def _column_rules(column: Column) -> Iterator["Expectation"]:
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column as RowColumn

    about = f"{column.name} is: {column.description}"
    name = column.name
    if not column.nullable:
        yield gxe.ExpectColumnValuesToNotBeNull(column=name, **_labels(f"{name}_missing", "fail", "never null", about))
    elif column.required_for:
        expected = f"never null where event_type is {' or '.join(column.required_for)}"
        yield gxe.ExpectColumnValuesToNotBeNull(
            column=name, row_condition=RowColumn("event_type").is_in(list(column.required_for)),
            **_labels(f"{name}_missing", "fail", expected, about),
        )  # fmt: skip
    if column.values:
        expected = f"one of {', '.join(column.values)}"
        yield gxe.ExpectColumnValuesToBeInSet(
            column=name, value_set=list(column.values), **_labels(f"{name}_unknown", "fail", expected, about)
        )
    yield from _bounds(column, about)


def _bounds(column: Column, about: str) -> Iterator["Expectation"]:
    import great_expectations.expectations as gxe

    between, name, unit = gxe.ExpectColumnValuesToBeBetween, column.name, _unit(column)
    if column.type == "double":
        # NaN sorts above every number in Spark and PostgreSQL, so that a plain minimum would let it pass.
        yield between(
            column=name, min_value=-sys.float_info.max, max_value=sys.float_info.max,
            **_labels(f"{name}_not_finite", "fail", "a finite number", about),
        )  # fmt: skip
    if column.minimum is not None:
        labels = _labels(f"{name}_below_{column.minimum:g}", "fail", f"at least {column.minimum:g}{unit}", about)
        yield between(column=name, min_value=column.minimum, **labels)
    if column.maximum is not None:
        labels = _labels(f"{name}_above_{column.maximum:g}", "fail", f"at most {column.maximum:g}{unit}", about)
        yield between(column=name, max_value=column.maximum, **labels)


def _unit(column: Column) -> str:
    return "" if column.unit in ("", "probability", "share") else f" {column.unit}"


def types_expectation() -> "Expectation":
    """For pages alone: the gate itself compares a table's types with the contract's before it asks anything else."""
    import great_expectations.expectations as gxe

    labels = _labels("types", "fail", "the types of the contract", "jobs compute with them")
    return gxe.ExpectTableColumnsToMatchSet(column_set=[], **labels)


def measured_names(table: Table) -> list[str]:
    """Checks that are asked of measured numbers: a frame of columns label (name of the check), of, and value."""
    return [check.label for check in table.checks if check.kind not in ROW_CHECKS]


_FLAG_BOUNDS = {"is_true": (1, 1), "is_blank": (0, 0)}


def _check(check: Check) -> "Expectation":
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column as RowColumn

    low, high = _FLAG_BOUNDS.get(check.kind, (check.minimum, check.maximum))
    bounds = {"min_value": low, "max_value": high}
    labels = _labels(check.label, check.severity, expected(check), check.why)
    match check.kind:
        case "row_count":
            return gxe.ExpectTableRowCountToBeBetween(**bounds, **labels)
        case "value_range":
            return gxe.ExpectColumnValuesToBeBetween(column=check.columns[0], **bounds, **labels)
        case "null_share":
            # 1 - 0.9 is a hair above 0.1 in binary; rounding keeps the bound itself inside.
            return gxe.ExpectColumnValuesToNotBeNull(
                column=check.columns[0], mostly=round(1 - check.maximum, 12), **labels
            )
    return gxe.ExpectColumnValuesToBeBetween(
        column="value", row_condition=RowColumn("label") == check.label, **bounds, **labels
    )
