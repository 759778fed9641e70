"""Rows of a contract to feed jobs with."""

from datetime import date

from expectations.contract import Table

DAY = date(2024, 3, 10)


def filled(table: Table, **known: object) -> dict:
    """A row of ``table``: what is known, else null where it may stand, the first allowed value, the type's zero."""
    zero = {"string": "", "bool": False, "date": DAY, "strings": [], "dates": []}
    return {
        c.name: known.get(c.name, None if c.nullable else c.values[0] if c.values else zero.get(c.type, 0))
        for c in table.columns
    }
