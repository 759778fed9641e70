"""The gate: a table's rows against its contract, by Great Expectations. ``fail`` stops the line, ``warn`` reports.

Results are kept under ``validations/<table>/<day>.json`` of the home: counts and verdicts, never a value of a row, and
no clock, so that the same rows leave the same bytes. ``python -m jobs validate --docs`` turns them into Data Docs.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from expectations.check_texts import bounds_text, expected
from expectations.contract import ROW_CHECKS, TYPES, Check, Table
from expectations.errors import UnavailableError
from jobs.checks.chosen import chosen
from jobs.checks.measured import Findings, measure
from jobs.checks.outcomes import HELD, CheckOutcome, GateResult, contract_digest, keep, result_path
from jobs.home import Home

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from pyspark.sql import DataFrame

    from jobs.checks.checkpoint import Batch

KEY = "key_unique"
MOST_SHOWN = 5


def gate_frame(
    home: Home,
    table: Table,
    frame: "DataFrame",
    day: date,
    *,
    last: date | None = None,
    unique: dict[date, int] | None = None,
) -> GateResult:
    """Gates an engine's data frame that holds the partition of ``day``, or all of ``day`` … ``last``.

    Over a range the row counts and measured numbers are judged day by day and everything else over all rows at once.
    ``unique``: rows of each day, where it is known that no two of a day share a key. UnavailableError if the engine
    could not compute a check.
    """
    from jobs.checks.checkpoint import frame_batch

    table, last = chosen(home, table), last or day
    days = [day + timedelta(days=n) for n in range((last - day).days + 1)]
    batch = frame_batch(table, frame, (day, last))
    wrong = _wrong_types(table, {name: found.lower() for name, found in frame.dtypes}, dialect=0)
    if wrong:
        rows, outcomes = frame.count(), _misfit(batch, wrong)
    else:
        by_day, has_doubles = (unique, False) if unique else _rows_by_day(table, frame)
        rows = sum(by_day.values())
        measured = measure(home, table, [c for c in table.checks if c.kind not in ROW_CHECKS], days)
        outcomes = _outcomes(batch, {d: by_day.get(d, 0) for d in days} if last > day else None, has_doubles, measured)
    path = result_path(home, table, day, last)
    return keep(GateResult(table.name, day, last, rows, outcomes, path, contract_digest(table)))


def gate_sql(
    home: Home, table: Table, uri: str, schema: str, relation: str, day: date, *, is_unique: bool = False
) -> GateResult:
    """Gates ``schema.relation`` in PostgreSQL, which holds the rows of ``day``; only committed rows are seen.

    Measured checks are the lake's and are left out. ``is_unique``: a primary key proves that no two rows share theirs.
    SetupError if there is no such relation, UnavailableError if a check could not be computed.
    """
    from jobs.checks.checkpoint import relation_batch, relation_shape

    table = chosen(home, table)
    found, rows = relation_shape(uri, schema, relation)
    wrong = _wrong_types(table, found, dialect=1)
    path = home.validations / table.name / f"{day}-warehouse.json"
    with relation_batch(table, uri, schema, relation, day) as batch:
        outcomes = _misfit(batch, wrong) if wrong else _outcomes(batch, has_doubles=not is_unique)
    return keep(GateResult(table.name, day, day, rows, outcomes, path, contract_digest(table)))


def _misfit(batch: "Batch", wrong: list[str]) -> tuple[CheckOutcome, ...]:
    """With a column missing or of another type the other checks cannot even be asked."""
    return (_types("; ".join(wrong)), *map(_outcome, batch.run({"columns"}).values()))


def _types(wrong: str = "") -> CheckOutcome:
    return CheckOutcome(
        "types", "fail", not wrong, wrong or HELD, "the types of the contract", "jobs compute with them"
    )


def _outcomes(
    batch: "Batch",
    by_day: dict[date, int] | None = None,
    has_doubles: bool = True,
    measured: dict[str, Findings] | None = None,
) -> tuple[CheckOutcome, ...]:
    """In the contract's order. ``by_day``: rows of each day, where several are gated at once.

    ``has_doubles``: False where no two rows share a key for certain, so that Great Expectations need not sort them.
    """
    rules, measured = batch.rules, measured or {}
    daily = [check for check in batch.table.checks if check.kind == "row_count"] if by_day else []
    known = {check.label: _counted(check, by_day) for check in daily}
    if not has_doubles:
        known[KEY] = CheckOutcome(KEY, "fail", True, HELD, rules[KEY]["expected"], rules[KEY]["why"])
    known |= {name: _outcome(result) for name, result in batch.run(rules.keys() - known.keys()).items()}
    return (_types(), *(known[name] for name in rules), *judged(batch.table, measured))


def _counted(check: Check, by_day: dict[date, int]) -> CheckOutcome:
    out = _days_outside(check, by_day)
    a_day = f"row count a day {bounds_text(check)}"
    return CheckOutcome(check.label, check.severity, not out, out or HELD, a_day, check.why)


def judged(table: Table, measured: dict[str, Findings]) -> list[CheckOutcome]:
    """Great Expectations' verdicts on measured numbers; what could not be measured is told, not passed over."""
    from jobs.checks.checkpoint import judge

    broken = judge(table, measured)
    return [
        _measured(check, measured[check.label], broken.get(check.label, set()))
        for check in table.checks
        if check.label in measured
    ]


def _measured(check: Check, found: Findings, broken: set[str]) -> CheckOutcome:
    """``broken``: what the numbers that the check refuses are of."""
    shown = [item.text for item in found.measured if item.of in broken or not broken]
    if found.measured and not broken and check.kind in ("is_true", "is_blank"):
        shown = [HELD]
    unjudged = _listed(found.unjudged, most=2)
    parts = [_listed(shown, MOST_SHOWN), f"not judged: {unjudged}" if unjudged else ""]
    passed = not broken if found.measured else None
    text = "; ".join(filter(None, parts)) or "not judged: no rows"
    numbers = {item.of: round(item.value, 6) for item in found.measured}
    return CheckOutcome(check.label, check.severity, passed, text, expected(check), check.why, None, numbers)


def _listed(texts: list[str] | tuple[str, ...], most: int) -> str:
    return "; ".join(texts[:most]) + (f"; and {len(texts) - most} more" if len(texts) > most else "")


def _wrong_types(table: Table, found: dict[str, str], dialect: int) -> list[str]:
    """Columns that are not as declared; ``dialect`` 0: Spark SQL, 1: PostgreSQL."""
    expected = {c.name: TYPES[c.type][dialect] for c in table.columns}
    expected = {name: type_.lower() for name, type_ in expected.items()}
    return [
        f"{name}: expected {type_}, found {found.get(name, 'no such column')}"
        for name, type_ in expected.items()
        if found.get(name) != type_
    ]


def _rows_by_day(table: Table, frame: "DataFrame") -> tuple[dict[date, int], bool]:
    """Rows of each day, and whether two rows of one may share a key: whether the keys' 64-bit hashes are as many."""
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    hashed = F.countDistinct(F.xxhash64(*table.key))
    try:
        found = frame.groupBy(table.partition).agg(F.count("*"), hashed).collect()
    except PySparkException as error:
        raise UnavailableError(f"the rows of {table.name} could not be counted: {error}") from error
    return {day: rows for day, rows, _ in found}, any(rows != keys for _, rows, keys in found)


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
