"""Checks and what they found. A check takes a home and returns what it saw, or raises."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from expectations.errors import LifestageError, SetupError, UnavailableError
from jobs.home import Home

ANSWER_SECONDS = 5.0
"""A check that has said nothing by then counts as not answering."""


class Doubt(LifestageError):
    """Work goes on, but someone should look."""

    exit_code = 0


@dataclass(frozen=True)
class Check:
    """``look`` returns what is well, or raises: Doubt to warn, SetupError or UnavailableError for what stops work.

    needs: name of a check without which this one has nothing to look at.
    """

    name: str
    look: Callable[[Home], str]
    needs: str = ""


@dataclass(frozen=True)
class Finding:
    """state: ok, warn or fail; says: what was seen and, unless ok, what to do; exit_code: 0, 75 or 78."""

    check: str
    state: str
    says: str
    exit_code: int = 0


def look_all(home: Home, checks: Iterable[Check], limit: float = ANSWER_SECONDS) -> list[Finding]:
    """A finding for each check, in their order; side by side, so that the slow ones wait for each other."""
    checks = list(checks)
    found = _look(home, [check for check in checks if not check.needs], limit)
    failed = {finding.check for finding in found if finding.state == "fail"}
    due = [check for check in checks if check.needs and check.needs not in failed]
    found += _look(home, due, limit)
    found += [Finding(c.name, "warn", f"not looked at: see {c.needs!r}") for c in checks if c.needs in failed]
    order = [check.name for check in checks]
    return sorted(found, key=lambda finding: order.index(finding.check))


def exit_code(findings: Iterable[Finding]) -> int:
    """78 where someone has to mend something, else 75 where something did not answer, else 0."""
    return max((finding.exit_code for finding in findings), default=0)


def _look(home: Home, checks: list[Check], limit: float) -> list[Finding]:
    found: dict[str, Finding] = {}

    def look(check: Check) -> None:
        found[check.name] = _finding(home, check)

    # Threads that nobody waits for in the end: one that hangs must not hold up the others' findings.
    threads = [threading.Thread(target=look, args=[check], daemon=True) for check in checks]
    for thread in threads:
        thread.start()
    for check, thread in zip(checks, threads, strict=True):
        thread.join(limit)
        if thread.is_alive():
            limit = 0.0  # the time is up for all of them
            silent = f"no answer within {ANSWER_SECONDS:.0f} s: look at its log, the network, the load of this machine"
            found.setdefault(check.name, Finding(check.name, "fail", silent, UnavailableError.exit_code))
    return [found[check.name] for check in checks]


def _finding(home: Home, check: Check) -> Finding:
    try:
        return Finding(check.name, "ok", check.look(home))
    except Doubt as doubt:
        return Finding(check.name, "warn", str(doubt))
    except UnavailableError as error:
        return Finding(check.name, "fail", str(error), UnavailableError.exit_code)
    except Exception as error:  # whatever it is, it is found, and the other checks go on
        said = str(error) if isinstance(error, LifestageError) else f"{type(error).__name__}: {error}"
        return Finding(check.name, "fail", said, SetupError.exit_code)
