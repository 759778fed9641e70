"""The contract's checks with a shop's own bounds: section ``checks`` of <home>/settings.yaml."""

import math
from dataclasses import replace

from expectations.contract import Check, Table
from expectations.errors import SetupError
from expectations.tables import TABLES
from jobs.home import Home
from jobs.settings import load_section


def chosen(home: Home, table: Table) -> Table:
    """``table`` with the bounds that the home's settings give its checks.

    SetupError for a table, check or bound that the contracts do not have.
    """
    path, section = home.path / "settings.yaml", load_section(home, "checks")
    for name, bounds in section.items():
        _refuse_unknown(f"{path}: checks: {name}", name, bounds)
    own = {name.partition(".")[2]: bounds for name, bounds in section.items() if name.partition(".")[0] == table.name}
    return replace(table, checks=tuple(replace(check, **own.get(check.label, {})) for check in table.checks))


def _refuse_unknown(place: str, name: str, bounds: object) -> None:
    table, _, label = name.partition(".")
    if table not in TABLES:
        raise SetupError(f"{place}: no table {table!r}; write table.check; tables: {', '.join(TABLES)}")
    checks = {check.label: check for check in TABLES[table].checks}
    if label not in checks:
        raise SetupError(f"{place}: {table} has no check {label!r}; known: {', '.join(checks) or 'none'}")
    known = _bounds(checks[label])
    for bound, value in bounds.items() if isinstance(bounds, dict) else [("", bounds)]:
        if bound not in known:
            may = " and ".join(known) or "nothing: it has no bounds"
            raise SetupError(f"{place}: must hold {may}, found {bounds!r}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise SetupError(f"{place}: {bound} must be a number, 0 or more, found {value!r}")
    now = replace(checks[label], **bounds)
    if None not in (now.minimum, now.maximum) and now.minimum > now.maximum:
        raise SetupError(f"{place}: minimum {now.minimum:g} lies above maximum {now.maximum:g}")


def _bounds(check: Check) -> list[str]:
    return [bound for bound in ("minimum", "maximum") if getattr(check, bound) is not None]
