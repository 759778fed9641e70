"""What a gate found: one outcome a check, and the verdict on the table's rows. Kept as JSON, told in one line."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from expectations.contract import Severity, Table
from expectations.errors import DataError
from jobs.home import Home

HELD = "as expected"


@dataclass(frozen=True)
class CheckOutcome:
    """What one check found.

    ``passed``: None where it could not be judged; ``observed`` then says why.
    ``unexpected_count``: rows that break it; None where it held or does not count rows.
    ``measured``: the numbers that were judged, by what they are of, the most telling first.
    """

    name: str
    severity: Severity
    passed: bool | None
    observed: str
    expected: str
    why: str
    unexpected_count: int | None = None
    measured: dict[str, float] = field(default_factory=dict)


def status(kept: dict) -> str:
    """An outcome's verdict in a word, from its kept form: held, warns, fails, not judged."""
    if kept["passed"] is None:
        return "not judged"
    return "held" if kept["passed"] else f"{kept['severity']}s"


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
        return tuple(o for o in self.outcomes if o.passed is False and o.severity == "fail")

    @property
    def warned(self) -> tuple[CheckOutcome, ...]:
        return tuple(o for o in self.outcomes if o.passed is False and o.severity == "warn")

    @property
    def unjudged(self) -> tuple[CheckOutcome, ...]:
        return tuple(o for o in self.outcomes if o.passed is None)

    @property
    def passed(self) -> bool:
        """No check of severity fail was broken."""
        return not self.failed

    @property
    def days(self) -> str:
        return f"{self.day}" if self.last == self.day else f"{self.day}…{self.last}"

    def summary(self) -> str:
        """One line for people."""
        held = sum(o.passed is True for o in self.outcomes)
        unjudged = f", {len(self.unjudged)} not judged" if self.unjudged else ""
        return (
            f"{self.table} {self.days}: {'passed' if self.passed else 'FAILED'}, {self.rows:,} rows, "
            f"{held} checks held, {len(self.warned)} warned, {len(self.failed)} failed{unjudged}"
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
            + f"\nThe result is kept in {self.path}; `python -m jobs validate --docs` makes a page of it. "
            f"Nothing after this step has run: {advice}."
        )


def contract_digest(table: Table) -> str:
    """Changes whenever the contract does."""
    return hashlib.sha256(repr(table).encode()).hexdigest()


def result_path(home: Home, table: Table, day: date, last: date) -> Path:
    """Where the verdict on a lake table's partitions of ``day`` … ``last`` is kept."""
    return home.validations / table.name / (f"{day}_{last}.json" if last > day else f"{day}.json")


def keep(result: GateResult) -> GateResult:
    """Writes the result in one rename; a reader never finds half of it."""
    kept = asdict(result) | {"passed": result.passed}
    del kept["path"]
    text = json.dumps(kept, indent=1, ensure_ascii=False, default=str) + "\n"
    result.path.parent.mkdir(parents=True, exist_ok=True)
    staged = result.path.with_name(f".{result.path.name}.{os.getpid()}")
    staged.write_text(text)
    os.replace(staged, result.path)
    return result
