"""The gate: a table's rows against its contract, by Great Expectations. ``fail`` stops the line, ``warn`` reports.

Results are kept under ``validations/<table>/<day>.json`` of the home: counts and verdicts, never a value of a row, and
no clock, so that the same rows leave the same bytes. ``python -m jobs validate --docs`` turns them into Data Docs.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.contract import TYPES, Severity, Table
from jobs.errors import DataError
from jobs.home import Home

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class CheckOutcome:
    """What one check found. ``unexpected_count``: rows that break it; None where it held or does not count rows."""

    name: str
    severity: Severity
    passed: bool
    observed: str
    expected: str
    why: str
    unexpected_count: int | None = None


@dataclass(frozen=True)
class GateResult:
    """Every check of ``table`` on the rows of ``day`` (to ``last``, where a range was gated at once)."""

    table: str
    day: date
    outcomes: tuple[CheckOutcome, ...]
    rows: int
    path: Path
    last: date | None = None

    @property
    def failed(self) -> tuple[CheckOutcome, ...]:
        return tuple(o for o in self.outcomes if not o.passed and o.severity == "fail")

    @property
    def warned(self) -> tuple[CheckOutcome, ...]:
        return tuple(o for o in self.outcomes if not o.passed and o.severity == "warn")

    @property
    def passed(self) -> bool:
        """No check of severity fail was broken."""
        return not self.failed

    @property
    def days(self) -> str:
        return f"{self.day}" if self.last in (None, self.day) else f"{self.day}…{self.last}"

    def summary(self) -> str:
        """One line for a person."""
        held = len(self.outcomes) - len(self.failed) - len(self.warned)
        return (
            f"{self.table} {self.days}: {'passed' if self.passed else 'FAILED'}, {self.rows:,} rows, "
            f"{held} checks held, {len(self.warned)} warned, {len(self.failed)} failed"
        )

    def raise_if_failed(self, advice: str = "", details: str = "") -> None:
        """DataError that names each failed check, what was observed and expected, and what to do."""
        if self.passed:
            return
        lines = [f"  {o.name}: expected {o.expected}; observed {o.observed} ({o.why})" for o in self.failed]
        advice = advice or "mend the input or the step that wrote the rows, then run that step and this check again"
        raise DataError(
            f"{self.table} of {self.days} broke {len(lines)} of {len(self.outcomes)} checks on {self.rows:,} rows\n"
            + "\n".join(lines)
            + (f"\n{details}" if details else "")
            + f"\nThe result is kept in {self.path}. Nothing after this step has run: {advice}."
        )


def gate_frame(
    home: Home, table: Table, frame: "DataFrame", day: date, *, last: date | None = None, keep: bool = True
) -> GateResult:
    """Gates an engine's data frame that holds the partition of ``day``, or all of ``day`` … ``last``.

    Over a range the row counts are checked day by day and everything else over all rows at once.
    UnavailableError if the engine could not compute a check.
    """
    from jobs.checkpoint import frame_batch

    wrong = _wrong_types(table, {name: found.lower() for name, found in frame.dtypes}, dialect=0)
    path = home.validations / table.name / (f"{day}.json" if last in (None, day) else f"{day}_{last}.json")
    if last in (None, day):
        result = _gate(table, frame_batch(table, frame, (day, day)), wrong, rows=frame.count(), path=path)
    else:
        counts = _rows_by_day(table, frame, day, last) if not wrong else {}
        result = _gate(table, frame_batch(table, frame, (day, last)), wrong, sum(counts.values()), path, counts)
    return _kept(result) if keep else result


def gate_sql(home: Home, table: Table, uri: str, schema: str, relation: str, day: date) -> GateResult:
    """Gates ``schema.relation`` in PostgreSQL, which holds the rows of ``day``; only committed rows are seen.

    SetupError if there is no such relation, UnavailableError if a check could not be computed.
    """
    from jobs.checkpoint import relation_batch, relation_shape

    found, rows = relation_shape(uri, schema, relation)
    wrong = _wrong_types(table, found, dialect=1)
    path = home.validations / table.name / f"{day}-warehouse.json"
    with relation_batch(table, uri, schema, relation, day) as batch:
        return _kept(_gate(table, batch, wrong, rows, path))


def _gate(
    table: Table,
    batch: Any,
    wrong: list[str],
    rows: int,
    path: Path,
    rows_by_day: dict[date, int] | None = None,
) -> GateResult:
    from expectations.suites import build_suite, check_name

    counted = [check for check in table.checks if check.kind == "row_count"] if rows_by_day else []
    days = batch.days
    suite = build_suite(table, days=days)
    # With a column missing or of another type the other checks cannot even be asked.
    names = {"columns"} if wrong else {e.meta["name"] for e in suite.expectations} - {check_name(c) for c in counted}
    results = batch.run(names)
    outcomes = [_types_outcome(wrong)] + [
        _outcome(results[e.meta["name"]]) for e in suite.expectations if e.meta["name"] in names
    ]
    outcomes += [_daily_outcome(check, check_name(check), rows_by_day) for check in counted]
    last = days[1] if days[1] != days[0] else None
    return GateResult(table.name, days[0], tuple(outcomes), rows, path, last)


def _wrong_types(table: Table, found: dict[str, str], dialect: int) -> list[str]:
    """Columns that are not as declared; ``dialect`` 0: Spark SQL, 1: PostgreSQL."""
    expected = {c.name: TYPES[c.type][dialect] for c in table.columns}
    expected = {name: type_.lower() for name, type_ in expected.items()}
    return [
        f"{name}: expected {type_}, found {found.get(name, 'no such column')}"
        for name, type_ in expected.items()
        if found.get(name) != type_
    ]


def _types_outcome(wrong: list[str]) -> CheckOutcome:
    return CheckOutcome(
        "types",
        "fail",
        not wrong,
        "; ".join(wrong) or "as expected",
        "the types of the contract",
        "jobs compute with them",
    )


def _rows_by_day(table: Table, frame: "DataFrame", first: date, last: date) -> dict[date, int]:
    counted = {row[0]: row[1] for row in frame.groupBy(table.partition).count().collect()}
    return {day: counted.get(day, 0) for n in range((last - first).days + 1) for day in (first + timedelta(days=n),)}


def _daily_outcome(check: Any, name: str, rows_by_day: dict[date, int]) -> CheckOutcome:
    from expectations.suites import bounds_text

    low, high = check.minimum or 0, check.maximum if check.maximum is not None else float("inf")
    out = [f"{day} ({rows:,} rows)" for day, rows in rows_by_day.items() if not low <= rows <= high]
    shown = ", ".join(out[:5]) + (f" and {len(out) - 5} more" if len(out) > 5 else "")
    observed = f"{len(out)} of {len(rows_by_day)} days outside: {shown}" if out else "as expected"
    expected = f"{bounds_text(check.minimum, check.maximum)} rows a day"
    return CheckOutcome(name, check.severity, not out, observed, expected, check.why)


def _outcome(result: Any) -> CheckOutcome:
    meta = result.expectation_config.meta
    severity = "fail" if result.expectation_config.severity == "critical" else "warn"
    count = None if result.success else result.result.get("unexpected_count")
    observed = (
        "as expected"
        if result.success
        else _observed(result.result, result.expectation_config.kwargs.get("column_list"))
    )
    return CheckOutcome(meta["name"], severity, bool(result.success), observed, meta["expected"], meta["why"], count)


def _observed(found: dict, expected: list[str] | None) -> str:
    if "unexpected_count" in found:
        count, size = found["unexpected_count"], found["element_count"]
        return f"{count:,} of {size:,} rows ({count / size:.2%})"
    value = found["observed_value"]
    if not expected:
        return f"{value:,} rows"
    missing, extra = [n for n in expected if n not in value], [n for n in value if n not in expected]
    parts = [
        f"{what} {', '.join(names)}" for what, names in (("no column", missing), ("unknown column", extra)) if names
    ]
    return "; ".join(parts) or f"another order: {', '.join(value)}"


def _kept(result: GateResult) -> GateResult:
    """Writes the result in one rename; a reader never finds half of it."""
    kept = asdict(result) | {"passed": result.passed, "last": result.last or result.day}
    del kept["path"]
    text = json.dumps(kept, indent=1, ensure_ascii=False, default=str) + "\n"
    result.path.parent.mkdir(parents=True, exist_ok=True)
    staged = result.path.with_name(f".{result.path.name}.{os.getpid()}")
    staged.write_text(text)
    os.replace(staged, result.path)
    return result
