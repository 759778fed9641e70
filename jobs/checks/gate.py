"""The gate: a table's rows against its contract, by Great Expectations. ``fail`` stops the line, ``warn`` reports.

Results are kept under ``validations/<table>/<day>.json`` of the home: counts and verdicts, never a value of a row, and
no clock, so that the same rows leave the same bytes. ``python -m jobs validate --docs`` turns them into Data Docs.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.contract import TYPES, Check, Severity, Table
from expectations.errors import DataError
from jobs.home import Home

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from pyspark.sql import DataFrame

    from jobs.checks.checkpoint import Batch

HELD = "as expected"


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
    """Every check of ``table`` on the ``rows`` of ``day`` … ``last``: one day, unless a range was gated at once.

    ``contract``: digest of the contract that the rows were held to.
    """

    table: str
    day: date
    last: date
    rows: int
    outcomes: tuple[CheckOutcome, ...]
    path: Path
    contract: str

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
        return f"{self.day}" if self.last == self.day else f"{self.day}…{self.last}"

    def summary(self) -> str:
        """One line for people."""
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


def contract_digest(table: Table) -> str:
    """Changes whenever the contract does."""
    return hashlib.sha256(repr(table).encode()).hexdigest()


def result_path(home: Home, table: Table, day: date, last: date) -> Path:
    """Where the verdict on a lake table's partitions of ``day`` … ``last`` is kept."""
    return home.validations / table.name / (f"{day}_{last}.json" if last > day else f"{day}.json")


def gate_frame(home: Home, table: Table, frame: "DataFrame", day: date, *, last: date | None = None) -> GateResult:
    """Gates an engine's data frame that holds the partition of ``day``, or all of ``day`` … ``last``.

    Over a range the row counts are checked day by day and everything else over all rows at once.
    UnavailableError if the engine could not compute a check.
    """
    from jobs.checks.checkpoint import frame_batch

    last = last or day
    wrong = _wrong_types(table, {name: found.lower() for name, found in frame.dtypes}, dialect=0)
    by_day = _rows_by_day(table, frame, day, last) if last > day and not wrong else None
    path = result_path(home, table, day, last)
    outcomes = _outcomes(frame_batch(table, frame, (day, last)), wrong, by_day)
    rows = frame.count() if by_day is None else sum(by_day.values())
    return _kept(GateResult(table.name, day, last, rows, outcomes, path, contract_digest(table)))


def gate_sql(home: Home, table: Table, uri: str, schema: str, relation: str, day: date) -> GateResult:
    """Gates ``schema.relation`` in PostgreSQL, which holds the rows of ``day``; only committed rows are seen.

    SetupError if there is no such relation, UnavailableError if a check could not be computed.
    """
    from jobs.checks.checkpoint import relation_batch, relation_shape

    found, rows = relation_shape(uri, schema, relation)
    path = home.validations / table.name / f"{day}-warehouse.json"
    with relation_batch(table, uri, schema, relation, day) as batch:
        outcomes = _outcomes(batch, _wrong_types(table, found, dialect=1))
    return _kept(GateResult(table.name, day, day, rows, outcomes, path, contract_digest(table)))


def _outcomes(batch: "Batch", wrong: list[str], by_day: dict[date, int] | None = None) -> tuple[CheckOutcome, ...]:
    """``wrong``: columns of another type; ``by_day``: rows of each day, where several are gated at once."""
    from expectations.suites import bounds_text, check_name

    types = CheckOutcome(
        "types", "fail", not wrong, "; ".join(wrong) or HELD, "the types of the contract", "jobs compute with them"
    )
    if wrong:  # with a column missing or of another type the other checks cannot even be asked
        return (types, *map(_outcome, batch.run({"columns"})))
    daily = [check for check in batch.table.checks if check.kind == "row_count"] if by_day else []
    found = map(_outcome, batch.run(batch.names - {check_name(check) for check in daily}))
    counts = (
        CheckOutcome(check_name(c), c.severity, not out, out or HELD, f"row count a day {bounds_text(c)}", c.why)
        for c in daily
        for out in (_days_outside(c, by_day),)
    )
    return (types, *found, *counts)


def _wrong_types(table: Table, found: dict[str, str], dialect: int) -> list[str]:
    """Columns that are not as declared; ``dialect`` 0: Spark SQL, 1: PostgreSQL."""
    expected = {c.name: TYPES[c.type][dialect] for c in table.columns}
    expected = {name: type_.lower() for name, type_ in expected.items()}
    return [
        f"{name}: expected {type_}, found {found.get(name, 'no such column')}"
        for name, type_ in expected.items()
        if found.get(name) != type_
    ]


def _rows_by_day(table: Table, frame: "DataFrame", first: date, last: date) -> dict[date, int]:
    counted = {row[0]: row[1] for row in frame.groupBy(table.partition).count().collect()}
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return {day: counted.get(day, 0) for day in days}


def _days_outside(check: Check, by_day: dict[date, int]) -> str:
    """The days whose row count the check refuses, in words; empty if there are none."""
    low, high = check.minimum or 0, float("inf") if check.maximum is None else check.maximum
    out = [f"{day} ({rows:,} rows)" for day, rows in by_day.items() if not low <= rows <= high]
    shown = ", ".join(out[:5]) + (f" and {len(out) - 5} more" if len(out) > 5 else "")
    return f"{len(out)} of {len(by_day)} days outside: {shown}" if out else ""


def _outcome(result: "ExpectationValidationResult") -> CheckOutcome:
    config, found = result.expectation_config, result.result
    severity = "fail" if config.severity == "critical" else "warn"
    observed = HELD if result.success else _observed(found, config.kwargs.get("column_list"))
    count = None if result.success else found.get("unexpected_count")
    meta = config.meta
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
    kept = asdict(result) | {"passed": result.passed}
    del kept["path"]
    text = json.dumps(kept, indent=1, ensure_ascii=False, default=str) + "\n"
    result.path.parent.mkdir(parents=True, exist_ok=True)
    staged = result.path.with_name(f".{result.path.name}.{os.getpid()}")
    staged.write_text(text)
    os.replace(staged, result.path)
    return result
